use super::*;
use crate::{
    announce::{Handout, ReplyHead},
    scrape::Counts,
};

fn announce() -> AnnounceRequest {
    let query = b"info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=6881&left=5&downloaded=6&uploaded=7";
    let read = AnnounceRequest::parse(query).unwrap();
    AnnounceRequest { num_want: Some(50), key: Some(9), ip: Some([1, 2, 3, 4].into()), no_peer_id: true, ..read }
}

fn written(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.write(&mut bytes);
    bytes
}

#[test]
fn every_request_round_trips() {
    let connect = Request::Connect { transaction_id: 7 };
    let scrape = Request::Scrape { connection_id: 1, transaction_id: 2, info_hashes: &[[3; 20], [4; 20]] };
    for request in [connect, scrape] {
        assert_eq!(Request::parse(&written(&request)), Ok(request));
    }
    for event in EVENTS {
        let announce = AnnounceRequest { event, ..announce() };
        let request = Request::Announce { connection_id: u64::MAX, transaction_id: u32::MAX, announce };
        let bytes = written(&request);
        assert_eq!((bytes.len(), Request::parse(&bytes)), (98, Ok(request)));
    }
}

#[test]
fn the_fields_are_where_the_standard_has_them() {
    let bytes = written(&Request::Announce { connection_id: 1, transaction_id: 2, announce: announce() });
    assert_eq!(bytes[..16], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2]);
    assert_eq!((&bytes[16..36], &bytes[36..56]), (&[b'a'; 20][..], &[b'b'; 20][..]));
    assert_eq!((bytes[63], bytes[71], bytes[79], bytes[83]), (6, 5, 7, 0));
    assert_eq!((&bytes[84..88], bytes[91], bytes[95], &bytes[96..]), (&[1, 2, 3, 4][..], 9, 50, &[0x1a, 0xe1][..]));
}

#[test]
fn what_a_client_leaves_to_the_tracker_is_absent() {
    let request = AnnounceRequest { num_want: None, ip: None, key: None, ..announce() };
    let bytes = written(&Request::Announce { connection_id: 1, transaction_id: 2, announce: request });
    assert_eq!(bytes[92..96], [255; 4]);
    let Ok(Request::Announce { announce, .. }) = Request::parse(&bytes) else { panic!("not an announce") };
    assert_eq!((announce.num_want, announce.ip, announce.key), (None, None, Some(0)));
}

#[test]
fn options_behind_an_announce_are_passed_over_and_unknown_events_are_none() {
    let request = Request::Announce { connection_id: 1, transaction_id: 2, announce: announce() };
    for options in [&b"\x02\x09/announce\x00"[..], b"\x02\xff/cut", b"\xff\xff\xff", &[0; 1000]] {
        let bytes = [written(&request), options.to_vec()].concat();
        assert_eq!(Request::parse(&bytes), Ok(request.clone()));
    }
    let mut bytes = written(&request);
    bytes[80..84].copy_from_slice(&[0xff; 4]);
    assert_eq!(Request::parse(&bytes), Ok(request));
}

#[test]
fn malformed_datagrams_are_refused() {
    let announce = written(&Request::Announce { connection_id: 1, transaction_id: 2, announce: announce() });
    for cut in 0..98 {
        assert_eq!(Request::parse(&announce[..cut]), Err(PacketError::Short(cut)));
    }
    let with =
        |action: u8, rest: usize| [&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, action, 0, 0, 0, 2][..], &vec![1; rest]].concat();
    assert_eq!(Request::parse(&with(0, 0)), Err(PacketError::Protocol));
    assert_eq!(Request::parse(&with(3, 0)), Err(PacketError::Action(3)));
    for rest in [0, 19, 21, 75 * 20] {
        assert_eq!(Request::parse(&with(2, rest)), Err(PacketError::Scrape(rest)));
    }
    assert!(Request::parse(&with(2, 74 * 20)).is_ok());
}

#[test]
fn every_answer_round_trips() {
    let written = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        write(&mut bytes);
        bytes
    };
    let connect = written(&|out| write_connect(1, 2, out));
    assert_eq!(Reply::parse(&connect, false), Ok(Reply::Connect { transaction_id: 1, connection_id: 2 }));
    assert_eq!(connect.len(), written(&|out| Request::Connect { transaction_id: 1 }.write(out)).len());
    let counts = Counts { complete: 3, downloaded: 4, downloaders: 5, incomplete: 5 };
    let scrape = written(&|out| write_scrape(1, [counts, counts], out));
    assert_eq!(Reply::parse(&scrape, false), Ok(Reply::Scrape { transaction_id: 1, swarms: vec![counts, counts] }));
    let error = written(&|out| write_error(1, "no", out));
    assert_eq!(Reply::parse(&error, false), Ok(Reply::Error { transaction_id: 1, message: "no".into() }));
    let handout: Handout = ["1.2.3.4:5", "[2001:db8::1]:6"].map(|addr| addr.parse().unwrap()).into_iter().collect();
    let head = ReplyHead { interval: 9, min_interval: 8, complete: 7, incomplete: 6, downloaded: 5 };
    let peers: Vec<_> = handout.addrs().collect();
    let expected = |peer: usize| {
        Ok(Reply::Announce { transaction_id: 1, interval: 9, leechers: 6, seeders: 7, peers: vec![peers[peer]] })
    };
    assert_eq!(Reply::parse(&written(&|out| write_announce(1, &head, &handout.v4, out)), false), expected(0));
    assert_eq!(Reply::parse(&written(&|out| write_announce(1, &head, &handout.v6, out)), true), expected(1));
}

#[test]
fn malformed_answers_are_refused() {
    let announce = [&[0, 0, 0, 1, 0, 0, 0, 1][..], &[0; 12], &[1; 7]].concat();
    assert_eq!(Reply::parse(&announce, false), Err(PacketError::Peers(7)));
    assert_eq!(Reply::parse(&announce[..19], false), Err(PacketError::Short(19)));
    assert_eq!(Reply::parse(&[0, 0, 0, 2, 0, 0, 0, 1, 9], false), Err(PacketError::Scrape(1)));
    assert_eq!(Reply::parse(&[0, 0, 0, 9, 0, 0, 0, 1], false), Err(PacketError::Action(9)));
}
