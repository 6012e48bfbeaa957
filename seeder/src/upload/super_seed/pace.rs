use std::time::{Duration, Instant};

/// How often a rate is looked at.
const RATED_EVERY: Duration = Duration::from_millis(500);
/// Offers beyond the fewest are for so much time, so that requests never wait for them.
const AHEAD: Duration = Duration::from_millis(250);

/// How fast something is sent.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second.
    rate: u128,
    rated: Instant,
    /// Bytes sent since then.
    recent: u64,
}

impl Pace {
    pub(super) const fn new(now: Instant) -> Self {
        Self { rate: 0, rated: now, recent: 0 }
    }

    pub(super) fn sent(&mut self, bytes: u32, now: Instant) {
        self.recent += u64::from(bytes);
        let elapsed = now.duration_since(self.rated);
        if elapsed >= RATED_EVERY {
            self.rate = u128::from(self.recent) * 1000 / elapsed.as_millis();
            (self.rated, self.recent) = (now, 0);
        }
    }

    /// Pieces that go out in the time that offers are ahead.
    pub(super) fn ahead(&self, piece_length: u32) -> usize {
        let pieces = self.rate * AHEAD.as_millis() / 1000 / u128::from(piece_length);
        usize::try_from(pieces).unwrap_or(usize::MAX)
    }
}
