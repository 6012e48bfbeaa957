use crate::BLOCK_LENGTH;

/// A part of a piece that a peer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    /// Index of the piece.
    pub piece: u32,
    /// Where it starts in the piece, in bytes.
    pub offset: u32,
    /// In bytes; 16 KiB but at the end of the content.
    pub length: u32,
}

/// What peers say after the handshake.
///
/// A piece message is only ever received here; whoever sends one writes [`Message::piece_header`] and the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Nothing, every two minutes.
    KeepAlive,
    /// Requests will not be answered.
    Choke,
    /// Requests will be answered.
    Unchoke,
    /// The sender wants something that the receiver has.
    Interested,
    /// The sender wants nothing that the receiver has.
    NotInterested,
    /// The sender has this piece now.
    Have(u32),
    /// What the sender has, right after the handshake.
    Bitfield(Vec<u8>),
    /// Please send this.
    Request(Block),
    /// Some content.
    Piece {
        /// Index of the piece.
        piece: u32,
        /// Where it starts in the piece.
        offset: u32,
        /// The bytes.
        data: Vec<u8>,
    },
    /// Do not send this any more.
    Cancel(Block),
    /// The sender has everything (BEP 6).
    HaveAll,
    /// The sender has nothing (BEP 6).
    HaveNone,
    /// This request will not be answered (BEP 6).
    Reject(Block),
    /// An extension message (BEP 10).
    Extended {
        /// 0 for the handshake, otherwise what that said.
        id: u8,
        /// Bencode, and what follows it.
        payload: Vec<u8>,
    },
    /// A message of some other extension, to be ignored.
    Other(u8),
}

/// A message that is not as its kind must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Wrong length for its kind.
    #[error("message of kind {kind} with {found} bytes of payload")]
    Length {
        /// The first byte.
        kind: u8,
        /// Bytes after it.
        found: usize,
    },
}

impl Message {
    /// The length that a message of an uploading peer's partner may have, given the number of pieces: its bitfield, or
    /// an extension message of 64 KiB.
    pub fn length_limit(pieces: u32) -> u32 {
        (1 + pieces.div_ceil(8)).max(64 << 10)
    }

    /// Reads a message without its length prefix.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let Some((&kind, payload)) = bytes.split_first() else { return Ok(Self::KeepAlive) };
        let words = payload.as_chunks::<4>();
        let wrong_length = MessageError::Length { kind, found: payload.len() };
        let word = |index: usize| words.0.get(index).map(|word| u32::from_be_bytes(*word)).ok_or(wrong_length);
        let exactly =
            |length: usize, message: Self| if payload.len() == length { Ok(message) } else { Err(wrong_length) };
        let block = || Ok(Block { piece: word(0)?, offset: word(1)?, length: word(2)? });
        match kind {
            0 => exactly(0, Self::Choke),
            1 => exactly(0, Self::Unchoke),
            2 => exactly(0, Self::Interested),
            3 => exactly(0, Self::NotInterested),
            4 => exactly(4, Self::Have(word(0)?)),
            5 => Ok(Self::Bitfield(payload.to_vec())),
            6 => exactly(12, Self::Request(block()?)),
            7 => Ok(Self::Piece { piece: word(0)?, offset: word(1)?, data: payload[8..].to_vec() }),
            8 => exactly(12, Self::Cancel(block()?)),
            14 => exactly(0, Self::HaveAll),
            15 => exactly(0, Self::HaveNone),
            16 => exactly(12, Self::Reject(block()?)),
            20 => match payload.split_first() {
                Some((&id, payload)) => Ok(Self::Extended { id, payload: payload.to_vec() }),
                None => Err(wrong_length),
            },
            other => Ok(Self::Other(other)),
        }
    }

    /// Appends the message with its length prefix. An [`Message::Other`] has none.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::KeepAlive => out.extend_from_slice(&[0; 4]),
            Self::Choke => frame(out, 0, &[]),
            Self::Unchoke => frame(out, 1, &[]),
            Self::Interested => frame(out, 2, &[]),
            Self::NotInterested => frame(out, 3, &[]),
            Self::Have(piece) => frame(out, 4, &[&piece.to_be_bytes()]),
            Self::Bitfield(bytes) => frame(out, 5, &[bytes]),
            Self::Request(block) => frame(out, 6, &[&block.encode()]),
            Self::Piece { piece, offset, data } => {
                let length = u32::try_from(data.len()).expect("a block, not gigabytes");
                out.extend_from_slice(&Self::piece_header(Block { piece: *piece, offset: *offset, length }));
                out.extend_from_slice(data);
            }
            Self::Cancel(block) => frame(out, 8, &[&block.encode()]),
            Self::HaveAll => frame(out, 14, &[]),
            Self::HaveNone => frame(out, 15, &[]),
            Self::Reject(block) => frame(out, 16, &[&block.encode()]),
            Self::Extended { id, payload } => frame(out, 20, &[&[*id], payload]),
            Self::Other(_) => {}
        }
    }

    /// What precedes the bytes of a block on the wire.
    pub fn piece_header(block: Block) -> [u8; 13] {
        let mut header = [0; 13];
        header[..4].copy_from_slice(&(block.length + 9).to_be_bytes());
        header[4] = 7;
        header[5..9].copy_from_slice(&block.piece.to_be_bytes());
        header[9..].copy_from_slice(&block.offset.to_be_bytes());
        header
    }
}

