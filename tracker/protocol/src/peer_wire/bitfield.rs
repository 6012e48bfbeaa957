/// Which pieces somebody has, one bit each, the first piece in the highest bit (BEP 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitfield {
    bytes: Vec<u8>,
    pieces: u32,
    set: u32,
}

/// A bitfield that is not one of so many pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BitfieldError {
    /// Too few or too many bytes.
    #[error("bitfield of {found} bytes, expected {expected}")]
    Length {
        /// Its length.
        found: usize,
        /// One bit for each piece, rounded up.
        expected: usize,
    },
    /// Bits after the last piece.
    #[error("bitfield has spare bits set")]
    SpareBits,
}

impl Bitfield {
    /// None of so many pieces.
    pub fn empty(pieces: u32) -> Self {
        Self { bytes: vec![0; pieces.div_ceil(8) as usize], pieces, set: 0 }
    }

    /// All of so many pieces.
    pub fn full(pieces: u32) -> Self {
        let mut bytes = vec![0xff; pieces.div_ceil(8) as usize];
        if let (Some(last), 1..) = (bytes.last_mut(), pieces % 8) {
            *last <<= 8 - pieces % 8;
        }
        Self { bytes, pieces, set: pieces }
    }

    /// Reads the payload of a bitfield message.
    ///
    /// # Errors
    /// [`BitfieldError`].
    pub fn decode(bytes: Vec<u8>, pieces: u32) -> Result<Self, BitfieldError> {
        let expected = pieces.div_ceil(8) as usize;
        if bytes.len() != expected {
            return Err(BitfieldError::Length { found: bytes.len(), expected });
        }
        let spare = pieces.wrapping_neg() % 8;
        if bytes.last().is_some_and(|last| last.trailing_zeros() < spare) {
            return Err(BitfieldError::SpareBits);
        }
        let set = bytes.iter().map(|byte| byte.count_ones()).sum();
        Ok(Self { bytes, pieces, set })
    }

    /// The payload of a bitfield message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether piece `index` is there.
    pub fn has(&self, index: u32) -> bool {
        index < self.pieces && self.bytes[index as usize / 8] & bit(index) != 0
    }

    /// Notes that piece `index` is there. An index beyond the last piece is ignored.
    pub fn insert(&mut self, index: u32) {
        if index < self.pieces && !self.has(index) {
            self.bytes[index as usize / 8] |= bit(index);
            self.set += 1;
        }
    }

    /// How many pieces are there.
    pub const fn count(&self) -> u32 {
        self.set
    }

    /// Whether every piece is there.
    pub const fn is_full(&self) -> bool {
        self.set == self.pieces
    }
}

const fn bit(index: u32) -> u8 {
    0x80 >> (index % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_and_empty_have_no_spare_bits() {
        for pieces in 0..=17 {
            let full = Bitfield::full(pieces);
            assert_eq!(Bitfield::decode(full.as_bytes().to_vec(), pieces), Ok(full.clone()));
            assert!(full.is_full());
            assert_eq!(Bitfield::empty(pieces).count(), 0);
        }
    }

    #[test]
    fn pieces_fill_it_one_by_one() {
        let mut field = Bitfield::empty(9);
        for index in [8, 0, 0, 9, 3] {
            field.insert(index);
        }
        assert_eq!((field.as_bytes(), field.count()), (&[0b1001_0000, 0b1000_0000][..], 3));
        assert!(field.has(8) && !field.has(1) && !field.has(9) && !field.is_full());
    }

    #[test]
    fn wrong_lengths_and_spare_bits_are_refused() {
        assert!(matches!(Bitfield::decode(vec![0; 3], 9), Err(BitfieldError::Length { found: 3, expected: 2 })));
        assert_eq!(Bitfield::decode(vec![0, 1], 9), Err(BitfieldError::SpareBits));
    }
}
