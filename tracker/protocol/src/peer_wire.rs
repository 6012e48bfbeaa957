//! The peer protocol: handshake and messages (BEP 3), the Fast extension (BEP 6), extension messages (BEP 10).

mod bitfield;
mod extended;
mod message;

pub use bitfield::{Bitfield, BitfieldError};
pub use extended::{ExtendedHandshake, Extensions, MetadataMessage, MetadataType};
pub use message::{Block, Message, MessageError};

use crate::{InfoHash, PeerId};

/// Bytes in a handshake.
pub const HANDSHAKE_LENGTH: usize = 68;

const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";
const EXTENDED_BIT: (usize, u8) = (5, 0x10);
const FAST_BIT: (usize, u8) = (7, 0x04);

/// The first bytes that peers say to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// The torrent that the connection is about.
    pub info_hash: InfoHash,
    /// What the sender calls itself.
    pub peer_id: PeerId,
    /// Whether it speaks the Fast extension (BEP 6).
    pub fast: bool,
    /// Whether it speaks extension messages (BEP 10).
    pub extended: bool,
}

/// The first bytes are not BitTorrent's, as when a peer tries encryption first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a BitTorrent handshake")]
pub struct HandshakeError;

impl Handshake {
    /// The bytes on the wire.
    pub fn encode(&self) -> [u8; HANDSHAKE_LENGTH] {
        let mut bytes = [0; HANDSHAKE_LENGTH];
        bytes[..20].copy_from_slice(PROTOCOL);
        for ((index, bit), spoken) in [(EXTENDED_BIT, self.extended), (FAST_BIT, self.fast)] {
            bytes[20 + index] |= if spoken { bit } else { 0 };
        }
        bytes[28..48].copy_from_slice(self.info_hash.as_bytes());
        bytes[48..].copy_from_slice(self.peer_id.as_bytes());
        bytes
    }

    /// Reads the bytes on the wire.
    ///
    /// # Errors
    /// [`HandshakeError`] unless they start as BEP 3 says.
    pub fn decode(bytes: &[u8; HANDSHAKE_LENGTH]) -> Result<Self, HandshakeError> {
        let twenty = |at: usize| <[u8; 20]>::try_from(&bytes[at..at + 20]).expect("twenty of 68 bytes");
        if bytes[..20] != PROTOCOL[..] {
            return Err(HandshakeError);
        }
        let speaks = |(index, bit): (usize, u8)| bytes[20 + index] & bit != 0;
        Ok(Self {
            info_hash: twenty(28).into(),
            peer_id: twenty(48).into(),
            fast: speaks(FAST_BIT),
            extended: speaks(EXTENDED_BIT),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshake_round_trips_with_its_bits() {
        for (fast, extended) in [(false, false), (true, false), (false, true), (true, true)] {
            let shake = Handshake { info_hash: [7; 20].into(), peer_id: PeerId::nova([9; 12]), fast, extended };
            assert_eq!(Handshake::decode(&shake.encode()), Ok(shake));
        }
    }

    #[test]
    fn other_first_bytes_are_refused() {
        assert_eq!(Handshake::decode(&[0x13; HANDSHAKE_LENGTH]), Err(HandshakeError));
    }
}
