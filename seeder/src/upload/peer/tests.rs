use nova_protocol::{
    FilePath, PeerId, PieceLength,
    metainfo::{NewInfo, NewKind},
};

use super::*;

const PIECE: u32 = 64 << 10;

/// Three pieces, the last of one byte.
fn metainfo(private: bool) -> Metainfo {
    metainfo_of(3, private)
}

fn metainfo_of(pieces: u32, private: bool) -> Metainfo {
    let length = u64::from(pieces - 1) * u64::from(PIECE) + 1;
    let info = NewInfo {
        name: FilePath::parse("f").unwrap(),
        piece_length: PieceLength::chosen(u64::from(PIECE)).unwrap(),
        pieces: vec![0; 20 * pieces as usize],
        private,
        kind: NewKind::File { length, executable: false },
        access: Vec::new(),
    };
    Metainfo::from_info(&info.encode().unwrap(), &[], &[]).unwrap()
}

fn block(piece: u32, offset: u32, length: u32) -> Block {
    Block { piece, offset, length }
}

fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (message, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        messages.push(Message::decode(message).unwrap());
        bytes = rest;
    }
    messages
}

/// A peer that was told of everything.
fn peer(metainfo: &Metainfo, fast: bool, extended: bool) -> Peer {
    Peer::new(Arc::new(metainfo.clone()), &handshake(metainfo, fast, extended), true, 1)
}

fn handshake(metainfo: &Metainfo, fast: bool, extended: bool) -> Handshake {
    Handshake { info_hash: metainfo.info_hash(), peer_id: PeerId::nova([1; 12]), fast, extended }
}

fn talk(peer: &Peer) -> Vec<Message> {
    messages(&peer.take_work(usize::MAX).talk)
}

#[test]
fn a_peer_is_told_of_everything() {
    let metainfo = metainfo(true);
    assert_eq!(talk(&peer(&metainfo, true, false)), [Message::HaveAll]);
    assert_eq!(talk(&peer(&metainfo, false, false)), [Message::Bitfield(vec![0b1110_0000])]);
}

#[test]
fn a_peer_that_is_told_of_nothing_yet_is_told_later() {
    let metainfo = metainfo(true);
    for (fast, first) in [(true, vec![Message::HaveNone]), (false, vec![])] {
        let peer = Peer::new(Arc::new(metainfo.clone()), &handshake(&metainfo, fast, false), false, 1);
        assert_eq!(talk(&peer), first);
        peer.tell(&Message::Have(1));
        assert_eq!(talk(&peer), [Message::Have(1)]);
    }
}

#[test]
fn a_peer_is_told_of_the_rest_in_parts() {
    let pieces = u32::try_from(2 * TOLD_AT_ONCE).unwrap() + 3;
    let metainfo = metainfo_of(pieces, true);
    let peer = Peer::new(Arc::new(metainfo.clone()), &handshake(&metainfo, true, false), false, 1);
    talk(&peer);
    let mut known = Bitfield::empty(pieces);
    known.insert(0);
    peer.hears(Message::Have(pieces - 1)).unwrap();
    peer.tell_rest(known);
    let told: Vec<Vec<Message>> = (0..4).map(|_| talk(&peer)).collect();
    assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [TOLD_AT_ONCE, TOLD_AT_ONCE, 1, 0]);
    assert_eq!(told.concat(), (1..pieces - 1).map(Message::Have).collect::<Vec<_>>());
}

#[test]
fn requests_are_answered_in_order_and_in_batches() {
    let metainfo = metainfo(true);
    let peer = peer(&metainfo, true, false);
    let asked = [block(1, 0, 16 << 10), block(0, 0, 16 << 10), block(2, 0, 1)];
    for block in asked {
        peer.hears(Message::Request(block)).unwrap();
    }
    assert_eq!(peer.take_work(2).blocks, asked[..2]);
    assert_eq!(peer.take_work(2).blocks, asked[2..]);
}

#[test]
fn a_cancelled_request_is_rejected_not_served() {
    let metainfo = metainfo(true);
    let peer = peer(&metainfo, true, false);
    talk(&peer);
    peer.hears(Message::Request(block(0, 0, 9))).unwrap();
    peer.hears(Message::Cancel(block(0, 0, 9))).unwrap();
    peer.hears(Message::Cancel(block(0, 0, 9))).unwrap();
    let work = peer.take_work(9);
    assert_eq!((messages(&work.talk), work.blocks), (vec![Message::Reject(block(0, 0, 9))], vec![]));
}

#[test]
fn requests_outside_the_content_end_the_connection() {
    let metainfo = metainfo(true);
    for outside in [block(3, 0, 1), block(2, 0, 2), block(0, PIECE, 1), block(0, 0, 32 << 10), block(u32::MAX, 0, 1)] {
        let peer = peer(&metainfo, true, false);
        assert!(matches!(peer.hears(Message::Request(outside)), Err(PeerError::Violation(_))), "{outside:?}");
    }
}

#[test]
fn a_flood_of_requests_is_bounded() {
    let metainfo = metainfo(true);
    let flood = |fast| {
        let peer = peer(&metainfo, fast, false);
        (0..100_000).find_map(|_| peer.hears(Message::Request(block(0, 0, 1))).err())
    };
    assert!(matches!(flood(true), Some(PeerError::Violation("asks faster than it reads"))));
    assert!(matches!(flood(false), Some(PeerError::Violation("more requests than we queue"))));
}

#[test]
fn a_peer_that_has_everything_is_complete() {
    let metainfo = metainfo(true);
    let peer = peer(&metainfo, true, false);
    talk(&peer);
    for piece in 0..3 {
        assert!(!peer.is_complete());
        peer.hears(Message::Have(piece)).unwrap();
    }
    assert!(peer.is_complete());
}

#[test]
fn a_bitfield_of_another_torrent_and_unasked_content_are_violations() {
    let metainfo = metainfo(true);
    let peer = peer(&metainfo, true, false);
    for message in [Message::Bitfield(vec![0; 2]), Message::Piece { piece: 0, offset: 0, data: vec![] }] {
        assert!(matches!(peer.hears(message), Err(PeerError::Violation(_))));
    }
}

/// Asks for part `piece` of the metadata, wanting answers under id 7.
fn metadata_answer(metainfo: &Metainfo, piece: u32) -> Vec<Message> {
    let peer = peer(metainfo, true, true);
    talk(&peer);
    let wanted = ExtendedHandshake { m: Extensions { ut_metadata: Some(7) }, ..ExtendedHandshake::default() };
    peer.hears(Message::Extended { id: 0, payload: wanted.encode() }).unwrap();
    let request = MetadataMessage::new(MetadataType::Request, piece, None);
    peer.hears(Message::Extended { id: METADATA_ID, payload: request.encode() }).unwrap();
    talk(&peer)
}

#[test]
fn metadata_of_a_public_torrent_is_given_and_of_a_private_one_is_not() {
    let public = metainfo(false);
    let [Message::Extended { id: 7, payload }] = &metadata_answer(&public, 0)[..] else { panic!("one answer") };
    let (message, end) = MetadataMessage::decode(payload).unwrap().unwrap();
    assert_eq!((message.kind(), &payload[end..]), (Some(MetadataType::Data), public.info_bytes()));

    for (metainfo, piece) in [(&public, 1), (&metainfo(true), 0)] {
        let [Message::Extended { id: 7, payload }] = &metadata_answer(metainfo, piece)[..] else {
            panic!("one answer")
        };
        let (message, _) = MetadataMessage::decode(payload).unwrap().unwrap();
        assert_eq!(message.kind(), Some(MetadataType::Reject));
    }
}
