//! Swarms in memory: who is where, and who is told of whom.
//!
//! No HTTP and no clock: requests come parsed, and time is passed in. An announce costs the same in a swarm of ten peers
//! and of a million, takes one lock that other swarms hardly share, and allocates nothing once its swarm has grown. A stock
//! client that begins where an origin serves takes another, for a moment, to leave word for the origin.

mod calls;
mod clock;
mod completions;
#[cfg(test)]
mod conformance;
mod crowd;
mod draw;
mod family;
mod feed;
mod pace;
mod state;
mod store;
mod table;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    time::Instant,
};

use nova_protocol::{
    InfoHash, PeerId,
    announce::{Event, Handout, ReplyHead},
    scrape::Counts,
};

pub use calls::Calls;
pub use crowd::Crowd;
pub use pace::Pace;
pub use store::{AnnounceError, Call, Store};

use self::{
    clock::{Clock, Tick},
    completions::Completions,
    crowd::Tally,
    family::Part,
    state::{Swarm, Visit},
    table::Mark,
};

/// Enough that announces for different swarms rarely meet at one lock.
const SHARDS: usize = 256;

/// How many peers are looked at for expiry under one lock: some 20 µs.
const SWEEP_STEP: usize = 4096;

/// How swarms are kept.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Whether an info hash that is not listed has a swarm all the same.
    pub open: bool,
    /// How many swarms there may be of those.
    pub swarms_max: usize,
    /// How many peers there may be in all swarms together.
    pub peers_max: usize,
    /// How many peers are handed out at most.
    pub num_want_max: usize,
    /// How many leechers of a swarm are told of each origin.
    pub leechers_per_origin: usize,
    /// How often peers announce.
    pub pace: Pace,
}

/// A peer of a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Whether it has everything.
    pub complete: bool,
}

/// Every swarm in the memory of this process, in shards by info hash, each behind a lock of its own.
#[derive(Debug)]
pub struct Swarms {
    shards: Vec<Mutex<Shard>>,
    rules: RwLock<Rules>,
    tally: Tally,
    clock: Clock,
    calls: Calls,
}

#[derive(Debug, Default)]
struct Shard {
    /// Boxed, so that the free slots of the map are small.
    swarms: HashMap<InfoHash, Box<Swarm>>,
    completions: Completions,
}

impl Swarms {
    /// No swarms yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            rules: RwLock::new(rules),
            tally: Tally::default(),
            clock: Clock::new(),
            calls: Calls::new(),
        }
    }

    fn shard(&self, info_hash: &InfoHash) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(info_hash.as_bytes()[0]) % SHARDS])
    }

    fn rules(&self) -> Rules {
        *self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a swarm that is there, and keeps the tally.
    fn change<T>(&self, swarm: &mut Swarm, change: impl FnOnce(&mut Swarm) -> T) -> T {
        let before = swarm.crowd();
        let result = change(swarm);
        self.tally.shift(before, swarm.crowd());
        result
    }

    /// Removes a swarm that nobody wants any more.
    fn tidy(&self, shard: &mut Shard, info_hash: InfoHash) {
        if let Entry::Occupied(found) = shard.swarms.entry(info_hash)
            && !found.get().is_wanted()
        {
            self.tally.shift(found.remove().crowd(), Crowd::default());
            self.tally.swarm_gone();
        }
    }

    fn found<'a>(&self, shard: &'a mut Shard, info_hash: InfoHash) -> &'a mut Swarm {
        shard.swarms.entry(info_hash).or_insert_with(|| {
            self.tally.swarm_came();
            Box::default()
        })
    }

    fn sweep_some(&self, shard: &Mutex<Shard>, info_hash: InfoHash, start: usize, now: Tick) -> bool {
        let mut shard = lock(shard);
        let Some(swarm) = shard.swarms.get_mut(&info_hash) else { return false };
        let has_more = self.change(swarm, |swarm| swarm.expire(start, SWEEP_STEP, now));
        self.tidy(&mut shard, info_hash);
        has_more
    }
}

impl Store for Swarms {
    fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    fn list(&self, info_hash: InfoHash) {
        self.found(&mut self.shard(&info_hash), info_hash).listed = true;
    }

    fn delist(&self, info_hash: InfoHash) {
        let mut shard = self.shard(&info_hash);
        let Some(swarm) = shard.swarms.get_mut(&info_hash) else { return };
        swarm.listed = false;
        if !swarm.allowed {
            self.change(swarm, |swarm| *swarm = Swarm::default());
            self.tidy(&mut shard, info_hash);
        }
    }

