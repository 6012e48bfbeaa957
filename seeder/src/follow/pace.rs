//! Pauses that differ from one host to the next, so that a fleet does not ask in step.

use std::time::Duration;

use rand::Rng;

/// A random time, half to one and a half of `mean`.
pub(super) fn jittered(mean: Duration) -> Duration {
    mean.mul_f64(rand::rng().random_range(0.5..1.5))
}

/// A random time of at most `longest`.
pub(super) fn spread(longest: Duration) -> Duration {
    longest.mul_f64(rand::rng().random_range(0.0..1.0))
}

/// The pause after so many failures in a row: about a second, then twice as long each time, until it is about `longest`.
pub(super) fn backoff(failures: u32, longest: Duration) -> Duration {
    jittered(Duration::from_secs(1).saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_differ() {
        let longest = Duration::from_secs(30);
        for (failures, mean) in [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (u32::MAX, 30)] {
            let pauses: Vec<_> = (0..100).map(|_| backoff(failures, longest)).collect();
            let mean = Duration::from_secs(mean);
            assert!(pauses.iter().all(|&pause| mean / 2 <= pause && pause < mean * 3 / 2), "{failures}: {pauses:?}");
            assert!(pauses.iter().any(|&pause| pause != pauses[0]));
        }
        assert!((0..100).all(|_| spread(longest) < longest));
    }
}
