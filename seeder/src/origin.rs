//! An origin: an always-on seeder that holds what the tracker assigns to it.

mod config;
mod hold;
mod lease;
mod routes;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
pub use config::{Config, DEFAULT_FILE, Flags};
use nova_protocol::InfoHash;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    announce::Announcer,
    data_dir::DataDir,
    fetch::{self, Fetcher},
    http, peer_id,
    store::{Store, StoreError},
    tracker::TrackerClient,
    upload::{self, Uploader},
};

/// What the caller binds for an origin.
#[derive(Debug)]
pub struct Listeners {
    /// For the upload engine.
    pub peers: TcpListener,
    /// For HTTP.
    pub http: TcpListener,
}

/// An origin at work.
struct Origin {
    id: String,
    config: Config,
    tracker: TrackerClient,
    store: Store,
    uploader: Uploader,
    /// Announces what the upload engine serves.
    announcer: Announcer,
    fetcher: Fetcher,
    holds: Mutex<HashMap<InfoHash, Hold>>,
    /// Whether the last lease was granted.
    is_leased: AtomicBool,
    shutdown: CancellationToken,
}

/// The task that sees to one torrent.
struct Hold {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Listeners {
    /// Binds what `config` says.
    ///
    /// # Errors
    /// The first address that cannot be bound, with its setting's name.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let peers = TcpListener::bind(config.peers_listen).await;
        let http = TcpListener::bind(config.http_listen).await;
        Ok(Self {
            peers: peers.with_context(|| format!("cannot listen on peers_listen, {}", config.peers_listen))?,
            http: http.with_context(|| format!("cannot listen on http_listen, {}", config.http_listen))?,
        })
    }
}

/// Runs an origin until `shutdown`; then peers and tracker are told that it leaves.
///
/// # Errors
/// When its directory cannot be used, or it cannot listen. What goes wrong later is logged, reported to the tracker,
/// and tried again.
pub async fn serve(config: Config, listeners: Listeners, shutdown: CancellationToken) -> anyhow::Result<()> {
    let data = DataDir::open(&config.data_dir)?;
    let id = if config.id.is_empty() { data.id("origin")? } else { config.id.clone() };
    let tracker = TrackerClient::new(&config.tracker)?;
    let store = Store::open(data.path("store"))?;
    // Peers and sessions end after the farewells, not before.
    let engines = CancellationToken::new();
    let limits = upload::Limits { connections: config.connections_max, bytes_per_second: config.upload_limit() };
    let uploader = Uploader::start(listeners.peers, peer_id(), limits, engines.child_token())?;
    let options = fetch::Options {
        listen: config.fetch_listen,
        state: data.path("session"),
        request_window: fetch::Window::Fixed(128),
        limits: fetch::Limits::default(),
        // While an origin fetches, no other has all of it, as a rule.
        tracker: None,
        stall_after: Duration::from_mins(1),
    };
    let fetcher = Fetcher::start(options, peer_id(), engines.child_token()).await?;
    let origin = Arc::new(Origin {
        tracker,
        id,
        config,
        store,
        announcer: Announcer::new(uploader.peer_id(), uploader.addr().port())?,
        uploader,
        fetcher,
        holds: Mutex::default(),
        is_leased: AtomicBool::new(false),
        shutdown,
    });
    for info_hash in origin.store.list()? {
        origin.hold(info_hash).await;
    }
    tracing::info!(id = origin.id, peers = %origin.uploader.addr(), tracker = %origin.tracker.url(), "origin is up");
    tokio::join!(
        origin.keep_lease(listeners.http.local_addr()?),
        origin.follow_assignments(&data),
        http::serve(listeners.http, routes::routes(&origin), origin.shutdown.clone()),
    );
    origin.end().await;
    engines.cancel();
    Ok(())
}

impl Origin {
    /// Sees to a torrent from now on. One that is seen to already is begun anew: the tracker asks because it does not
    /// know how far it is.
    async fn hold(self: &Arc<Self>, info_hash: InfoHash) {
        self.let_go(info_hash).await;
        let stop = self.shutdown.child_token();
        let task = tokio::spawn(self.clone().keep(info_hash, stop.clone()));
        self.holds().insert(info_hash, Hold { stop, task });
    }

    /// Releases a torrent: it is not served any more, and its content is removed.
    async fn release(&self, info_hash: InfoHash) -> Result<(), StoreError> {
        self.let_go(info_hash).await;
        self.fetcher.remove(info_hash).await;
        self.store.remove(info_hash)?;
        tracing::info!(%info_hash, "released");
        Ok(())
    }

    async fn let_go(&self, info_hash: InfoHash) {
        let hold = self.holds().remove(&info_hash);
        if let Some(hold) = hold {
            hold.stop.cancel();
            ended(hold.task).await;
        }
    }

    async fn end(&self) {
        let holds = std::mem::take(&mut *self.holds());
        futures_util::future::join_all(holds.into_values().map(|hold| ended(hold.task))).await;
        self.fetcher.stop().await;
        tracing::info!(id = self.id, "origin is down");
    }

    fn holds(&self) -> std::sync::MutexGuard<'_, HashMap<InfoHash, Hold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_leased(&self) -> bool {
        self.is_leased.load(Ordering::Relaxed)
    }

    fn free_bytes(&self) -> u64 {
        self.store.free_bytes().unwrap_or(0).saturating_sub(self.config.free_space_floor)
    }
}

async fn ended(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "a task of the origin broke");
    }
}

/// Work that blocks, off the threads that must not be.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}
