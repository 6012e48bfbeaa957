use std::net::SocketAddr;

use super::*;

const GOOD: &str = "info_hash=%12%34Vx%9a%bc%de%f1%23Eg%89%ab%cd%ef%124Vx%9A&peer_id=-NV0100-abcdefghijkl&port=6881\
                    &uploaded=1&downloaded=2&left=3";

fn request() -> AnnounceRequest {
    AnnounceRequest::parse(GOOD.as_bytes()).unwrap()
}

#[test]
fn a_minimal_announce_is_read_with_its_defaults() {
    let read = request();
    assert_eq!(read.info_hash.to_string(), "123456789abcdef123456789abcdef123456789a");
    assert_eq!(read.peer_id.as_bytes(), b"-NV0100-abcdefghijkl");
    assert_eq!((read.port, read.uploaded, read.downloaded, read.left), (6881, 1, 2, 3));
    assert_eq!(read.event, Event::None);
    assert!(read.compact && !read.no_peer_id);
    assert_eq!((read.num_want, read.key, read.ip), (None, None, None));
}

#[test]
fn every_announce_round_trips() {
    let all: [u8; 20] = std::array::from_fn(|at| u8::try_from(at * 13).unwrap());
    let full = AnnounceRequest {
        info_hash: all.into(),
        peer_id: (*b"&=+% /?#\0\xff~-._aZ09!!").into(),
        port: 1,
        uploaded: u64::MAX,
        downloaded: 0,
        left: 7,
        event: Event::Paused,
        num_want: Some(0),
        compact: false,
        no_peer_id: true,
        key: Some(0xdead_beef),
        ip: Some("2001:db8::1".parse().unwrap()),
        ipv4: Some("1.2.3.4:5".parse().unwrap()),
        ipv6: Some("[2001:db8::2]:6".parse().unwrap()),
    };
    for event in [Event::Started, Event::Completed, Event::Stopped, Event::Paused, Event::None] {
        let sent = AnnounceRequest { event, ..full.clone() };
        assert_eq!(AnnounceRequest::parse(sent.to_query().as_bytes()), Ok(sent));
    }
}

#[test]
fn what_is_missing_is_named() {
    for key in ["info_hash", "peer_id", "port", "left"] {
        let query = GOOD.replace(key, "nothing");
        assert_eq!(AnnounceRequest::parse(query.as_bytes()), Err(RequestError::Missing(key)));
    }
}

#[test]
fn wrong_lengths_and_numbers_are_refused() {
    let refusal = |from: &str, to: &str| AnnounceRequest::parse(GOOD.replace(from, to).as_bytes()).unwrap_err();
    assert_eq!(refusal("abcdefghijkl", "abc"), RequestError::Length { key: "peer_id", found: 11 });
    assert_eq!(refusal("%12%34", "%12"), RequestError::Length { key: "info_hash", found: 19 });
    for port in ["port=65536", "port=", "port=-1", "port=x", "port=99999999999999999999999"] {
        assert_eq!(refusal("port=6881", port), RequestError::Number { key: "port", max: 65535 });
    }
    assert_eq!(refusal("left=3", "left=18446744073709551616"), RequestError::Number { key: "left", max: u64::MAX });
}

#[test]
fn hostile_queries_never_panic() {
    for query in [&b""[..], b"&", b"=", b"%", b"info_hash=%", b"info_hash=%4", b"\xff\xfe=\0&&&=", b"port==&left=%00"] {
        assert!(AnnounceRequest::parse(query).is_err());
    }
    let long = [b"info_hash=".to_vec(), vec![b'%'; 1 << 20]].concat();
    assert!(matches!(AnnounceRequest::parse(&long), Err(RequestError::Missing(_) | RequestError::Length { .. })));
    for cut in 0..GOOD.len() - "&left=3".len() {
        assert!(AnnounceRequest::parse(&GOOD.as_bytes()[..cut]).is_err(), "{cut}");
    }
}

const HEAD: ReplyHead = ReplyHead { interval: 30, min_interval: 2, complete: 4, incomplete: 5, downloaded: 6 };

fn handout() -> Handout {
    ["1.2.3.4:5", "127.0.0.1:65535", "[2001:db8::1]:6"].map(|addr| addr.parse().unwrap()).into_iter().collect()
}

