use std::time::{Duration, Instant};

/// Seconds in a tick.
const SECONDS: u64 = 4;

/// A coarse moment in two bytes, which wraps after three days. Only moments less than half of that apart are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tick(u16);

impl Tick {
    pub const ZERO: Self = Self(0);

    /// How long ago an earlier moment was.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.wrapping_sub(earlier.0) as u64 * SECONDS)
    }

    /// So much later, rounded up; a day and a half at most.
    pub fn after(self, time: Duration) -> Self {
        let ticks = i16::try_from(time.as_secs().div_ceil(SECONDS)).unwrap_or(i16::MAX);
        Self(self.0.wrapping_add_signed(ticks))
    }

    /// So much earlier, rounded down.
    pub fn before(self, time: Duration) -> Self {
        let ticks = i16::try_from(time.as_secs() / SECONDS).unwrap_or(i16::MAX);
        Self(self.0.wrapping_sub(ticks.unsigned_abs()))
    }

    /// Whether this moment has come.
    pub const fn is_over(self, now: Self) -> bool {
        now.0.wrapping_sub(self.0).cast_signed() >= 0
    }
}

/// Ticks since the start.
#[derive(Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub fn new() -> Self {
        Self(Instant::now())
    }

    pub fn tick(&self, now: Instant) -> Tick {
        #[expect(clippy::cast_possible_truncation, reason = "ticks wrap")]
        Tick((now.saturating_duration_since(self.0).as_secs() / SECONDS) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_compare_across_the_wrap() {
        let late = Tick(u16::MAX - 1);
        let later = late.after(Duration::from_secs(40));
        assert_eq!(later.since(late), Duration::from_secs(40));
        assert_eq!(later.before(Duration::from_secs(40)), late);
        assert!(!later.is_over(late) && later.is_over(later) && late.is_over(later));
    }

    #[test]
    fn what_is_too_far_for_a_tick_is_as_far_as_can_be() {
        let far = Tick::ZERO.after(Duration::from_secs(1_000_000));
        assert!(!far.is_over(Tick::ZERO) && far.since(Tick::ZERO) > Duration::from_secs(130_000));
    }
}
