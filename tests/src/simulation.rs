//! A swarm without a network: the origin's own super-seeding, and leechers that choose as librqbit 9.1.0 does and are woken
//! as nova wakes them, on a clock that jumps from one event to the next. The same scene gives the same outcome everywhere.
//!
//! A link is two queues, one each way, that carry requests whole, first come first served. What TCP does to that (slow
//! start, lost packets, headers) is left out, and so is the time that processors and disks take.

mod bits;
mod clock;
mod leecher;
mod link;
mod origin;
mod swarm;

use std::time::Duration;

use nova_protocol::PieceLength;
use swarm::Swarm;

/// Who pulls what from whom.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Those who pull.
    pub leechers: Vec<Host>,
    /// What the origin's link carries each way, in bytes a second.
    pub origin_rate: u32,
    /// Bytes in all.
    pub length: u64,
    /// Bytes in a piece.
    pub piece_length: PieceLength,
    /// Bytes asked for at once: a block of 16 KiB, or more to be quicker.
    pub request: u32,
    /// Requests in flight on each connection.
    pub window: usize,
    /// Whether the origin super-seeds.
    pub super_seeds: bool,
    /// Peers that the tracker hands out to who comes.
    pub handout: usize,
    /// Open connections from which on a leecher dials nobody.
    pub dials: usize,
    /// Connections that the origin takes.
    pub origin_connections: usize,
    /// From one end to the other.
    pub latency: Duration,
    /// Where chance begins.
    pub seed: u64,
}

/// One who pulls.
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// What its link carries each way, in bytes a second.
    pub rate: u32,
    /// When it comes.
    pub starts: Duration,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// When each was done, in seconds since it came, in the order of the leechers.
    pub done: Vec<f64>,
    /// Bytes that the origin sent, over those of the content.
    pub copies: f64,
    /// Bytes that came twice, over all that were needed.
    pub waste: f64,
}

impl Scene {
    /// So many hosts behind equal links, as `bench-fleet` has them, that all come at once.
    pub fn fleet(hosts: usize, rate: u32, length: u64) -> Self {
        Self {
            leechers: vec![Host { rate, starts: Duration::ZERO }; hosts],
            origin_rate: rate,
            length,
            piece_length: PieceLength::for_total(length),
            request: 16 << 10,
            window: 4,
            super_seeds: true,
            handout: 50,
            dials: 18,
            origin_connections: 2000,
            latency: Duration::from_micros(200),
            seed: 7,
        }
    }

    /// Lets everybody pull until the last one is done.
    ///
    /// # Panics
    /// When nothing happens any more, and somebody is not done.
    pub fn run(&self) -> Outcome {
        Swarm::new(self).run()
    }

    /// Seconds in which everybody could be done at best, if all came at once.
    pub fn bound(&self) -> f64 {
        let rates: Vec<f64> = self.leechers.iter().map(|host| host.rate.into()).collect();
        bound(self.length as f64, self.origin_rate.into(), &rates)
    }

    fn pieces(&self) -> u32 {
        u32::try_from(self.length.div_ceil(self.piece_length.get().into())).expect("pieces are counted with 32 bits")
    }

    fn size_of(&self, piece: u32) -> u32 {
        let length = u64::from(self.piece_length.get());
        u32::try_from((self.length - u64::from(piece) * length).min(length)).expect("a piece is short")
    }
}

/// Seconds in which content of `length` bytes can reach everybody at best: it has to leave the seeders once, reach the
/// slowest leecher, and all copies together have to leave somebody (Kumar and Ross, Peer-Assisted File Distribution: The
/// Minimum Distribution Time, 2006). Rates are in bytes a second, both ways alike.
pub fn bound(length: f64, seeders: f64, leechers: &[f64]) -> f64 {
    let all = leechers.iter().sum::<f64>();
    let slowest = leechers.iter().copied().fold(f64::INFINITY, f64::min);
    let copies = leechers.len() as f64;
    (length / seeders).max(length / slowest).max(copies * length / (seeders + all))
}

/// The middle one, the 99th of a hundred, and the last of some times in order.
pub fn percentiles(done: &[f64]) -> [f64; 3] {
    [50, 99, 100].map(|percent| done[((done.len() - 1) * percent).div_ceil(100)])
}

#[cfg(test)]
mod tests;
