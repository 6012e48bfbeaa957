//! How fast content went through.

use std::time::Duration;

/// Megabytes in a second.
pub fn rate(bytes: u64, elapsed: Duration) -> f64 {
    bytes as f64 / elapsed.as_secs_f64() / 1e6
}
