//! Whom to introduce, when, and how many.
//!
//! Leechers are introduced once there is a piece to give, for librqbit tells a peer of its pieces only after that peer has
//! told of one (`should_transmit_have`): two who meet with empty hands are of no use to each other.
//!
//! And not more of them than keep the link busy. librqbit has requests in flight to each, and takes a piece away from one
//! who is slower than others, so that what was on its way comes twice. Simulated, a thousand leechers that knew a hundred
//! others each took 1.7 times the bound, and received a third of all bytes twice; with 18 it is 1.14 and a thirtieth.
//!
//! Nor more seeders than one while that one is fast: librqbit cannot tell who is slower when pieces come in less than a
//! millisecond (`engine.rs`), and a pull from three origins on one machine received 633 MiB for 128.
//!
//! librqbit does not see that a peer that dials it is one that it has dialled itself, and keeps both connections. So of two
//! who learn of each other at the same time one dials, and the other waits whether it is dialled.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Mutex,
    time::{Duration, Instant},
};

use rand::{rng, seq::IteratorRandom as _};
use tokio::{sync::Notify, time::timeout};

use super::lock;

/// Live connections from which on nobody else is introduced; who else dials is welcome.
const ENOUGH: usize = 18;
/// How long those who were introduced count as live.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one waits to be dialled.
const DIALLED_WITHIN: Duration = Duration::from_secs(2);
/// How long one seeder has to become fast before others are introduced.
const ONE_FIRST: Duration = Duration::from_millis(200);
/// How long leechers wait to be introduced when seeders give no piece.
const SEEDERS_FIRST: Duration = Duration::from_secs(3);

/// Those who shall be introduced to one torrent.
pub(in crate::fetch) struct List {
    began: Instant,
    /// Who have everything.
    seeders: Vec<SocketAddr>,
    peers: Mutex<Peers>,
    changed: Notify,
}

#[derive(Default)]
struct Peers {
    due: HashSet<SocketAddr>,
    /// Seeders to be introduced when one is too few.
    spare: HashSet<SocketAddr>,
    /// To be introduced when there are too few, from a time on.
    reserve: HashMap<SocketAddr, Instant>,
    introduced: HashSet<SocketAddr>,
    /// When the last were.
    recent: VecDeque<Instant>,
    has_seeder: bool,
    has_all: bool,
}

impl List {
    /// Empty at first. `seeders` are peers that are known to have everything.
    pub(super) fn new(seeders: &[SocketAddr], now: Instant) -> Self {
        Self { began: now, seeders: seeders.to_vec(), peers: Mutex::default(), changed: Notify::new() }
    }

    /// Notes peers, and has those introduced who come back, and one that has everything. `own` is this host as they see it.
    pub(in crate::fetch) fn learn(&self, found: &[SocketAddr], own: Option<SocketAddr>, now: Instant) {
        let mut peers = lock(&self.peers);
        for &peer in found {
            let is_seeder = self.seeders.contains(&peer);
            if peers.introduced.contains(&peer) || (is_seeder && !peers.has_seeder) {
                peers.has_seeder |= is_seeder;
                peers.introduce(peer);
                self.changed.notify_one();
            } else if is_seeder {
                peers.spare.insert(peer);
            } else {
                let is_mine = own.is_none_or(|own| dials(own, peer));
                peers.reserve.entry(peer).or_insert(if is_mine { now } else { now + DIALLED_WITHIN });
            }
        }
    }

    /// Has some of those introduced who were noted: seeders unless it is fast already, others if there is a piece to give
    /// and fewer than enough are live, who are these.
    pub(in crate::fetch) fn meet(&self, live: &[SocketAddr], is_fast: bool, has_piece: bool, now: Instant) {
        if !is_fast && now.duration_since(self.began) >= ONE_FIRST {
            let mut peers = lock(&self.peers);
            for seeder in std::mem::take(&mut peers.spare) {
                peers.introduce(seeder);
                self.changed.notify_one();
            }
        }
        if !has_piece && !self.seeders.is_empty() && now.duration_since(self.began) < SEEDERS_FIRST {
            return;
        }
        let mut peers = lock(&self.peers);
        while peers.recent.pop_front_if(|then| now.duration_since(*then) >= PATIENCE).is_some() {}
        let missing = ENOUGH.saturating_sub(live.len() + peers.recent.len());
        // On loopback many share an address.
        let is_here = |peer: SocketAddr| !peer.ip().is_loopback() && live.iter().any(|live| live.ip() == peer.ip());
        let could = peers.reserve.iter().filter(|(peer, from)| **from <= now && !is_here(**peer));
        // By chance, or everybody would dial the same.
        for peer in could.map(|(peer, _)| *peer).choose_multiple(&mut rng(), missing) {
            peers.reserve.remove(&peer);
            peers.introduce(peer);
            peers.recent.push_back(now);
            self.changed.notify_one();
        }
    }

    /// Makes nobody wait any more, for everything is there.
    pub(in crate::fetch) fn settle(&self) {
        lock(&self.peers).has_all = true;
        self.changed.notify_one();
    }

