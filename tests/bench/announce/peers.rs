//! Who announces: peers that follow from their numbers, so that every server gets the same requests.

use std::io::Write;

use nova_protocol::{
    InfoHash, PeerId,
    announce::{AnnounceRequest, Event},
    udp::Request,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// How many swarms are announced to.
pub const SWARMS: u32 = 1000;
/// How many peers each of them has.
const PEERS: u32 = 100;
/// How many peers of each swarm announce before anything is measured: more than any is given.
const FIRST: u32 = 60;
/// How many peers each announce asks for.
pub const NUM_WANT: u32 = 50;

/// One peer of one swarm. All share an address, and differ by port.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub swarm: u32,
    /// Within the swarm; below 64,000.
    pub number: u32,
}

/// The peers that fill the swarms before anything is measured.
pub fn first() -> impl Iterator<Item = Peer> {
    (0..FIRST).flat_map(|number| (0..SWARMS).map(move |swarm| Peer { swarm, number }))
}

/// Any peers of any swarms, without end, the same each time.
pub fn any() -> impl Iterator<Item = Peer> {
    let mut rng = SmallRng::seed_from_u64(20_261_123);
    std::iter::repeat_with(move || Peer { swarm: rng.random_range(0..SWARMS), number: rng.random_range(0..PEERS) })
}

impl Peer {
    fn info_hash(self) -> [u8; 20] {
        let mut hash = [0; 20];
        for (salt, part) in (0..).zip(hash.chunks_mut(8)) {
            part.copy_from_slice(&mix(u64::from(self.swarm) << 8 | salt).to_be_bytes()[..part.len()]);
        }
        hash
    }

    fn peer_id(self) -> [u8; 20] {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let mut id = *b"-LT20B0-............";
        let mut bits = mix(u64::from(self.swarm) << 32 | u64::from(self.number) << 1 | 1);
        for byte in &mut id[8..] {
            *byte = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
        id
    }

    fn port(self) -> u16 {
        u16::try_from(1024 + (self.number * 577 + self.swarm) % 64_000).expect("below 65,024")
    }

    /// Writes the request that libtorrent sends over HTTP.
    pub fn write_http(self, num_want: u32, lasts: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"GET /announce?info_hash=");
        for byte in self.info_hash() {
            escape(byte, out);
        }
        out.extend_from_slice(b"&peer_id=");
        out.extend_from_slice(&self.peer_id());
        write!(
            out,
            "&port={}&uploaded=0&downloaded=16384&left=1048576&corrupt=0&key=5A3C9E01&numwant={num_want}&compact=1\
             &no_peer_id=1&supportcrypto=1&redundant=0 HTTP/1.1\r\nHost: 127.0.0.1:15003\r\nUser-Agent: libtorrent/2.0.11\
             \r\nConnection: {}\r\nAccept-Encoding: gzip\r\n\r\n",
            self.port(),
            if lasts { "keep-alive" } else { "close" }
        )
        .expect("memory takes everything");
    }

    /// Writes the datagram of 98 bytes.
    pub fn write_udp(self, num_want: u32, connection_id: u64, transaction_id: u32, out: &mut Vec<u8>) {
        let announce = AnnounceRequest {
            info_hash: InfoHash::from(self.info_hash()),
            peer_id: PeerId::from(self.peer_id()),
            port: self.port(),
            uploaded: 0,
            downloaded: 16_384,
            left: 1_048_576,
            event: Event::None,
            num_want: Some(num_want),
            compact: true,
            no_peer_id: true,
            key: Some(0x5A3C_9E01),
            ip: None,
            ipv4: None,
            ipv6: None,
        };
        Request::Announce { connection_id, transaction_id, announce }.write(out);
    }
}

/// As libtorrent does: all but the unreserved characters of RFC 3986.
fn escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        out.push(byte);
    } else {
        out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// splitmix64: far apart for neighbours.
const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}