fn written(form: Form<'_>) -> Vec<u8> {
    let external_ip = Some("2001:db8::9".parse().unwrap());
    let mut bytes = Vec::new();
    Reply { head: HEAD, external_ip, warning: Some("he"), handout: &handout() }.write(form, &mut bytes);
    bytes
}

fn named(addr: SocketAddr) -> Option<PeerId> {
    (addr.port() == 5).then(|| PeerId::nova(*b"abcdefghijkl"))
}

#[test]
fn replies_round_trip_in_every_form() {
    for form in [Form::Compact, Form::Dictionary(&named), Form::DictionaryWithoutId] {
        let read = AnnounceReply::parse(&written(form)).unwrap();
        assert_eq!((read.interval, read.min_interval, read.seeders, read.leechers), (30, Some(2), 4, 5));
        assert_eq!(read.peers, handout().addrs().collect::<Vec<_>>());
        assert_eq!(read.external_ip, Some("2001:db8::9".parse().unwrap()));
        assert_eq!(read.warning.as_deref(), Some("he"));
    }
}

#[test]
fn dictionaries_name_peers_unless_told_not_to() {
    let has = |form, part: &str| written(form).windows(part.len()).any(|found| found == part.as_bytes());
    assert!(has(Form::Dictionary(&named), "d2:ip7:1.2.3.47:peer id20:-NV0100-abcdefghijkl4:porti5ee"));
    assert!(has(Form::Dictionary(&named), "d2:ip9:127.0.0.14:porti65535ee"));
    assert!(has(Form::DictionaryWithoutId, "d2:ip7:1.2.3.44:porti5ee"));
}

#[test]
fn a_compact_answer_without_peers_says_so() {
    let mut bytes = Vec::new();
    let nobody = Handout::default();
    Reply { head: HEAD, external_ip: None, warning: None, handout: &nobody }.write(Form::Compact, &mut bytes);
    let expected = "d8:completei4e10:downloadedi6e10:incompletei5e8:intervali30e12:min intervali2e5:peers0:e";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn a_failure_reason_is_a_refusal_that_says_when_to_try_again() {
    for retry in [Retry::InMinutes(7), Retry::Never] {
        let mut bytes = Vec::new();
        write_failure("not today", retry, &mut bytes);
        let refused = ReplyError::Refused { reason: "not today".into(), retry: Some(retry) };
        assert_eq!(AnnounceReply::parse(&bytes), Err(refused));
    }
    let refused = |retry| Err(ReplyError::Refused { reason: "no".into(), retry });
    assert_eq!(AnnounceReply::parse(b"d14:failure reason2:noe"), refused(None));
    assert_eq!(AnnounceReply::parse(b"d14:failure reason2:no8:retry in2:15e"), refused(Some(Retry::InMinutes(15))));
    assert_eq!(AnnounceReply::parse(b"d14:failure reason2:no8:retry in4:soone"), refused(None));
}

#[test]
fn answers_that_are_none_are_refused() {
    assert_eq!(AnnounceReply::parse(b"de"), Err(ReplyError::Value("interval")));
    assert_eq!(AnnounceReply::parse(b"d8:intervali-1ee"), Err(ReplyError::Value("interval")));
    assert_eq!(AnnounceReply::parse(b"d8:intervali9e5:peers5:abcdee"), Err(ReplyError::Value("peers")));
    assert_eq!(AnnounceReply::parse(b"d8:intervali9e5:peersi1ee"), Err(ReplyError::Value("peers")));
    assert_eq!(AnnounceReply::parse(b"d8:intervali9e6:peers61:xe"), Err(ReplyError::Value("peers6")));
    assert!(matches!(AnnounceReply::parse(b"<html>"), Err(ReplyError::Bencode(_))));
    assert_eq!(AnnounceReply::parse(b"d8:intervali9ee").map(|reply| reply.peers), Ok(vec![]));
}

#[test]
fn a_warning_is_kept_and_names_for_addresses_are_passed_over() {
    let bytes = b"d8:intervali9e5:peersld2:ip9:localhost4:porti1eee15:warning message2:hee";
    let reply = AnnounceReply::parse(bytes).unwrap();
    assert_eq!((reply.warning.as_deref(), reply.peers.len()), (Some("he"), 0));
}
