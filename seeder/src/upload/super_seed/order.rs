//! In which order pieces leave.
//!
//! librqbit asks for the first piece that it can have. If the first leave first, what has just left, and of which there
//! are the fewest copies, is asked for after everything else. That is well while everybody can have it from everybody.
//! In a crowd the last leave first: then, without knowing it, everybody takes the rarest first, and what is new spreads
//! at once. Simulated time over the bound, and clients that do choose the rarest first do not mind either:
//!
//! | peers | 8 | 16 | 32 | 64 | 100 | 200 |
//! |---|---|---|---|---|---|---|
//! | the first first | 1.01 | 1.03 | 1.13 | 1.15 | 1.19 | 1.22 |
//! | the last first | 1.04 | 1.04 | 1.07 | 1.09 | 1.12 | 1.12 |
//!
//! Seeders of the same content start at different places of each chunk, or they would all send the same.

/// Pieces in a chunk: many more than there are offers at a time, so that seeders seldom meet.
const CHUNK: u32 = 256;

#[derive(Debug)]
pub(super) struct Order {
    /// Pieces in all.
    pub count: u32,
    /// Any number, and another for each seeder.
    pub turn: u32,
}

impl Order {
    /// The place of a piece.
    pub(super) fn place(&self, piece: u32) -> u32 {
        let (start, length, index) = self.chunk(piece);
        start + (index + self.turn % length) % length
    }

    /// The piece at a place.
    pub(super) fn piece(&self, place: u32) -> u32 {
        let (start, length, index) = self.chunk(place);
        start + (index + length - self.turn % length) % length
    }

    /// The chunk of a place: where it starts, how long it is, and which of it the place is.
    fn chunk(&self, place: u32) -> (u32, u32, u32) {
        let start = place - place % CHUNK;
        (start, CHUNK.min(self.count - start), place - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_has_a_place() {
        for (count, turn) in [(1, 9), (255, 0), (256, 1), (257, u32::MAX), (1000, 77)] {
            let order = Order { count, turn };
            let mut pieces: Vec<u32> = (0..count).map(|place| order.piece(place)).collect();
            assert!((0..count).all(|piece| order.piece(order.place(piece)) == piece));
            pieces.sort_unstable();
            assert_eq!(pieces, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn seeders_start_at_different_places() {
        let first = |turn| (0..3).map(|place| Order { count: 1000, turn }.piece(place)).collect::<Vec<_>>();
        assert_eq!((first(0), first(2), first(256)), (vec![0, 1, 2], vec![254, 255, 0], vec![0, 1, 2]));
    }
}
