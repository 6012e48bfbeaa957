//! Swarms in memory: who is where, and who is told of whom.
//!
//! No HTTP and no clock: requests come parsed, and time is passed in.

mod crowd;
mod feed;
mod pace;
mod roll;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, hash_map::Entry},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

pub use crowd::Crowd;
use crowd::Tally;
use nova_protocol::{
    InfoHash,
    announce::{AnnounceRequest, ReplyHead, ReplyPeer},
    scrape::Counts,
};
pub use pace::Pace;
pub use roll::Peer;
use state::Swarm;

/// Enough that announces for different swarms rarely meet at one lock.
const SHARDS: usize = 64;

/// How swarms are kept.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Whether an info hash that is not listed has a swarm all the same.
    pub open: bool,
    /// How many peers are handed out at most.
    pub num_want_max: usize,
    /// How many leechers of a swarm are told of each origin.
    pub leechers_per_origin: usize,
    /// How often peers announce.
    pub pace: Pace,
}

/// An announce for an info hash that has no swarm here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this tracker does not know that info hash; push the content first")]
pub struct Unlisted;

/// Every swarm, in shards by info hash, each behind a lock of its own.
#[derive(Debug)]
pub struct Swarms {
    shards: Vec<Mutex<HashMap<InfoHash, Swarm>>>,
    rules: Rules,
    tally: Tally,
}

impl Swarms {
    /// No swarms yet.
    pub fn new(rules: Rules) -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), rules, tally: Tally::default() }
    }

    /// Allows announces for an info hash.
    pub fn list(&self, info_hash: InfoHash) {
        self.shard(&info_hash).entry(info_hash).or_default().listed = true;
    }

    /// Forgets the swarm of an info hash, and refuses announces for it from now on.
    pub fn delist(&self, info_hash: InfoHash) {
        if let Some(swarm) = self.shard(&info_hash).remove(&info_hash) {
            self.tally.shift(swarm.crowd(), Crowd::default());
        }
    }

    /// Takes a peer's announce, appends its handout to `peers`, and says the rest of the answer. `addr` is where the
    /// peer listens.
    ///
    /// # Errors
    /// [`Unlisted`], unless the rules are open.
    pub fn announce(
        &self,
        request: &AnnounceRequest,
        addr: SocketAddr,
        now: Instant,
        peers: &mut Vec<ReplyPeer>,
    ) -> Result<ReplyHead, Unlisted> {
        let mut shard = self.shard(&request.info_hash);
        let swarm = match shard.entry(request.info_hash) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(free) if self.rules.open => free.insert(Swarm::default()),
            Entry::Vacant(_) => return Err(Unlisted),
        };
        let before = swarm.crowd();
        let head = swarm.announce(request, addr, now, &self.rules, self.tally.get(), peers);
        self.tally.shift(before, swarm.crowd());
        Ok(head)
    }

    /// How many peers a swarm has; `None` when there is no such swarm.
    pub fn counts(&self, info_hash: InfoHash) -> Option<Counts> {
        self.shard(&info_hash).get(&info_hash).map(Swarm::counts)
    }

    /// At most `limit` peers of a swarm, complete ones first.
    pub fn peers(&self, info_hash: InfoHash, limit: usize) -> Vec<Peer> {
        let shard = self.shard(&info_hash);
        shard.get(&info_hash).map(|swarm| swarm.peers().take(limit).cloned().collect()).unwrap_or_default()
    }

    /// Notes that an origin holds the complete content; `addr` is where, while it is live.
    pub fn hold(&self, info_hash: InfoHash, origin: &str, addr: Option<SocketAddr>) {
        let mut shard = self.shard(&info_hash);
        let Some(swarm) = shard.get_mut(&info_hash) else { return };
        let before = swarm.crowd();
        swarm.hold(origin, addr);
        self.tally.shift(before, swarm.crowd());
    }

    /// Notes that an origin does not hold the content any more.
    pub fn release(&self, info_hash: InfoHash, origin: &str) {
        if let Some(swarm) = self.shard(&info_hash).get_mut(&info_hash) {
            swarm.release(origin);
        }
    }

    /// Notes where an origin is, or that it is gone, in every swarm whose content it holds.
    pub fn place(&self, origin: &str, addr: Option<SocketAddr>) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            for swarm in shard.values_mut() {
                let before = swarm.crowd();
                swarm.place(origin, addr);
                self.tally.shift(before, swarm.crowd());
            }
        }
    }

    /// Drops peers that have missed two intervals, one shard after the other.
    pub fn sweep(&self, now: Instant) {
        for shard in &self.shards {
            lock(shard).retain(|_, swarm| {
                let before = swarm.crowd();
                swarm.expire(now);
                self.tally.shift(before, swarm.crowd());
                swarm.listed || swarm.crowd().total() > 0
            });
        }
    }

    /// How many swarms there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether there is no swarm at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many peers there are in all swarms together.
    pub fn crowd(&self) -> Crowd {
        self.tally.get()
    }

    fn shard(&self, info_hash: &InfoHash) -> MutexGuard<'_, HashMap<InfoHash, Swarm>> {
        lock(&self.shards[usize::from(info_hash.as_bytes()[0]) % SHARDS])
    }
}

/// A panic elsewhere leaves a swarm that is at worst out of date, and every tracker's swarm is that.
fn lock(shard: &Mutex<HashMap<InfoHash, Swarm>>) -> MutexGuard<'_, HashMap<InfoHash, Swarm>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
