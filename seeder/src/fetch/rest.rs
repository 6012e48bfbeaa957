//! How long the thread of librqbit rests between two looks at what has come.
//!
//! Behind a slow link frames come one by one, and each wakes librqbit for its 1,448 bytes. When it looks less often, it
//! finds more at once. What that may cost is time: a request waits for up to one rest at the peer, and its answer for
//! another here. So a rest is no longer than the busiest connection takes for a third of what is in flight on it, in
//! one direction. Rests of fixed lengths, one run each: seconds of processor time for a GiB, and the time until the last
//! one is done over what the links need:
//!
//! | rests of ms | 1 | 4 | 10 | 20 | 40 | 80 |
//! |---|---|---|---|---|---|---|
//! | 8 leechers behind 50 Mbit/s, where a block takes 23 ms | 11.5 | 9.7 | 9.0 | 7.0 | 6.5 | |
//! | the same, time | 1.03 | 1.03 | 1.03 | 1.04 | 1.10 | |
//! | 16 behind 25 Mbit/s, where a block takes 93 ms | 21 | | | 14 | 10 | 8 |
//! | the same, time | 1.11 | | | 1.10 | 1.11 | 1.10 |
//!
//! While several peers give a torrent, it is a millisecond at least. A connection of librqbit 9.1.0 takes a piece away from
//! another that has had it for ten times as long as the connection itself takes for one on average, or for three times when
//! it has nothing else to ask for (`try_steal`). That average is in whole milliseconds: when it is 0 the connections take
//! all pieces away from each other all the time, and what was on its way comes again. Three agents on one machine received
//! up to 1.7 times the content, and one of them 14 GiB for 258 MiB.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    status::{Exchange, rate},
    window::{FEWEST, in_flight},
};

/// Rests are no shorter while several peers give, and none are taken that would be shorter while one does.
const LEAST: Duration = Duration::from_millis(1);
/// What else the thread does waits for as long, such as greeting who dials.
const MOST: Duration = Duration::from_millis(50);
/// A rest is no longer than a connection takes for one of so many parts of what is in flight. With 4 of them eight
/// leechers behind 50 Mbit/s took 4.2 s of processor time a GiB and 1.055 times what their links need, with 3 they took
/// 3.8 s and 1.065, and with 2.4 no less of the first and 1.09.
const PARTS: u64 = 3;
/// Looks over which a rate is taken; behind 50 Mbit/s four blocks come in one, more or less.
const LOOKS: u64 = 8;

/// The rests of all torrents of a session. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Rests {
    torrents: Arc<Mutex<Torrents>>,
    /// How long a rest is now, in microseconds: the thread asks far more often than it changes.
    length: Arc<AtomicU64>,
}

#[derive(Default)]
struct Torrents {
    last: u64,
    bounds: HashMap<u64, Bounds>,
}

/// How long a rest must and may be for a torrent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bounds {
    least: Duration,
    /// None while nothing moves.
    most: Option<Duration>,
}

/// What a torrent says to it, until it is dropped.
pub(super) struct Rest {
    rests: Rests,
    id: u64,
    /// Bytes in flight on a connection.
    window: u64,
    connections: HashMap<SocketAddr, [Flow; 2]>,
    others: Flow,
}

/// Bytes that go one way.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    /// So far; none before the first look.
    sum: Option<u64>,
    /// Bytes a second, over some looks.
    rate: u64,
}

impl Rests {
    /// A torrent with so many requests in flight on each connection, of which nothing moves yet.
    pub(super) fn torrent(&self, window: usize) -> Rest {
        let mut torrents = self.torrents();
        torrents.last += 1;
        Rest {
            rests: self.clone(),
            id: torrents.last,
            window: in_flight(window),
            connections: HashMap::new(),
            others: Flow::default(),
        }
    }

