use std::sync::atomic::{AtomicUsize, Ordering};

/// How many peers there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crowd {
    /// Peers that have everything.
    pub seeders: usize,
    /// Peers that do not.
    pub leechers: usize,
}

impl Crowd {
    /// All of them.
    pub const fn total(self) -> usize {
        self.seeders + self.leechers
    }
}

/// The crowd of all swarms together, which many threads change.
#[derive(Debug, Default)]
pub(super) struct Tally {
    seeders: AtomicUsize,
    leechers: AtomicUsize,
}

impl Tally {
    pub fn get(&self) -> Crowd {
        Crowd { seeders: self.seeders.load(Ordering::Relaxed), leechers: self.leechers.load(Ordering::Relaxed) }
    }

    /// Takes note that some swarms changed from one crowd to the other.
    pub fn shift(&self, before: Crowd, after: Crowd) {
        // Addition wraps, so that a difference below zero subtracts.
        self.seeders.fetch_add(after.seeders.wrapping_sub(before.seeders), Ordering::Relaxed);
        self.leechers.fetch_add(after.leechers.wrapping_sub(before.leechers), Ordering::Relaxed);
    }
}