impl Block {
    /// Whether a peer may ask for this of a piece of `piece_size` bytes: inside it, and at most 16 KiB.
    pub fn fits(&self, piece_size: u32) -> bool {
        let inside = self.offset.checked_add(self.length).is_some_and(|end| end <= piece_size);
        inside && (1..=BLOCK_LENGTH).contains(&self.length)
    }

    fn encode(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (four, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip([self.piece, self.offset, self.length]) {
            *four = value.to_be_bytes();
        }
        bytes
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, payload: &[&[u8]]) {
    let length = 1 + payload.iter().map(|part| part.len()).sum::<usize>();
    out.extend_from_slice(&u32::try_from(length).expect("a message, not gigabytes").to_be_bytes());
    out.push(kind);
    for part in payload {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Block = Block { piece: 1, offset: 2 << 14, length: 1 << 14 };

    #[test]
    fn messages_round_trip() {
        let messages = [
            Message::KeepAlive,
            Message::Choke,
            Message::Unchoke,
            Message::Interested,
            Message::NotInterested,
            Message::Have(70_000),
            Message::Bitfield(vec![0xf0]),
            Message::Request(BLOCK),
            Message::Piece { piece: 3, offset: 4, data: vec![5, 6] },
            Message::Cancel(BLOCK),
            Message::HaveAll,
            Message::HaveNone,
            Message::Reject(BLOCK),
            Message::Extended { id: 3, payload: b"de".to_vec() },
        ];
        for message in messages {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            assert_eq!((length, Message::decode(&bytes[4..])), (bytes.len() - 4, Ok(message)));
        }
    }

    #[test]
    fn messages_of_the_wrong_length_are_refused() {
        for bytes in [&[0, 1][..], &[4, 0, 0], &[6, 0, 0, 0, 0], &[7, 0], &[14, 0], &[20], &[4, 0, 0, 0, 0, 0]] {
            assert!(Message::decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn unknown_kinds_are_passed_on_as_such() {
        assert_eq!(Message::decode(&[9, 0, 0]), Ok(Message::Other(9)));
    }

    #[test]
    fn a_block_lies_inside_its_piece() {
        let block = |offset, length| Block { piece: 0, offset, length };
        assert!(block(0, 1).fits(1) && block(1 << 14, 1 << 14).fits(1 << 15));
        for outside in [block(0, 0), block(0, 2), block(1, 1), block(u32::MAX, 2)] {
            assert!(!outside.fits(1), "{outside:?}");
        }
        assert!(!block(0, (1 << 14) + 1).fits(1 << 20));
    }
}
