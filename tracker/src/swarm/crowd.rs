use std::sync::atomic::{AtomicUsize, Ordering};

/// How many peers there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crowd {
    /// Peers that give alone: those that have everything, and partial seeds.
    pub seeders: usize,
    /// Peers that fetch.
    pub leechers: usize,
}

impl Crowd {
    /// All of them.
    pub const fn total(self) -> usize {
        self.seeders + self.leechers
    }
}

/// How many swarms there are, and the crowd of them all together, which many threads change.
#[derive(Debug, Default)]
pub(super) struct Tally {
    swarms: AtomicUsize,
    seeders: AtomicUsize,
    leechers: AtomicUsize,
}

impl Tally {
    pub fn swarms(&self) -> usize {
        self.swarms.load(Ordering::Relaxed)
    }

    pub fn crowd(&self) -> Crowd {
        Crowd { seeders: self.seeders.load(Ordering::Relaxed), leechers: self.leechers.load(Ordering::Relaxed) }
    }

    pub fn swarm_came(&self) {
        self.swarms.fetch_add(1, Ordering::Relaxed);
    }

    pub fn swarm_gone(&self) {
        self.swarms.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes note that some swarms changed from one crowd to the other.
    pub fn shift(&self, before: Crowd, after: Crowd) {
        // Most announces change nothing. Addition wraps, so that a difference below zero subtracts.
        if before.seeders != after.seeders {
            self.seeders.fetch_add(after.seeders.wrapping_sub(before.seeders), Ordering::Relaxed);
        }
        if before.leechers != after.leechers {
            self.leechers.fetch_add(after.leechers.wrapping_sub(before.leechers), Ordering::Relaxed);
        }
    }
}
