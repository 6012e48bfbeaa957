//! An agent: pulls for every user of a host, once, and goes on seeding.

mod access;
mod cache;
mod config;
mod follow;
mod lease;
mod limits;
mod pulls;
mod routes;
mod schedule;
mod uses;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

pub use access::AccessError;
use access::Guard;
use anyhow::Context as _;
use cache::Cache;
pub use config::{Config, DEFAULT_FILE, Flags};
use lease::Refusals;
use limits::Limits;
use nova_protocol::{AgentId, InfoHash, Reference};
pub use schedule::{Clock, Window, WindowError};
use tokio_util::sync::CancellationToken;
use uses::Uses;

use crate::{
    agent_client::AgentClient,
    data_dir::DataDir,
    fetch::{self, Fetcher},
    http,
    listen::Listener,
    peer_id,
    place::Through,
    store::{Entry, Store},
    tracker::TrackerClient,
};

/// What the caller binds for an agent.
#[derive(Debug)]
pub struct Listeners {
    /// For pulls of this host.
    pub http: Listener,
    guard: Guard,
}

/// An agent at work.
struct Agent {
    id: AgentId,
    tracker: TrackerClient,
    store: Store,
    fetcher: Fetcher,
    limits: Limits,
    cache: Cache,
    torrents: Mutex<HashMap<InfoHash, Torrent>>,
    refusals: Refusals,
    /// The references at which something on this host is kept.
    follows: Vec<Reference>,
    /// Held while a torrent is added or removed: those who ask for the same one at once must not undo each other.
    changing: tokio::sync::Mutex<()>,
    shutdown: CancellationToken,
}

/// What an agent knows of a torrent beside its session's part.
#[derive(Clone)]
struct Torrent {
    entry: Entry,
    /// Addresses that are known to be origins'.
    origins: Vec<SocketAddr>,
}

impl Listeners {
    /// Binds what `config` says.
    ///
    /// # Errors
    /// [`AccessError`]; the address that cannot be bound, with its setting's name.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let guard = Guard::new(&config.http_listen, config.token()?)?;
        let permissions = config.permissions().context("socket_group")?;
        let http = config.http_listen.bind(&permissions).await;
        let http = http.with_context(|| format!("cannot listen on http_listen, {}", config.http_listen))?;
        Ok(Self { http, guard })
    }
}

/// Runs an agent until `shutdown`; then the tracker is told that it leaves.
///
/// # Errors
/// When its directory cannot be used, or it cannot listen.
pub async fn serve(config: Config, listeners: Listeners, shutdown: CancellationToken) -> anyhow::Result<()> {
    let follows = config.follows()?;
    let data = DataDir::open(&config.data_dir)?;
    let id = if config.id.is_empty() { data.id("agent")? } else { config.id.clone() };
    let tracker = TrackerClient::new(&config.tracker)?;
    let options = fetch::Options {
        listen: config.peers_listen,
        state: data.path("session"),
        request_window: config.request_window(),
        limits: config.limits(),
        tracker: Some(tracker.clone()),
        stall_after: config.stall_after(),
    };
    let session = CancellationToken::new();
    let agent = Arc::new(Agent {
        id: id.parse().context("wrong setting id")?,
        tracker,
        store: Store::open(data.path("store"))?,
        fetcher: Fetcher::start(options, peer_id(), session.child_token()).await?,
        limits: Limits::new(&config),
        cache: Cache::new(config.room(), &config.pins, Uses::open(data.path("uses"))?).context("wrong setting pins")?,
        torrents: Mutex::default(),
        refusals: Refusals::default(),
        follows: follows.iter().map(|follow| follow.reference.clone()).collect(),
        changing: tokio::sync::Mutex::default(),
        shutdown,
    });
    let at = listeners.http.at()?;
    tracing::info!(id = %agent.id, http = %at, peers = %agent.fetcher.addr(), "agent is up");
    agent.resume().await;
    let myself = AgentClient::new(&at.reachable().to_string())?.with_token(listeners.guard.token());
    let serving = http::serve(listeners.http, routes::routes(&agent, listeners.guard), agent.shutdown.clone());
    tokio::join!(
        serving,
        agent.keep_room(),
        agent.keep_lease(),
        agent.clone().keep_limits(),
        agent.follow(follows, Through::Agent(myself))
    );
    agent.fetcher.stop().await;
    session.cancel();
    tracing::info!("agent is down");
    Ok(())
}

impl Agent {
    fn torrents(&self) -> std::sync::MutexGuard<'_, HashMap<InfoHash, Torrent>> {
        self.torrents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
