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
//! Seeders of the same content start at different places. One that comes to where another has started finds pieces
//! gone, and would go on beside it from then on, offering the same. It leaps ahead instead, by the golden section of all,
//! so that no leap ends near where an earlier one did.

use std::collections::BTreeSet;

/// Pieces of a crowd's end at one of which a seeder starts: the last are the last to be asked for.
const END: u32 = 256;
/// So many pieces that are gone are another seeder's.
const GAP: u32 = 32;

#[derive(Debug)]
pub(super) struct Order {
    /// Pieces in all.
    count: u32,
    /// Any number, and another for each seeder.
    turn: u32,
    is_crowd: bool,
    /// Where it goes on: upwards, in a crowd downwards.
    next: u32,
}

impl Order {
    pub(super) fn new(count: u32, turn: u32) -> Self {
        Self { count, turn, is_crowd: false, next: turn.checked_rem(count).unwrap_or(0) }
    }

    /// The next of these pieces that is wanted.
    pub(super) fn choose(
        &mut self,
        fresh: &BTreeSet<u32>,
        is_crowd: bool,
        is_wanted: impl Fn(&u32) -> bool,
    ) -> Option<u32> {
        if is_crowd != self.is_crowd {
            self.is_crowd = is_crowd;
            self.next = if is_crowd { self.count - 1 - self.turn % END.min(self.count) } else { self.next };
        }
        let mut chosen = self.first(fresh, &is_wanted)?;
        let is_ahead = (chosen < self.next) == is_crowd;
        if is_ahead && chosen.abs_diff(self.next) >= GAP {
            self.next = self.leap(chosen);
            chosen = self.first(fresh, &is_wanted)?;
        }
        self.next = if is_crowd { chosen.saturating_sub(1) } else { chosen + 1 };
        Some(chosen)
    }

    fn leap(&self, from: u32) -> u32 {
        let count = u64::from(self.count);
        u32::try_from((u64::from(from) + count * 618 / 1000) % count).expect("less than the count")
    }

    fn first(&self, fresh: &BTreeSet<u32>, is_wanted: &impl Fn(&u32) -> bool) -> Option<u32> {
        let border = self.next + u32::from(self.is_crowd);
        let (below, above) = (fresh.range(..border), fresh.range(border..));
        let found = if self.is_crowd {
            below.rev().chain(above.rev()).find(|piece| is_wanted(piece))
        } else {
            above.chain(below).find(|piece| is_wanted(piece))
        };
        found.copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a seeder chooses when it is asked so often, and others choose nothing.
    fn chosen(order: &mut Order, fresh: &mut BTreeSet<u32>, is_crowd: bool, times: usize) -> Vec<u32> {
        let mut choose = || {
            let piece = order.choose(fresh, is_crowd, |_| true)?;
            fresh.remove(&piece);
            Some(piece)
        };
        std::iter::from_fn(&mut choose).take(times).collect()
    }

    #[test]
    fn every_piece_has_its_turn() {
        for (count, turn) in [(1, 9), (255, 0), (256, 1), (257, u32::MAX), (1000, 77)] {
            for is_crowd in [false, true] {
                let mut fresh = (0..count).collect();
                let mut pieces = chosen(&mut Order::new(count, turn), &mut fresh, is_crowd, usize::MAX);
                pieces.sort_unstable();
                assert_eq!(pieces, (0..count).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_first_pieces_leave_first_and_in_a_crowd_the_last() {
        let mut fresh = (0..1000).collect();
        let mut order = Order::new(1000, 0);
        assert_eq!(chosen(&mut order, &mut fresh, false, 3), [0, 1, 2]);
        assert_eq!(chosen(&mut order, &mut fresh, true, 3), [999, 998, 997]);
        assert_eq!(chosen(&mut order, &mut fresh, false, 2), [996, 3]);
    }

    #[test]
    fn seeders_start_at_different_places() {
        let first = |turn, is_crowd| chosen(&mut Order::new(1000, turn), &mut (0..1000).collect(), is_crowd, 2);
        assert_eq!((first(77, false), first(1999, false)), (vec![77, 78], vec![999, 0]));
        assert_eq!((first(77, true), first(256 + 9, true)), (vec![922, 921], vec![990, 989]));
    }

    #[test]
    fn a_seeder_that_comes_to_where_another_was_leaves_it_alone() {
        for (is_crowd, gone, chooses) in [(false, 10..100, [9, 718, 719]), (true, 900..990, [990, 517, 516])] {
            let mut fresh: BTreeSet<u32> = (0..1000).filter(|piece| !gone.contains(piece)).collect();
            let mut order = Order::new(1000, 9);
            assert_eq!(chosen(&mut order, &mut fresh, is_crowd, 3), chooses);
        }
    }
}
