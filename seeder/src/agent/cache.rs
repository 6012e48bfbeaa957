//! Room for what is pulled next: when there is none, what was of use least recently goes.
//!
//! Nothing goes that is pinned, that somebody reads or that is on its way, and no complete copy of which the tracker
//! knows no other: while an origin is down, an agent may have the last.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use globset::{Glob, GlobSet, GlobSetBuilder};
use nova_protocol::{InfoHash, api, metainfo::Info};

use super::{Agent, uses::Uses};
use crate::{fetch::State, store::StoreError};

/// How often the agent looks whether something else has filled the disk.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What is kept, and for how long.
pub(super) struct Cache {
    pub room: Room,
    pins: GlobSet,
    pub uses: Uses,
}

/// How much an agent may take of its disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// For all content together.
    pub budget: Option<u64>,
    /// That stay free on the disk.
    pub floor: u64,
}

/// Why a torrent stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Pinned,
    Busy,
    LastCopy,
}

/// There is no room, and nothing that may go.
#[derive(Debug, thiserror::Error)]
#[error(
    "no space left for {needed} bytes: the cache has {used} bytes{}, {free} are free on the disk, of which {} stay free{}",
    Within(.room.budget), .room.floor, Stays(.stays)
)]
pub(super) struct NoRoom {
    needed: u64,
    used: u64,
    free: u64,
    room: Room,
    stays: BTreeMap<Reason, u64>,
}

impl Room {
    /// Bytes that must go before so many more fit.
    fn excess(self, used: u64, free: u64, needed: u64) -> u64 {
        let over_budget = self.budget.map_or(0, |budget| (used + needed).saturating_sub(budget));
        over_budget.max((self.floor + needed).saturating_sub(free))
    }
}

impl Cache {
    /// # Errors
    /// The pattern that is none.
    pub fn new(room: Room, pins: &[String], uses: Uses) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for pattern in pins {
            set.add(Glob::new(pattern)?);
        }
        Ok(Self { room, pins: set.build()?, uses })
    }

    /// Whether a reference that led to this torrent last is pinned.
    pub fn is_pinned(&self, info_hash: InfoHash) -> bool {
        self.uses.last(info_hash).references.iter().any(|reference| self.pins.is_match(reference.to_string()))
    }
}

impl Agent {
    /// Keeps to the room that there is while the agent runs, whatever else fills the disk.
    pub(super) async fn keep_room(&self) {
        while tokio::time::timeout(LOOK_EVERY, self.shutdown.cancelled()).await.is_err() {
            let _changing = self.changing.lock().await;
            if let Err(error) = self.make_room(0).await {
                tracing::warn!(%error, "the cache takes more than it should");
            }
        }
    }

    /// Makes room for so many bytes more. Whoever calls it holds `changing`.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing has gone then that would not have sufficed.
    pub(super) async fn make_room(&self, needed: u64) -> Result<(), NoRoom> {
        let mut stays = BTreeMap::new();
        let mut candidates = self.by_last_use();
        loop {
            let (used, free) = (self.used_bytes(), self.store.free_bytes().unwrap_or(0));
            let excess = self.cache.room.excess(used, free, needed);
            if excess == 0 {
                return Ok(());
            }
            let mut victims = Vec::new();
            let mut freed = 0;
            while freed < excess
                && let Some((_, info_hash, bytes)) = candidates.pop()
            {
                if let Some(reason) = self.reason_to_stay(info_hash).await {
                    *stays.entry(reason).or_default() += 1;
                } else {
                    victims.push(info_hash);
                    freed += bytes;
                }
            }
            if freed < excess || victims.is_empty() {
                return Err(NoRoom { needed, used, free, room: self.cache.room, stays });
            }
            for info_hash in victims {
                match self.evict(info_hash).await {
                    Ok(true) => tracing::info!(%info_hash, "evicted"),
                    Ok(false) => *stays.entry(Reason::Busy).or_default() += 1,
                    Err(error) => tracing::warn!(%info_hash, %error, "not evicted"),
                }
            }
        }
    }

