//! How many requests are in flight on a connection.
//!
//! Enough to fill a fast link at the round trip that there is, and no more: in a swarm everybody has many connections, and
//! what is asked of one peer cannot be had from another. librqbit takes a piece away from a peer that is slower than
//! others, and what was on its way comes twice. The time until the last one is done over the time that the links need,
//! single runs:
//!
//! | requests in flight | 2 | 3 | 4 | 6 | 8 | 16 | 32 |
//! |---|---|---|---|---|---|---|---|
//! | 8 leechers behind 50 Mbit/s, pieces of 256 KiB | | | 1.05 | 1.06 | 1.09 | 1.15 | 1.25 |
//! | 16 leechers behind 25 Mbit/s, pieces of 64 KiB | 1.08 | 1.14 | | 1.32 | | | |
//!
//! A pull over loopback from one origin loses a sixth with 4, against 16.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use nova_protocol::BLOCK_LENGTH;
use tokio::{net::TcpStream, time::timeout};

/// Bytes in a microsecond that one connection must be able to carry: half a Gbit/s.
const RATE: u128 = 64;
/// How often the round trip is measured: a host that has just been told to pull is busy.
const TRIES: usize = 3;
/// What librqbit itself has in flight.
const MAX: usize = 128;
/// When nobody can be asked how long a round trip is.
const UNKNOWN: usize = 16;
const PATIENCE: Duration = Duration::from_secs(1);

/// Requests in flight to each peer, of 16 KiB each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// So many.
    Fixed(usize),
    /// As many as the round trip needs, and so many at least: few for one of a fleet, more for one alone.
    AtLeast(usize),
}

impl Window {
    /// The fewest requests in flight that there may be.
    pub(super) const fn least(self) -> usize {
        match self {
            Self::Fixed(requests) | Self::AtLeast(requests) => requests,
        }
    }

    /// Requests in flight to peers that are as far away as this one.
    pub(super) async fn requests(self, peer: Option<&SocketAddr>) -> usize {
        match self {
            Self::Fixed(requests) => requests,
            Self::AtLeast(least) => by_round_trip(peer).await.max(least),
        }
    }
}

async fn by_round_trip(peer: Option<&SocketAddr>) -> usize {
    let Some(peer) = peer else { return UNKNOWN };
    let mut shortest = PATIENCE;
    for _ in 0..TRIES {
        let start = Instant::now();
        let Ok(Ok(_connected)) = timeout(PATIENCE, TcpStream::connect(peer)).await else { return UNKNOWN };
        shortest = shortest.min(start.elapsed());
    }
    requests(shortest)
}

fn requests(round_trip: Duration) -> usize {
    let blocks = (RATE * round_trip.as_micros()).div_ceil(BLOCK_LENGTH.into());
    usize::try_from(blocks).unwrap_or(MAX).min(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_fills_the_link_at_every_round_trip() {
        let after = |micros| requests(Duration::from_micros(micros));
        assert_eq!([0, 100, 1000, 5000, 20_000, 1_000_000].map(after), [0, 1, 4, 20, 79, 128]);
    }

    #[tokio::test]
    async fn nobody_to_ask_is_no_error() {
        let gone = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(Window::AtLeast(4).requests(None).await, UNKNOWN);
        assert_eq!(Window::AtLeast(4).requests(Some(&gone)).await, UNKNOWN);
    }
}
