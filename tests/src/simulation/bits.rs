/// Which of so many pieces, a bit each, looked at 64 at a time.
#[derive(Debug, Clone)]
pub struct Bits {
    words: Vec<u64>,
    pub count: u32,
}

impl Bits {
    pub fn none(pieces: u32) -> Self {
        Self { words: vec![0; pieces.div_ceil(64) as usize], count: 0 }
    }

    pub fn all(pieces: u32) -> Self {
        let mut bits = Self::none(pieces);
        (0..pieces).for_each(|piece| bits.insert(piece));
        bits
    }

    pub fn has(&self, piece: u32) -> bool {
        self.words[piece as usize / 64] >> (piece % 64) & 1 == 1
    }

    pub fn insert(&mut self, piece: u32) {
        self.count += u32::from(!self.has(piece));
        self.words[piece as usize / 64] |= 1 << (piece % 64);
    }

    pub fn remove(&mut self, piece: u32) {
        self.count -= u32::from(self.has(piece));
        self.words[piece as usize / 64] &= !(1 << (piece % 64));
    }

    /// The first that is in both.
    pub fn first_common(&self, other: &Self) -> Option<u32> {
        let both = self.words.iter().zip(&other.words).map(|(one, other)| one & other);
        let (index, word) = both.enumerate().find(|(_, word)| *word != 0)?;
        u32::try_from(index * 64).ok().map(|first| first + word.trailing_zeros())
    }
}
