use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Reads peers of 6 bytes each (BEP 23); `None` when the length is no multiple of that.
pub fn read_peers_v4(bytes: &[u8]) -> Option<impl Iterator<Item = SocketAddr>> {
    let (peers, []) = bytes.as_chunks::<6>() else { return None };
    Some(peers.iter().map(|&[a, b, c, d, high, low]| {
        SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into()
    }))
}

/// Reads peers of 18 bytes each (BEP 7); `None` when the length is no multiple of that.
pub fn read_peers_v6(bytes: &[u8]) -> Option<impl Iterator<Item = SocketAddr>> {
    let (peers, []) = bytes.as_chunks::<18>() else { return None };
    Some(peers.iter().map(|peer| {
        let ip: [u8; 16] = std::array::from_fn(|at| peer[at]);
        SocketAddrV6::new(Ipv6Addr::from(ip), u16::from_be_bytes([peer[16], peer[17]]), 0, 0).into()
    }))
}

/// Appends a peer in 6 bytes (BEP 23).
pub fn write_peer_v4(out: &mut Vec<u8>, peer: SocketAddrV4) {
    out.extend_from_slice(&peer.ip().octets());
    out.extend_from_slice(&peer.port().to_be_bytes());
}

/// Appends a peer in 18 bytes (BEP 7).
pub fn write_peer_v6(out: &mut Vec<u8>, peer: SocketAddrV6) {
    out.extend_from_slice(&peer.ip().octets());
    out.extend_from_slice(&peer.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_of_both_families_round_trip() {
        let v4 = "1.2.3.4:567".parse().unwrap();
        let v6 = "[2001:db8::1]:89".parse().unwrap();
        let (mut four, mut six) = (Vec::new(), Vec::new());
        write_peer_v4(&mut four, v4);
        write_peer_v6(&mut six, v6);
        assert_eq!(read_peers_v4(&four).unwrap().collect::<Vec<_>>(), [SocketAddr::from(v4)]);
        assert_eq!(read_peers_v6(&six).unwrap().collect::<Vec<_>>(), [SocketAddr::from(v6)]);
    }

    #[test]
    fn broken_lengths_are_refused() {
        assert!(read_peers_v4(&[0; 7]).is_none());
        assert!(read_peers_v6(&[0; 17]).is_none());
    }
}