    fn allow(&self, info_hashes: &[InfoHash]) {
        let allowed: HashSet<_> = info_hashes.iter().collect();
        for shard in &self.shards {
            let mut shard = lock(shard);
            let swarms = shard.swarms.iter_mut();
            let revoked = swarms.filter(|(info_hash, swarm)| swarm.allowed && !allowed.contains(info_hash));
            let revoked: Vec<_> = revoked.map(|(info_hash, swarm)| (*info_hash, swarm.listed)).collect();
            for (info_hash, is_listed) in revoked {
                let swarm = self.found(&mut shard, info_hash);
                swarm.allowed = false;
                if !is_listed {
                    self.change(swarm, |swarm| *swarm = Swarm::default());
                    self.tidy(&mut shard, info_hash);
                }
            }
        }
        for info_hash in allowed {
            self.found(&mut self.shard(info_hash), *info_hash).allowed = true;
        }
    }

    fn announce(&self, call: Call<'_>, out: &mut Handout) -> Result<ReplyHead, AnnounceError> {
        let Call { request, addr, now, one_family } = call;
        let rules = self.rules();
        let part = Part::of(request);
        let mark = Mark::new(&request.peer_id, part == Part::Partial);
        let everybody = self.tally.crowd();
        let is_full = everybody.total() >= rules.peers_max;
        let mut shard = self.shard(&request.info_hash);
        let Shard { swarms, completions } = &mut *shard;
        let swarm = match swarms.entry(request.info_hash) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(_) if !rules.open => return Err(AnnounceError::Unlisted),
            Entry::Vacant(_) if is_full || self.tally.swarms() >= rules.swarms_max => return Err(AnnounceError::Full),
            Entry::Vacant(free) => {
                self.tally.swarm_came();
                free.insert(Box::default())
            }
        };
        if is_full && !swarm.contains(addr) {
            return Err(AnnounceError::Full);
        }
        if request.event == Event::Completed && completions.note(request.info_hash, request.peer_id) {
            swarm.downloaded = swarm.downloaded.saturating_add(1);
        }
        let tick = self.clock.tick(now);
        let calls = &self.calls;
        let visit = Visit { request, addr, part, mark, now, tick, rules, everybody, one_family, calls };
        Ok(self.change(swarm, |swarm| swarm.announce(&visit, out)))
    }

    fn counts(&self, info_hash: InfoHash) -> Option<Counts> {
        self.shard(&info_hash).swarms.get(&info_hash).map(|swarm| swarm.counts())
    }

    fn all_counts(&self) -> Vec<(InfoHash, Counts)> {
        let mut counts = Vec::new();
        for shard in &self.shards {
            counts.extend(lock(shard).swarms.iter().map(|(info_hash, swarm)| (*info_hash, swarm.counts())));
        }
        counts.sort_unstable_by_key(|(info_hash, _)| *info_hash);
        counts
    }

    fn peers(&self, info_hash: InfoHash, limit: usize) -> Vec<Peer> {
        let shard = self.shard(&info_hash);
        shard.swarms.get(&info_hash).map(|swarm| swarm.peers().take(limit).collect()).unwrap_or_default()
    }

    fn ids(&self, info_hash: InfoHash, handout: &Handout) -> Vec<Option<PeerId>> {
        let mut shard = self.shard(&info_hash);
        shard.swarms.get_mut(&info_hash).map(|swarm| swarm.ids(handout.addrs())).unwrap_or_default()
    }

    fn hold(&self, info_hash: InfoHash, origin: &str, addr: Option<SocketAddr>) {
        if let Some(swarm) = self.shard(&info_hash).swarms.get_mut(&info_hash) {
            self.change(swarm, |swarm| swarm.hold(origin, addr));
        }
    }

    fn release(&self, info_hash: InfoHash, origin: &str) {
        if let Some(swarm) = self.shard(&info_hash).swarms.get_mut(&info_hash) {
            swarm.release(origin);
        }
    }

    fn place(&self, origin: &str, addr: Option<SocketAddr>) {
        for shard in &self.shards {
            for swarm in lock(shard).swarms.values_mut() {
                self.change(swarm, |swarm| swarm.place(origin, addr));
            }
        }
    }

    fn sweep(&self, now: Instant) {
        let now = self.clock.tick(now);
        for shard in &self.shards {
            let info_hashes: Vec<_> = lock(shard).swarms.keys().copied().collect();
            for info_hash in info_hashes {
                let mut start = 0;
                while self.sweep_some(shard, info_hash, start, now) {
                    start += SWEEP_STEP;
                }
            }
        }
    }

    fn calls(&self) -> &Calls {
        &self.calls
    }

    fn swarms(&self) -> usize {
        self.tally.swarms()
    }

    fn crowd(&self) -> Crowd {
        self.tally.crowd()
    }
}

/// A panic elsewhere leaves a swarm that is at worst out of date, and every tracker's swarm is that.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
