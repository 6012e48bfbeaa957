//! The tracker itself: swarms, index and leases kept in step. No HTTP, and time is passed in.

mod agents;
mod origins;
mod tags;
mod torrents;

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use globset::GlobSet;
use nova_protocol::InfoHash;
use tokio::sync::{broadcast, watch};

use crate::{
    agents::Agents,
    config::{Config, ConfigError},
    events::Event,
    index::{self, Index, IndexError},
    leases::Leases,
    metrics::Metrics,
    swarm::{Store, Swarms},
};

/// Events that a listener may be behind before it misses some.
const EVENTS_KEPT: usize = 1024;

/// A tracker on its data directory.
#[derive(Debug)]
pub struct Tracker {
    settings: RwLock<Arc<Settings>>,
    swarms: Swarms,
    index: Index,
    leases: Mutex<Leases>,
    agents: Mutex<Agents>,
    events: broadcast::Sender<Event>,
    /// Sent whenever an origin has to hold or let go something.
    assigned: watch::Sender<()>,
    /// Before that, origins that were live before a restart have had no time to say that they still are.
    settles_at: Instant,
    /// Before that, agents that were live before a restart have had no time to say that they still are.
    agents_settle_at: Instant,
    /// Whether some torrent may be on fewer live origins than it should be.
    repair_due: AtomicBool,
    metrics: Metrics,
}

/// Settings, and what is made of them.
#[derive(Debug)]
pub(crate) struct Settings {
    config: Config,
    /// Matches the references of tags that never move.
    pub immutable: GlobSet,
}

impl Settings {
    fn new(config: Config) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        Ok(Arc::new(Self { immutable: config.immutable()?, config }))
    }
}

impl Deref for Settings {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
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
        let settings = Settings::new(config)?;
        let index = Index::open(&settings.data_dir)?;
        let swarms = Swarms::new(settings.rules());
        swarms.allow(&settings.allow);
        let torrents = index.info_hashes().await?;
        let agents_settle_at = if torrents.is_empty() { now } else { now + settings.agent_rules().lease };
        for info_hash in torrents {
            swarms.list(info_hash);
        }
        for held in index.complete_replicas().await? {
            swarms.hold(held.info_hash, &held.origin, None);
        }
        let lease_length = Duration::from_secs(settings.lease_seconds);
        let mut leases = Leases::new(lease_length);
        let origins = index.origins().await?;
        let settles_at = if origins.is_empty() { now } else { now + lease_length };
        for origin in origins {
            leases.remember(origin.id, origin.lease);
        }
        Ok(Self {
            settings: RwLock::new(settings),
            swarms,
            index,
            leases: Mutex::new(leases),
            agents: Mutex::default(),
            events: broadcast::channel(EVENTS_KEPT).0,
            assigned: watch::channel(()).0,
            settles_at,
            agents_settle_at,
            repair_due: AtomicBool::new(true),
            metrics: Metrics::default(),
        })
    }

    /// Uses other settings from now on, but for those that only a restart changes.
    ///
    /// # Errors
    /// Every variant of [`ConfigError`]; the settings stay as they were then.
    pub fn reload(&self, config: Config) -> Result<(), ConfigError> {
        let settings = Settings::new(config)?;
        for name in self.settings().fixed_settings_that_differ(&settings) {
            tracing::warn!("{name} stays as it was until the tracker is restarted");
        }
        self.swarms.set_rules(settings.rules());
        self.swarms.allow(&settings.allow);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }

    /// Drops peers that are gone. Takes a while when there are millions.
    pub fn sweep(&self, now: Instant) {
        self.swarms.sweep(now);
    }

    /// Ends leases that have run out, and finds other origins where some are missing. To be called every second or so.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn tick(&self, now: Instant) -> Result<(), IndexError> {
        self.expire_agents(now);
        self.expire_leases(now).await?;
        if now >= self.settles_at && self.repair_due.swap(false, Ordering::Relaxed) {
            let repaired = self.top_up(None).await;
            return repaired.inspect_err(|_| self.want_repair());
        }
        Ok(())
    }

    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
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
        let given = self.index.top_up(only, candidates, self.settings().replicas).await?;
        if !given.is_empty() {
            self.assigned.send_replace(());
        }
        Ok(())
    }
}