    /// How long a rest is now.
    pub(super) fn length(&self) -> Duration {
        Duration::from_micros(self.length.load(Relaxed))
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<u64, Bounds>)) {
        let mut torrents = self.torrents();
        change(&mut torrents.bounds);
        let bounds = || torrents.bounds.values();
        let least = bounds().map(|bounds| bounds.least).max().unwrap_or_default();
        let most = bounds().filter_map(|bounds| bounds.most).min().unwrap_or_default();
        let length = least.max(if most < LEAST { Duration::ZERO } else { most });
        self.length.store(u64::try_from(length.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    fn torrents(&self) -> MutexGuard<'_, Torrents> {
        self.torrents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rest {
    /// Takes in what was exchanged with each peer so far, how many give, and how many bytes other torrents have moved so far,
    /// so long after it did that before.
    pub(super) fn look(&mut self, exchanged: &[Exchange], peers: u32, others: u64, elapsed: Duration) {
        // Those of another torrent may be one connection's, with as few in flight as there ever are.
        let fewest = in_flight(FEWEST) / PARTS;
        let mut most = time(fewest, self.others.look(others, elapsed));
        let before = std::mem::take(&mut self.connections);
        for exchange in exchanged {
            let mut flows = before.get(&exchange.addr).copied().unwrap_or_default();
            let sums = [(exchange.received, self.window / PARTS), (exchange.sent, fewest)];
            for (flow, (sum, part)) in flows.iter_mut().zip(sums) {
                most = most.min(time(part, flow.look(sum, elapsed)));
            }
            self.connections.insert(exchange.addr, flows);
        }
        let least = if peers > 1 { LEAST } else { Duration::ZERO };
        // Longer only step by step: a download that has just begun is slow for another reason.
        self.rests.change(|all| {
            let bounds = all.entry(self.id).or_default();
            let step = bounds.most.unwrap_or_default().max(LEAST) * 5 / 4;
            let most = (most < Duration::MAX).then(|| most.min(MOST).min(step));
            *bounds = Bounds { least, most };
        });
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.rests.change(|all| {
            all.remove(&self.id);
        });
    }
}

impl Flow {
    /// Takes in a sum, and says the rate: what it has been for some time, or half of what it is now if that is more; 0 if
    /// nothing moved.
    fn look(&mut self, sum: u64, elapsed: Duration) -> u64 {
        let now = rate(sum.saturating_sub(self.sum.unwrap_or(sum)), elapsed);
        self.sum = Some(sum);
        self.rate = self.rate / LOOKS * (LOOKS - 1) + now / LOOKS;
        if now == 0 { 0 } else { self.rate.max(now / 2) }
    }
}

/// What so many bytes take at a rate.
fn time(bytes: u64, rate: u64) -> Duration {
    match bytes.saturating_mul(1_000_000).checked_div(rate) {
        Some(micros) => Duration::from_micros(micros),
        None => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(80);

    /// So many peers that give and take so many bytes a second each.
    fn exchange(peers: u16, rate: u64, looks: u64) -> Vec<Exchange> {
        let bytes = rate / 1000 * 80 * looks;
        let peer = |port| Exchange { addr: ([10, 0, 0, 1], port).into(), received: bytes, sent: bytes };
        (0..peers).map(peer).collect()
    }

    fn after(rest: &mut Rest, peers: u16, rate: u64, looks: std::ops::Range<u64>) -> Duration {
        looks.for_each(|look| rest.look(&exchange(peers, rate, look), peers.into(), 0, LOOK));
        rest.rests.length()
    }

    fn millis(range: std::ops::RangeInclusive<u64>) -> std::ops::RangeInclusive<Duration> {
        Duration::from_millis(*range.start())..=Duration::from_millis(*range.end())
    }

    #[test]
    fn a_rest_is_as_long_as_a_connection_takes_for_a_third_of_what_is_in_flight() {
        let length = |window, peers, rate| after(&mut Rests::default().torrent(window), peers, rate, 0..60);
        assert!(millis(27..=31).contains(&length(4, 8, 750_000)));
        assert!(millis(27..=31).contains(&length(16, 8, 750_000)), "they ask for as little as anybody");
        assert_eq!(length(4, 16, 100_000), MOST);
        assert_eq!(length(4, 2, 60_000_000), LEAST);
        assert_eq!(length(16, 1, 100_000_000), Duration::ZERO);
        assert_eq!(length(16, 0, 0), Duration::ZERO);
    }

    #[test]
    fn a_rest_becomes_longer_step_by_step_and_shorter_at_once() {
        let mut rest = Rests::default().torrent(4);
        assert!(after(&mut rest, 8, 750_000, 0..4) < Duration::from_millis(3));
        assert!(after(&mut rest, 8, 750_000, 4..60) > Duration::from_millis(20));
        let mut faster = exchange(8, 750_000, 60);
        faster[3].sent += 800_000;
        rest.look(&faster, 8, 0, LOOK);
        assert!(rest.rests.length() < Duration::from_millis(5));
    }

    #[test]
    fn a_rest_is_short_enough_for_every_torrent() {
        let rests = Rests::default();
        let (mut slow, mut fast) = (rests.torrent(4), rests.torrent(4));
        assert_eq!(after(&mut slow, 8, 200_000, 0..60), MOST, "nothing moves of the other");
        after(&mut fast, 2, 8_000_000, 0..60);
        assert!(millis(2..=3).contains(&rests.length()));
        drop(fast);
        assert_eq!(rests.length(), MOST);
        slow.look(&exchange(8, 200_000, 60), 8, 800_000, LOOK);
        assert!(rests.length() < Duration::from_millis(5), "for those that only give, too");
        slow.look(&exchange(8, 200_000, 60), 8, 800_000, LOOK);
        assert_eq!(rests.length(), LEAST, "nothing moved");
        drop(slow);
        assert_eq!(rests.length(), Duration::ZERO);
    }
}
