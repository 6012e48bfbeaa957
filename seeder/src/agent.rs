//! An agent: pulls for every user of a host, once, and goes on seeding.

mod access;
mod config;
mod limits;
mod pulls;
mod routes;
mod schedule;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

pub use access::AccessError;
use access::Guard;
use anyhow::Context as _;
pub use config::{Config, DEFAULT_FILE, Flags};
use limits::Limits;
use nova_protocol::InfoHash;
pub use schedule::{Clock, Window, WindowError};
use tokio_util::sync::CancellationToken;

use crate::{
    data_dir::DataDir,
    fetch::{self, Fetcher},
    http,
    listen::Listener,
    peer_id,
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
    tracker: TrackerClient,
    store: Store,
    fetcher: Fetcher,
    limits: Limits,
    torrents: Mutex<HashMap<InfoHash, Torrent>>,
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
    let data = DataDir::open(&config.data_dir)?;
    let options = fetch::Options {
        listen: config.peers_listen,
        state: Some(data.path("session")),
        request_window: config.request_window(),
        limits: config.limits(),
    };
    let session = CancellationToken::new();
    let agent = Arc::new(Agent {
        tracker: TrackerClient::new(&config.tracker)?,
        store: Store::open(data.path("store"))?,
        fetcher: Fetcher::start(options, peer_id(), session.child_token()).await?,
        limits: Limits::new(&config),
        torrents: Mutex::default(),
        changing: tokio::sync::Mutex::default(),
        shutdown,
    });
    tracing::info!(http = %listeners.http.at()?, peers = %agent.fetcher.addr(), "agent is up");
    let limits = tokio::spawn(agent.clone().keep_limits());
    agent.resume().await;
    http::serve(listeners.http, routes::routes(&agent, listeners.guard), agent.shutdown.clone()).await;
    limits.await?;
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