    /// What the cache takes, as those are told who ask.
    pub(super) fn cache_now(&self) -> api::Cache {
        let torrents = self.torrents().len() as u64;
        api::Cache {
            torrents,
            used: self.used_bytes(),
            budget: self.cache.room.budget,
            free: self.store.free_bytes().unwrap_or(0),
            free_space_floor: self.cache.room.floor,
        }
    }

    /// Bytes of everything that is here or on its way.
    fn used_bytes(&self) -> u64 {
        self.torrents().values().map(|torrent| stored_bytes(&torrent.entry.metainfo.info)).sum()
    }

    /// All torrents with their bytes, the least recently used last.
    fn by_last_use(&self) -> Vec<(SystemTime, InfoHash, u64)> {
        let torrents = self.torrents();
        let one = |(info_hash, torrent): (&InfoHash, &super::Torrent)| {
            (self.cache.uses.last(*info_hash).at, *info_hash, stored_bytes(&torrent.entry.metainfo.info))
        };
        let mut listed: Vec<_> = torrents.iter().map(one).collect();
        listed.sort_unstable_by(|one, other| other.cmp(one));
        listed
    }

    async fn reason_to_stay(&self, info_hash: InfoHash) -> Option<Reason> {
        let state = self.fetcher.status(info_hash).map(|status| status.state);
        match state {
            _ if self.cache.is_pinned(info_hash) => Some(Reason::Pinned),
            Some(State::Complete) if !self.is_elsewhere(info_hash).await => Some(Reason::LastCopy),
            Some(State::Complete | State::Failed) | None => None,
            Some(State::Checking | State::Fetching) => Some(Reason::Busy),
        }
    }

    /// Whether somebody else has all of it and keeps it, or nobody wants it: the tracker has forgotten it.
    async fn is_elsewhere(&self, info_hash: InfoHash) -> bool {
        match self.tracker.torrent(info_hash).await {
            // Of agents that let go of it in one moment, one does not. Seeders may be dead for long.
            Ok(status) => status.complete_replicas() > 0 || status.keeper.is_some_and(|keeper| keeper != self.id),
            Err(error) => error.is_not_found(),
        }
    }

    /// Removes a torrent unless somebody reads it.
    async fn evict(&self, info_hash: InfoHash) -> Result<bool, StoreError> {
        let Some(_claim) = self.store.claim(info_hash)? else { return Ok(false) };
        self.drop_torrent(info_hash).await?;
        Ok(true)
    }
}

/// Bytes that the files of a torrent take on a disk; padding takes none.
pub(super) fn stored_bytes(info: &Info) -> u64 {
    info.stored_files().map(|file| file.length).sum()
}

struct Within(Option<u64>);

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |budget| write!(f, " of {budget} (cache_budget)"))
    }
}

struct Stays<'a>(&'a BTreeMap<Reason, u64>);

impl fmt::Display for Stays<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (reason, count) in self.0 {
            let why = match reason {
                Reason::Pinned => "pinned",
                Reason::Busy => "being read or fetched",
                Reason::LastCopy => "the last copy that the tracker knows of",
            };
            write!(f, "; {count} {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_go_is_what_is_over_the_budget_or_below_the_floor() {
        let room = Room { budget: Some(100), floor: 10 };
        assert_eq!(room.excess(60, 1000, 40), 0);
        assert_eq!(room.excess(60, 1000, 41), 1);
        assert_eq!(room.excess(0, 49, 40), 1);
        assert_eq!(room.excess(90, 45, 40), 30);
        assert_eq!(Room { budget: None, floor: 0 }.excess(u64::MAX / 2, 40, 40), 0);
    }

    #[test]
    fn who_finds_no_room_is_told_what_takes_it() {
        let stays = BTreeMap::from([(Reason::Pinned, 2), (Reason::LastCopy, 1)]);
        let refused = NoRoom { needed: 9, used: 8, free: 7, room: Room { budget: Some(10), floor: 1 }, stays };
        assert_eq!(
            refused.to_string(),
            "no space left for 9 bytes: the cache has 8 bytes of 10 (cache_budget), 7 are free on the disk, of which 1 stay \
             free; 2 pinned; 1 the last copy that the tracker knows of"
        );
    }
}
