use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

/// Peers for one answer, in the bytes in which most answers carry them: address and port, big endian (BEP 23, BEP 7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handout {
    /// Peers with IPv4 addresses.
    pub v4: Vec<[u8; 6]>,
    /// Peers with IPv6 addresses.
    pub v6: Vec<[u8; 18]>,
}

impl Handout {
    /// Takes everybody out; the memory stays.
    pub fn clear(&mut self) {
        self.v4.clear();
        self.v6.clear();
    }

    /// How many peers there are.
    pub const fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is nobody.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a peer.
    pub fn push(&mut self, addr: SocketAddr) {
        match CompactAddr::from(addr) {
            CompactAddr::V4(bytes) => self.v4.push(bytes),
            CompactAddr::V6(bytes) => self.v6.push(bytes),
        }
    }

    /// The peers, those with IPv4 addresses first.
    pub fn addrs(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let v4 = self.v4.iter().map(|bytes| CompactAddr::V4(*bytes));
        let v6 = self.v6.iter().map(|bytes| CompactAddr::V6(*bytes));
        v4.chain(v6).map(SocketAddr::from)
    }
}

impl FromIterator<SocketAddr> for Handout {
    fn from_iter<T: IntoIterator<Item = SocketAddr>>(addrs: T) -> Self {
        let mut handout = Self::default();
        addrs.into_iter().for_each(|addr| handout.push(addr));
        handout
    }
}

/// An address and a port in the bytes in which they are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompactAddr {
    /// 4 bytes of address, 2 of port (BEP 23).
    V4([u8; 6]),
    /// 16 bytes of address, 2 of port (BEP 7).
    V6([u8; 18]),
}

impl From<SocketAddr> for CompactAddr {
    fn from(addr: SocketAddr) -> Self {
        let port = addr.port().to_be_bytes();
        match addr {
            SocketAddr::V4(addr) => {
                let [a, b, c, d] = addr.ip().octets();
                Self::V4([a, b, c, d, port[0], port[1]])
            }
            SocketAddr::V6(addr) => {
                let ip = addr.ip().octets();
                Self::V6(std::array::from_fn(|at| if at < 16 { ip[at] } else { port[at - 16] }))
            }
        }
    }
}

impl From<CompactAddr> for SocketAddr {
    fn from(addr: CompactAddr) -> Self {
        match addr {
            CompactAddr::V4([a, b, c, d, high, low]) => {
                SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([high, low])).into()
            }
            CompactAddr::V6(bytes) => {
                let ip: [u8; 16] = std::array::from_fn(|at| bytes[at]);
                SocketAddrV6::new(ip.into(), u16::from_be_bytes([bytes[16], bytes[17]]), 0, 0).into()
            }
        }
    }
}

/// Reads peers of 6 bytes each (BEP 23); `None` when the length is no multiple of that.
pub fn read_peers_v4(bytes: &[u8]) -> Option<impl Iterator<Item = SocketAddr>> {
    let (peers, []) = bytes.as_chunks::<6>() else { return None };
    Some(peers.iter().map(|bytes| CompactAddr::V4(*bytes).into()))
}

/// Reads peers of 18 bytes each (BEP 7); `None` when the length is no multiple of that.
pub fn read_peers_v6(bytes: &[u8]) -> Option<impl Iterator<Item = SocketAddr>> {
    let (peers, []) = bytes.as_chunks::<18>() else { return None };
    Some(peers.iter().map(|bytes| CompactAddr::V6(*bytes).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_of_both_families_round_trip() {
        let addrs: [SocketAddr; 2] = ["1.2.3.4:567", "[2001:db8::1]:89"].map(|addr| addr.parse().unwrap());
        let handout: Handout = addrs.into_iter().collect();
        assert_eq!(handout.addrs().collect::<Vec<_>>(), addrs);
        assert_eq!(read_peers_v4(handout.v4.as_flattened()).unwrap().collect::<Vec<_>>(), addrs[..1]);
        assert_eq!(read_peers_v6(handout.v6.as_flattened()).unwrap().collect::<Vec<_>>(), addrs[1..]);
    }

    #[test]
    fn broken_lengths_are_refused() {
        assert!(read_peers_v4(&[0; 7]).is_none());
        assert!(read_peers_v6(&[0; 17]).is_none());
    }
}
