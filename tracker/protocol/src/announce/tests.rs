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
    };
    for event in [Event::Started, Event::Completed, Event::Stopped, Event::Paused, Event::None] {
        let sent = AnnounceRequest { event, ..full.clone() };
        assert_eq!(AnnounceRequest::parse(sent.to_query().as_bytes()), Ok(sent));
    }
}

#[test]
fn unknown_and_repeated_keys_and_stray_separators_are_passed_over() {
    let query = format!("&&x=y&{GOOD}&left=9&&trackerid&numwant=-1&numwant=5&event=exploded&ip=not-an-ip&key=zz&");
    let read = AnnounceRequest::parse(query.as_bytes()).unwrap();
    assert_eq!(read, request());
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

fn peers() -> Vec<ReplyPeer> {
    let id = Some(PeerId::nova(*b"abcdefghijkl"));
    vec![
        ReplyPeer { addr: "1.2.3.4:5".parse().unwrap(), peer_id: id },
        ReplyPeer { addr: "[2001:db8::1]:6".parse().unwrap(), peer_id: None },
        ReplyPeer { addr: "127.0.0.1:65535".parse().unwrap(), peer_id: id },
    ]
}

#[test]
fn replies_round_trip_in_every_form() {
    for form in [Form::Compact, Form::Dictionary, Form::DictionaryWithoutId] {
        let mut bytes = Vec::new();
        HEAD.write(&peers(), form, &mut bytes);
        let read = AnnounceReply::parse(&bytes).unwrap();
        assert_eq!((read.interval, read.min_interval, read.seeders, read.leechers), (30, Some(2), 4, 5));
        let mut found = read.peers;
        let mut expected: Vec<_> = peers().iter().map(|peer| peer.addr).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{form:?}");
    }
}

#[test]
fn dictionaries_name_peers_unless_told_not_to() {
    let written = |form| {
        let mut bytes = Vec::new();
        HEAD.write(&peers()[..1], form, &mut bytes);
        String::from_utf8(bytes).unwrap()
    };
    assert!(written(Form::Dictionary).contains("d2:ip7:1.2.3.47:peer id20:-NV0100-abcdefghijkl4:porti5ee"));
    assert!(written(Form::DictionaryWithoutId).contains("d2:ip7:1.2.3.44:porti5ee"));
}

#[test]
fn a_failure_reason_is_a_refusal() {
    let mut bytes = Vec::new();
    write_failure("not today", &mut bytes);
    assert_eq!(AnnounceReply::parse(&bytes), Err(ReplyError::Refused("not today".into())));
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
