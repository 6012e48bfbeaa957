use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use nova_protocol::{announce::Event, api::Leecher};
use rand::seq::SliceRandom as _;

use super::state::Visit;

/// A leecher that got nothing for so long is told of every origin.
const STARVING: Duration = Duration::from_secs(30);

/// The origins that hold the content of a swarm, and the leechers that know of them.
///
/// Origins are handed out from the tracker's own knowledge, each to as many leechers as it can feed: of ten thousand
/// hosts only some dial it, and the others are fed by those.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    feeds: Vec<Feed>,
    hungers: HashMap<SocketAddr, Hunger>,
}

#[derive(Debug)]
struct Feed {
    origin: String,
    /// Where it is, while it is live.
    addr: Option<SocketAddr>,
    /// Whether it has announced `stopped`, which comes sooner than the end of its lease.
    left: bool,
    fed: Vec<SocketAddr>,
}

/// How a leecher gets on that may have to wait for others.
#[derive(Debug, Clone, Copy)]
struct Hunger {
    left: u64,
    since: Instant,
}

impl Feeds {
    /// How many origins serve the content now, as far as they have said.
    pub fn serving(&self) -> usize {
        self.feeds.iter().filter(|feed| feed.serves()).count()
    }

    pub fn is_origin(&self, addr: SocketAddr) -> bool {
        self.feeds.iter().any(|feed| feed.addr == Some(addr))
    }

    pub fn hold(&mut self, origin: &str, addr: Option<SocketAddr>) {
        if self.feeds.iter().all(|feed| feed.origin != origin) {
            self.feeds.push(Feed { origin: origin.to_owned(), addr: None, left: false, fed: Vec::new() });
        }
        self.place(origin, addr);
    }

    pub fn release(&mut self, origin: &str) {
        self.feeds.retain(|feed| feed.origin != origin);
    }

    /// Notes where an origin is; says whether it holds the content.
    pub fn place(&mut self, origin: &str, addr: Option<SocketAddr>) -> bool {
        let found = self.feeds.iter_mut().find(|feed| feed.origin == origin);
        found.map(|feed| feed.addr = addr).is_some()
    }

    /// Takes note of an announce, which may be that of an origin itself.
    pub fn announced(&mut self, addr: SocketAddr, event: Event) {
        for feed in self.feeds.iter_mut().filter(|feed| feed.addr == Some(addr)) {
            feed.left = event == Event::Stopped;
        }
    }

    /// Where the origins are that this leecher is to know, in any order, for many ask the first alone. One that starves is
    /// told whatever the limit. Origins are called to one that comes, unless it is nova's, which dials them itself.
    pub fn offer(&mut self, visit: &Visit<'_>) -> Vec<SocketAddr> {
        if self.feeds.is_empty() {
            return Vec::new();
        }
        let Visit { request, addr: leecher, now, calls, .. } = *visit;
        // One that does not listen is in no table, so nobody would ever wean it.
        let listens = leecher.port() != 0;
        let starves = listens && self.hunger(leecher, request.left, now) >= STARVING;
        let call = Leecher { info_hash: request.info_hash, addr: leecher };
        let offers = self.feeds.iter_mut().filter(|feed| feed.serves() && feed.addr != Some(leecher));
        let offers = offers.filter_map(|feed| {
            let is_fed = feed.fed.contains(&leecher);
            let has_room = feed.fed.len() < visit.rules.leechers_per_origin;
            if !is_fed && has_room && listens {
                feed.fed.push(leecher);
            }
            let comes = request.event == Event::Started || !is_fed;
            if comes && listens && (is_fed || has_room) && !request.peer_id.is_nova() {
                calls.add(&feed.origin, call);
            }
            feed.addr.filter(|_| is_fed || has_room || starves)
        });
        let mut offers: Vec<_> = offers.collect();
        offers.shuffle(&mut rand::rng());
        offers
    }

    /// The leecher needs no feeding any more.
    pub fn wean(&mut self, leecher: SocketAddr) {
        self.hungers.remove(&leecher);
        for feed in &mut self.feeds {
            feed.fed.retain(|fed| *fed != leecher);
        }
    }

    /// For how long nothing of what a leecher needs has come.
    fn hunger(&mut self, leecher: SocketAddr, left: u64, now: Instant) -> Duration {
        let hunger = self.hungers.entry(leecher).or_insert(Hunger { left, since: now });
        if hunger.left != left {
            *hunger = Hunger { left, since: now };
        }
        now.saturating_duration_since(hunger.since)
    }
}

impl Feed {
    fn serves(&self) -> bool {
        self.addr.is_some() && !self.left
    }
}
