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
use tokio::{
    net::{TcpStream, ToSocketAddrs},
    time::timeout,
};

/// Bytes a second that one connection must be able to carry: half a Gbit/s.
pub(super) const RATE: u64 = 64_000_000;
/// How often the round trip is measured: a host that has just been told to pull is busy.
const TRIES: usize = 3;
/// What one of a fleet has in flight at least, by the table above.
pub(super) const FEWEST: usize = 4;
/// What librqbit itself has in flight.
const MAX: usize = 128;
/// When nobody can be asked how long a round trip is.
const UNKNOWN: usize = 16;
/// All of the measuring; where it takes longer, a packet was lost.
const PATIENCE: Duration = Duration::from_millis(250);

/// Requests in flight to each peer, of 16 KiB each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// So many.
    Fixed(usize),
    /// As many as the round trip needs, and at least the few that one of a fleet should have.
    OneOfMany,
    /// As many as the round trip needs, and at least those of a piece. With more, an origin would have to offer small
    /// pieces by the dozen to one of whom it knows nothing yet.
    OneAlone,
}

impl Window {
    /// The fewest requests in flight that there may be, for pieces of so many bytes.
    pub(super) fn least(self, piece_length: u32) -> usize {
        match self {
            Self::Fixed(requests) => requests,
            Self::OneOfMany => FEWEST,
            Self::OneAlone => piece_length.div_ceil(BLOCK_LENGTH).clamp(6, 16) as usize,
        }
    }
}

/// The bytes of so many requests.
pub(super) fn in_flight(requests: usize) -> u64 {
    u64::try_from(requests).unwrap_or(u64::MAX).saturating_mul(BLOCK_LENGTH.into())
}

/// How many requests in flight fill the link to peers that are as far away as the nearer of these: an address of one, and
/// the host and port of the tracker. Behind a link that is full the first looks far away; the second is seldom there.
pub(super) async fn requests(peer: Option<&SocketAddr>, tracker: Option<(&str, u16)>) -> usize {
    let Some(peer) = peer else { return UNKNOWN };
    let to_tracker = async { round_trip(tracker?).await };
    let (to_peer, to_tracker) = tokio::join!(round_trip(peer), to_tracker);
    to_peer.into_iter().chain(to_tracker).min().map_or(UNKNOWN, requests_after)
}

/// The shortest of some, if there is any.
async fn round_trip(to: impl ToSocketAddrs + Copy) -> Option<Duration> {
    let mut shortest = None;
    let tries = async {
        for _ in 0..TRIES {
            let start = Instant::now();
            let Ok(_connected) = TcpStream::connect(to).await else { return };
            let took = start.elapsed();
            shortest = Some(shortest.map_or(took, |known: Duration| known.min(took)));
        }
    };
    let _all_or_some = timeout(PATIENCE, tries).await;
    shortest
}

fn requests_after(round_trip: Duration) -> usize {
    let blocks = (u128::from(RATE) * round_trip.as_micros()).div_ceil(1_000_000 * u128::from(BLOCK_LENGTH));
    usize::try_from(blocks).unwrap_or(MAX).min(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_fills_the_link_at_every_round_trip() {
        let after = |micros| requests_after(Duration::from_micros(micros));
        assert_eq!([0, 100, 1000, 5000, 20_000, 1_000_000].map(after), [0, 1, 4, 20, 79, 128]);
    }

    #[test]
    fn one_alone_has_a_small_piece_in_flight_and_one_of_a_fleet_less() {
        let least = |window: Window| [16, 32, 64, 128, 256, 4096].map(|kib| window.least(kib << 10));
        assert_eq!(least(Window::OneAlone), [6, 6, 6, 8, 16, 16]);
        assert_eq!(least(Window::OneOfMany), [4; 6]);
    }

    #[tokio::test]
    async fn nobody_to_ask_is_no_error() {
        let gone = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(requests(None, None).await, UNKNOWN);
        assert_eq!(requests(Some(&gone), Some(("127.0.0.1", 1))).await, UNKNOWN);
    }

    #[tokio::test]
    async fn a_tracker_that_is_near_says_how_far_it_is_to_a_peer_behind_a_full_link() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = SocketAddr::from(([192, 0, 2, 1], 1));
        let port = listener.local_addr().unwrap().port();
        assert!(requests(Some(&silent), Some(("127.0.0.1", port))).await < UNKNOWN);
    }
}
