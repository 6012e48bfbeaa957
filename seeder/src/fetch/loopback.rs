//! Peers of the session's own: connections from this process to itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nova_protocol::{
    InfoHash, PeerId,
    peer_wire::{Bitfield, ExtendedHandshake, Handshake, Message},
};

/// Where a session that listens there is reached from this host.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = if listen.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    if listen.ip().is_unspecified() { SocketAddr::new(loopback, listen.port()) } else { listen }
}

/// What a peer says at once that has everything and gives it, to so many requests at a time when it says so.
pub(super) fn greeting(info_hash: InfoHash, pieces: u32, requests: Option<u32>) -> Vec<u8> {
    let peer_id = PeerId::nova(rand::random());
    let mut greeting = Handshake { info_hash, peer_id, fast: false, extended: true }.encode().to_vec();
    let extended = ExtendedHandshake { reqq: requests, ..ExtendedHandshake::default() };
    Message::Extended { id: 0, payload: extended.encode() }.encode(&mut greeting);
    Message::Bitfield(Bitfield::full(pieces).as_bytes().to_vec()).encode(&mut greeting);
    Message::Unchoke.encode(&mut greeting);
    greeting
}
