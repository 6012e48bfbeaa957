use std::net::SocketAddr;

use nova_protocol::{
    announce::{Handout, ReplyHead},
    udp::{MAX_SCRAPE, Reply, Request, write_announce, write_connect, write_error, write_scrape},
};

/// The fields of an announce that may mean the same in two ways: the event, and the number of peers wanted.
const AMBIGUOUS: [std::ops::Range<usize>; 2] = [80..84, 92..96];

/// Requests and answers are written as they were read, and take no more memory than the datagram.
pub fn udp_packet(packet: &[u8]) {
    request(packet);
    reply(packet, false);
    reply(packet, true);
}

fn request(packet: &[u8]) {
    let Ok(read) = Request::parse(packet) else { return };
    let mut written = Vec::new();
    read.write(&mut written);
    assert_eq!(Request::parse(&written).as_ref(), Ok(&read));
    assert!(written.len() <= packet.len());
    let mut expected = packet[..written.len()].to_vec();
    match read {
        Request::Connect { .. } => assert_eq!(written.len(), 16),
        Request::Scrape { info_hashes, .. } => assert!((1..=MAX_SCRAPE).contains(&info_hashes.len())),
        Request::Announce { announce, .. } => {
            assert_eq!(written.len(), 98);
            assert!(announce.num_want.is_none_or(|count| i32::try_from(count).is_ok()));
            for field in AMBIGUOUS {
                expected[field.clone()].copy_from_slice(&written[field]);
            }
        }
    }
    assert_eq!(written, expected);
}

fn reply(packet: &[u8], is_ipv6: bool) {
    let Ok(read) = Reply::parse(packet, is_ipv6) else { return };
    let mut written = Vec::new();
    match &read {
        Reply::Connect { transaction_id, connection_id } => {
            write_connect(*transaction_id, *connection_id, &mut written);
            assert_eq!(written, packet[..16]);
        }
        Reply::Announce { transaction_id, interval, leechers, seeders, peers } => {
            let head = ReplyHead {
                interval: *interval,
                min_interval: 0,
                complete: *seeders,
                incomplete: *leechers,
                downloaded: 0,
            };
            let handout: Handout = peers.iter().copied().collect();
            assert!(peers.iter().all(|peer| SocketAddr::is_ipv6(peer) == is_ipv6));
            if is_ipv6 {
                write_announce(*transaction_id, &head, &handout.v6, &mut written);
            } else {
                write_announce(*transaction_id, &head, &handout.v4, &mut written);
            }
            assert_eq!(written, packet);
        }
        Reply::Scrape { transaction_id, swarms } => {
            write_scrape(*transaction_id, swarms.iter().copied(), &mut written);
            assert_eq!(written, packet);
        }
        Reply::Error { transaction_id, message } => {
            assert!(message.len() <= 3 * packet.len());
            write_error(*transaction_id, message, &mut written);
        }
    }
    assert_eq!(Reply::parse(&written, is_ipv6), Ok(read));
}
