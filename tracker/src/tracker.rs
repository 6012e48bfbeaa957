//! The tracker itself: swarms, index and leases kept in step. No HTTP, and time is passed in.

mod origins;
mod tags;
mod torrents;

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use globset::GlobSet;
use nova_protocol::InfoHash;
use tokio::sync::{broadcast, watch};

use crate::{
    config::{Config, ConfigError},
    events::Event,
    index::{self, Index, IndexError},
    leases::Leases,
    metrics::Metrics,
    swarm::{Pace, Rules, Swarms},
};

/// Events that a listener may be behind before it misses some.
const EVENTS_KEPT: usize = 1024;

/// A tracker on its data directory.
#[derive(Debug)]
pub struct Tracker {
    config: Config,
    immutable: GlobSet,
    swarms: Swarms,
    index: Index,
    leases: Mutex<Leases>,
    events: broadcast::Sender<Event>,
    /// Sent whenever an origin has to hold or let go something.
    assigned: watch::Sender<()>,
    /// Before that, origins that were live before a restart have had no time to say that they still are.
    settles_at: Instant,
    /// Whether some torrent may be on fewer live origins than it should be.
    repair_due: AtomicBool,
    metrics: Metrics,
}

/// A tracker that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its index cannot be opened.
    #[error(transparent)]
    Open(#[from] index::OpenError),
    /// Its index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl Tracker {
    /// Opens the index in the data directory, and lists every torrent for announces.
    ///
    /// # Errors
    /// Every variant of [`OpenError`].
    pub async fn open(config: Config, now: Instant) -> Result<Self, OpenError> {
        config.check()?;
        let index = Index::open(&config.data_dir)?;
        let swarms = Swarms::new(Rules {
            open: config.open,
            num_want_max: config.num_want_max as usize,
            leechers_per_origin: config.leechers_per_origin as usize,
            pace: Pace {
                min: config.interval_min_seconds,
                max: config.interval_max_seconds,
                budget: config.announces_per_second,
            },
        });
        index.info_hashes().await?.into_iter().for_each(|info_hash| swarms.list(info_hash));
        for held in index.complete_replicas().await? {
            swarms.hold(held.info_hash, &held.origin, None);
        }
        let lease_length = Duration::from_secs(config.lease_seconds);
        let mut leases = Leases::new(lease_length);
        let origins = index.origins().await?;
        let settles_at = if origins.is_empty() { now } else { now + lease_length };
        for origin in origins {
            leases.remember(origin.id, origin.lease);
        }
        Ok(Self {
            immutable: config.immutable()?,
            swarms,
            index,
            leases: Mutex::new(leases),
            events: broadcast::channel(EVENTS_KEPT).0,
            assigned: watch::channel(()).0,
            settles_at,
            repair_due: AtomicBool::new(true),
            metrics: Metrics::default(),
            config,
        })
    }

    /// Drops peers that are gone, ends leases that have run out, and finds other origins where some are missing. To be
    /// called every second or so.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn tick(&self, now: Instant) -> Result<(), IndexError> {
        self.swarms.sweep(now);
        self.expire_leases(now).await?;
        if now >= self.settles_at && self.repair_due.swap(false, Ordering::Relaxed) {
            let repaired = self.top_up(None).await;
            return repaired.inspect_err(|_| self.want_repair());
        }
        Ok(())
    }

    /// The settings.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The swarms.
    pub const fn swarms(&self) -> &Swarms {
        &self.swarms
    }

    /// The index, to be read.
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// The counters.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What happens from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn tell(&self, event: Event) {
        // An error says that nobody listens.
        let _ = self.events.send(event);
    }

    fn want_repair(&self) {
        self.repair_due.store(true, Ordering::Relaxed);
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives torrents to live origins until each is on as many as it should be.
    async fn top_up(&self, only: Option<InfoHash>) -> Result<(), IndexError> {
        let candidates = self.leases().candidates();
        let given = self.index.top_up(only, candidates, self.config.replicas).await?;
        if !given.is_empty() {
            self.assigned.send_replace(());
        }
        Ok(())
    }
}
