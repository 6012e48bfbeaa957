//! An agent: pulls for every user of a host, once, and goes on seeding.

mod config;
mod follow;
mod lease;
mod pulls;
mod routes;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
pub use config::{Config, DEFAULT_FILE, Flags};
use lease::Refusals;
use nova_protocol::{AgentId, InfoHash, Reference};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    data_dir::DataDir,
    fetch::{self, Fetcher},
    http, peer_id,
    store::{Entry, Store},
    tracker::TrackerClient,
};

/// What the caller binds for an agent.
#[derive(Debug)]
pub struct Listeners {
    /// For pulls of this host.
    pub http: TcpListener,
}

/// An agent at work.
struct Agent {
    id: AgentId,
    tracker: TrackerClient,
    store: Store,
    fetcher: Fetcher,
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
    /// The address that cannot be bound, with its setting's name.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let http = TcpListener::bind(config.http_listen).await;
        Ok(Self { http: http.with_context(|| format!("cannot listen on http_listen, {}", config.http_listen))? })
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
    let options = fetch::Options {
        listen: config.peers_listen,
        state: data.path("session"),
        request_window: config.request_window(),
        limits: config.limits(),
    };
    let session = CancellationToken::new();
    let agent = Arc::new(Agent {
        id: id.parse().context("wrong setting id")?,
        tracker: TrackerClient::new(&config.tracker)?,
        store: Store::open(data.path("store"))?,
        fetcher: Fetcher::start(options, peer_id(), session.child_token()).await?,
        torrents: Mutex::default(),
        refusals: Refusals::default(),
        follows: follows.iter().map(|follow| follow.reference.clone()).collect(),
        changing: tokio::sync::Mutex::default(),
        shutdown,
    });
    tracing::info!(id = %agent.id, http = %listeners.http.local_addr()?, peers = %agent.fetcher.addr(), "agent is up");
    agent.resume().await;
    let addr = listeners.http.local_addr()?;
    let serving = http::serve(listeners.http, routes::routes(&agent, addr.ip().is_loopback()), agent.shutdown.clone());
    let ((), (), followed) = tokio::join!(serving, agent.keep_lease(), agent.follow(follows, addr));
    agent.fetcher.stop().await;
    session.cancel();
    tracing::info!("agent is down");
    followed
}

impl Agent {
    fn torrents(&self) -> std::sync::MutexGuard<'_, HashMap<InfoHash, Torrent>> {
        self.torrents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
