use std::{cmp::Reverse, collections::BinaryHeap};

/// Nanoseconds since the start.
pub type Time = u64;

/// What happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// It comes.
    Joins,
    /// It has sent what it was sending.
    Sent,
    /// A request of it is answered.
    Received { connection: u32, piece: u32, bytes: u32 },
    /// Its sleeping connections look again.
    Wakes,
    /// It may meet others now, though it has nothing to give.
    Meets,
    /// The origin looks for offers that lapsed.
    Idles,
}

/// What is still to happen, in order; at one time, in the order in which it was planned.
#[derive(Debug, Default)]
pub struct Clock {
    pub now: Time,
    planned: BinaryHeap<Reverse<(Time, u64, u32, Happening)>>,
    count: u64,
}

impl Clock {
    pub fn plan(&mut self, at: Time, node: u32, happening: Happening) {
        self.count += 1;
        self.planned.push(Reverse((at.max(self.now), self.count, node, happening)));
    }

    /// Goes on to the next event.
    pub fn next(&mut self) -> Option<(u32, Happening)> {
        let Reverse((at, _, node, happening)) = self.planned.pop()?;
        self.now = at;
        Some((node, happening))
    }
}