    /// Whom to introduce next, and the seconds until the next question. Waits for somebody for at most `hold`; once
    /// everything is there, `settled` seconds pass between questions.
    pub(super) async fn next(&self, hold: Duration, settled: u32) -> (HashSet<SocketAddr>, u32) {
        let take = || {
            let mut peers = lock(&self.peers);
            (std::mem::take(&mut peers.due), if peers.has_all { settled } else { 0 })
        };
        let (due, interval) = take();
        if !due.is_empty() || interval > 0 {
            return (due, interval);
        }
        let _changed_or_not = timeout(hold, self.changed.notified()).await;
        take()
    }
}

impl Peers {
    fn introduce(&mut self, peer: SocketAddr) {
        self.introduced.insert(peer);
        self.due.insert(peer);
    }
}

/// Whether it is the first of these two who dials the other; half of all others, for everybody.
fn dials(own: SocketAddr, peer: SocketAddr) -> bool {
    let is_odd = |addr: SocketAddr| {
        let last = match addr.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(ip) => ip.octets()[15],
        };
        (u16::from(last) ^ addr.port()) & 1 == 1
    };
    (own < peer) == (is_odd(own) == is_odd(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    async fn due(list: &List) -> HashSet<SocketAddr> {
        list.next(Duration::ZERO, 60).await.0
    }

    #[tokio::test]
    async fn seeders_are_introduced_at_once_and_leechers_when_there_is_a_piece_to_give() {
        let start = Instant::now();
        let list = List::new(&[addr(1)], start);
        list.learn(&[addr(3), addr(1), addr(2)], None, start);
        list.meet(&[], false, false, start);
        assert_eq!(due(&list).await, [addr(1)].into());
        list.meet(&[], false, true, start);
        assert_eq!(due(&list).await, [addr(2), addr(3)].into());
        list.learn(&[addr(3)], None, start);
        assert_eq!(due(&list).await, [addr(3)].into(), "one that comes back");
    }

    #[tokio::test]
    async fn a_second_seeder_is_introduced_when_the_first_is_slow() {
        let start = Instant::now();
        let list = List::new(&[addr(1), addr(2)], start);
        list.learn(&[addr(1), addr(2)], None, start);
        list.meet(&[], false, false, start);
        assert_eq!(due(&list).await, [addr(1)].into());
        list.meet(&[], true, true, start + ONE_FIRST);
        assert_eq!(due(&list).await, [].into());
        list.meet(&[], false, true, start + ONE_FIRST);
        assert_eq!(due(&list).await, [addr(2)].into());
    }

    #[tokio::test]
    async fn nobody_waits_for_long_for_seeders_that_give_nothing_or_are_not_there() {
        let start = Instant::now();
        for (seeders, after) in [(&[addr(1)][..], SEEDERS_FIRST), (&[], Duration::ZERO)] {
            let list = List::new(seeders, start);
            list.learn(&[addr(2)], None, start);
            list.meet(&[], false, false, start + after);
            assert_eq!(due(&list).await, [addr(2)].into());
        }
    }

    #[tokio::test]
    async fn no_more_are_introduced_than_are_enough() {
        let start = Instant::now();
        let list = List::new(&[], start);
        list.learn(&(1..=100).map(addr).collect::<Vec<_>>(), None, start);
        let live = |count| vec![SocketAddr::from(([10, 0, 0, 2], 1)); count];
        list.meet(&live(8), false, true, start);
        assert_eq!(due(&list).await.len(), ENOUGH - 8);
        list.meet(&live(8), false, true, start);
        assert_eq!(due(&list).await.len(), 0, "those have some time to get there");
        list.meet(&live(ENOUGH - 1), false, true, start + PATIENCE);
        assert_eq!(due(&list).await.len(), 1);
        list.meet(&live(ENOUGH), false, true, start + 2 * PATIENCE);
        assert_eq!(due(&list).await.len(), 0);
    }

    #[tokio::test]
    async fn of_two_who_learn_of_each_other_one_dials_unless_it_does_not_come() {
        let start = Instant::now();
        let hosts: Vec<SocketAddr> = (1..=16).map(|host| SocketAddr::from(([10, 0, 0, host], 16001))).collect();
        let mut dialled = HashSet::new();
        for &own in &hosts {
            let list = List::new(&[], start);
            list.learn(&hosts.iter().copied().filter(|&host| host != own).collect::<Vec<_>>(), Some(own), start);
            list.meet(&[], false, true, start);
            let first = due(&list).await;
            assert!((7..=8).contains(&first.len()), "{own} dials {first:?}");
            dialled.extend(first.iter().map(|&peer| (own.min(peer), own.max(peer))));
            let absent = hosts.iter().find(|&&host| host != own && !first.contains(&host)).unwrap();
            let live: Vec<_> = hosts.iter().copied().filter(|host| host != absent).collect();
            list.meet(&live, false, true, start + DIALLED_WITHIN);
            assert_eq!(due(&list).await, [*absent].into());
        }
        assert_eq!(dialled.len(), 16 * 15 / 2);
    }
}
