//! What a download waits for.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use nova_protocol::api::WaitsFor;

/// How long nothing may come in before that is said.
const QUIET: Duration = Duration::from_secs(5);
/// How long a block may take to be written.
const SLOW_DISK: Duration = Duration::from_secs(5);

/// How long nothing has come in.
pub(super) struct Pace {
    bytes: u64,
    since: Instant,
}

/// What is known of a download at some moment.
pub(super) struct Scene {
    /// For so long nothing has come in.
    pub still: Duration,
    /// So many are connected.
    pub peers: u32,
    /// Bytes a second that come in.
    pub rate: u64,
    /// Bytes a second that may come in.
    pub limit: Option<u64>,
    /// For so long the disk has been at one block.
    pub disk: Duration,
}

/// Since when a block is being written; one at a time, for the session has one thread.
#[derive(Debug)]
pub(super) struct Writing {
    epoch: Instant,
    /// Milliseconds after the epoch, and one; 0 for nothing.
    since: AtomicU64,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { bytes: 0, since: now }
    }

    /// Takes in how many bytes have come so far, and says for how long there were no more.
    pub(super) fn still(&mut self, bytes: u64, now: Instant) -> Duration {
        if bytes != self.bytes {
            *self = Self { bytes, since: now };
        }
        now.duration_since(self.since)
    }
}

impl Scene {
    pub(super) fn waits_for(&self) -> Option<WaitsFor> {
        let is_at_limit = self.limit.is_some_and(|limit| self.rate.saturating_mul(10) >= limit.saturating_mul(9));
        if self.disk >= SLOW_DISK {
            Some(WaitsFor::Disk)
        } else if self.still >= QUIET {
            Some(if self.peers == 0 { WaitsFor::Peers } else { WaitsFor::Pieces })
        } else {
            is_at_limit.then_some(WaitsFor::DownloadLimit)
        }
    }
}

impl Default for Writing {
    fn default() -> Self {
        Self { epoch: Instant::now(), since: AtomicU64::new(0) }
    }
}

impl Writing {
    /// Writes, and lets others know for how long already.
    pub(super) fn during<T>(&self, write: impl FnOnce() -> T) -> T {
        self.since.store(self.now(), Relaxed);
        let written = write();
        self.since.store(0, Relaxed);
        written
    }

    /// For how long a block is being written.
    pub(super) fn busy(&self) -> Duration {
        match self.since.load(Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.now().saturating_sub(since)),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).map_or(u64::MAX, |millis| millis.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOING: Scene = Scene { still: Duration::ZERO, peers: 2, rate: 1000, limit: None, disk: Duration::ZERO };

    #[test]
    fn a_download_that_goes_on_waits_for_nothing() {
        assert_eq!(GOING.waits_for(), None);
        assert_eq!(Scene { limit: Some(2000), ..GOING }.waits_for(), None);
    }

    #[test]
    fn what_is_waited_for_is_the_first_thing_in_the_way() {
        assert_eq!(Scene { limit: Some(1100), ..GOING }.waits_for(), Some(WaitsFor::DownloadLimit));
        assert_eq!(Scene { still: QUIET, ..GOING }.waits_for(), Some(WaitsFor::Pieces));
        assert_eq!(Scene { still: QUIET, peers: 0, ..GOING }.waits_for(), Some(WaitsFor::Peers));
        assert_eq!(Scene { still: QUIET, peers: 0, disk: SLOW_DISK, ..GOING }.waits_for(), Some(WaitsFor::Disk));
    }

    #[test]
    fn bytes_start_the_clock_anew() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(pace.still(0, at(3)).as_secs(), 3);
        assert_eq!(pace.still(5, at(4)).as_secs(), 0);
        assert_eq!(pace.still(5, at(9)).as_secs(), 5);
    }

    #[test]
    fn a_disk_is_busy_while_it_writes() {
        let writing = Writing::default();
        assert_eq!(writing.busy(), Duration::ZERO);
        writing.during(|| {
            while writing.busy() < Duration::from_millis(2) {
                std::thread::yield_now();
            }
        });
        assert_eq!(writing.busy(), Duration::ZERO);
    }
}
