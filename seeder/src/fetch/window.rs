//! How many requests are in flight on a connection.
//!
//! Enough to fill a fast link at the round trip that there is, and no more: in a swarm everybody has many connections, and
//! what is asked of one peer cannot be had from another. Eight leechers behind 50 Mbit/s, pieces of 256 KiB, the time
//! until the last one is done over the time that the links need: 1.05 with 4 requests, 1.06 with 6, 1.09 with 8, 1.15
//! with 16, 1.25 with 32. librqbit takes a piece away from a peer that is slower than others, and what was on its way
//! comes twice.

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
/// Fewer, and one connection on loopback is slower for it: by a sixth with 4.
const MIN: usize = 6;
/// What librqbit itself has in flight.
const MAX: usize = 128;
/// When nobody can be asked how long a round trip is.
const UNKNOWN: usize = 16;
const PATIENCE: Duration = Duration::from_secs(1);

/// Requests in flight to peers that are as far away as this one.
pub(super) async fn by_round_trip(peer: Option<&SocketAddr>) -> usize {
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
    usize::try_from(blocks).unwrap_or(MAX).clamp(MIN, MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_fills_the_link_at_every_round_trip() {
        let after = |micros| requests(Duration::from_micros(micros));
        assert_eq!([0, 100, 1000, 5000, 20_000, 1_000_000].map(after), [6, 6, 6, 20, 79, 128]);
    }

    #[tokio::test]
    async fn nobody_to_ask_is_no_error() {
        let gone = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!((by_round_trip(None).await, by_round_trip(Some(&gone)).await), (UNKNOWN, UNKNOWN));
    }
}
