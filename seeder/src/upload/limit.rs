use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use nova_protocol::BLOCK_LENGTH;

/// Blocks that are read and sent in one go: few wake-ups when there is no limit, little memory for each peer.
const BATCH: u32 = 16;

/// How fast content may leave.
pub(super) struct Limit {
    limiter: Option<DefaultDirectRateLimiter>,
    /// Blocks in one go: a batch never takes more than an eighth of a second's worth.
    pub batch: usize,
}

impl Limit {
    pub(super) fn new(bytes_per_second: Option<NonZeroU32>) -> Self {
        let rate = bytes_per_second.map(|rate| rate.max(NonZeroU32::new(4 * BLOCK_LENGTH).expect("not zero")));
        let batch = rate.map_or(BATCH, |rate| (rate.get() / BLOCK_LENGTH / 8).clamp(1, BATCH));
        Self { limiter: rate.map(|rate| RateLimiter::direct(Quota::per_second(rate))), batch: batch as usize }
    }

    /// Waits until so many bytes of a batch may be sent.
    pub(super) async fn acquire(&self, bytes: u32) {
        if let (Some(limiter), Some(bytes)) = (&self.limiter, NonZeroU32::new(bytes)) {
            let within_burst = limiter.until_n_ready(bytes).await;
            debug_assert!(within_burst.is_ok(), "a batch is smaller than a second's worth");
        }
    }
}
