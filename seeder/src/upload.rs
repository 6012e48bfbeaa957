//! The upload engine: serves complete content to peers, dialled or dialling.
//!
//! librqbit can fetch, but it cannot say what is sent to whom first, and that decides how fast a whole fleet finishes.
//! So everything that is complete is served here: an origin's content, and a pusher's own files.

mod connection;
mod limit;
mod peer;
pub mod super_seed;
mod torrent;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    num::NonZeroU32,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use nova_protocol::{InfoHash, Metainfo, PeerId, metainfo::Info, peer_wire::HandshakeError, peer_wire::MessageError};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
pub use torrent::Status;
use torrent::Torrent;

use crate::content::Content;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// What an [`Uploader`] may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once, of all torrents together.
    pub connections: usize,
    /// Bytes of content a second, of all torrents together; at least 64 KiB when there is a limit.
    pub bytes_per_second: Option<NonZeroU32>,
}

/// How all torrents of an [`Uploader`] together are doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many are served.
    pub torrents: usize,
    /// Bytes of content that have been sent.
    pub uploaded: u64,
    /// Connections.
    pub peers: usize,
}

/// Serves content to peers. Cheap to clone; stops with the token that it was started with.
#[derive(Clone)]
pub struct Uploader {
    engine: Arc<Engine>,
}

struct Engine {
    peer_id: PeerId,
    addr: SocketAddr,
    torrents: RwLock<HashMap<InfoHash, Arc<Torrent>>>,
    connections: Arc<Semaphore>,
    limit: limit::Limit,
    shutdown: CancellationToken,
}

/// Why a connection ended other than by the peer's leaving.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The network's fault.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Content that could not be read.
    #[error(transparent)]
    Content(io::Error),
    /// No progress for too long.
    #[error("no {0} in time")]
    TooSlow(&'static str),
    /// Not BitTorrent, or not without encryption.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// About a torrent that is not served here.
    #[error("torrent {0} is not served here")]
    UnknownTorrent(InfoHash),
    /// It has our own peer id.
    #[error("the peer is this process")]
    Itself,
    /// There is a connection to it already.
    #[error("connected already")]
    AlreadyConnected,
    /// As many connections as [`Limits::connections`] says.
    #[error("no connection is free")]
    Full,
    /// A message that is malformed.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A message that this peer must not send.
    #[error("protocol violation: {0}")]
    Violation(&'static str),
}

impl Uploader {
    /// Listens, and serves what will be added, until `shutdown` is cancelled.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(
        listener: TcpListener,
        peer_id: PeerId,
        limits: Limits,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let engine = Arc::new(Engine {
            peer_id,
            addr: listener.local_addr()?,
            torrents: RwLock::default(),
            connections: Arc::new(Semaphore::new(limits.connections)),
            limit: limit::Limit::new(limits.bytes_per_second),
            shutdown,
        });
        tokio::spawn(engine.clone().accept(listener));
        Ok(Self { engine })
    }

    /// Where peers can dial.
    pub fn addr(&self) -> SocketAddr {
        self.engine.addr
    }

    /// What this process calls itself to peers.
    pub fn peer_id(&self) -> PeerId {
        self.engine.peer_id
    }

    /// Serves `content`, all of which must be there. A torrent that is served already stays as it is.
    pub fn add(&self, metainfo: &Arc<Metainfo>, content: Content<Arc<Info>>) {
        let stop = self.engine.shutdown.child_token();
        let torrent = || Arc::new(Torrent::new(metainfo.clone(), content, stop));
        self.engine.write().entry(metainfo.info_hash()).or_insert_with(torrent);
    }

    /// Stops serving a torrent and disconnects its peers. Whether it was served.
    pub fn remove(&self, info_hash: InfoHash) -> bool {
        let removed = self.engine.write().remove(&info_hash);
        removed.inspect(|torrent| torrent.stop.cancel()).is_some()
    }

    /// How a torrent is doing, if it is served.
    pub fn status(&self, info_hash: InfoHash) -> Option<Status> {
        self.engine.torrent(info_hash).map(|torrent| torrent.status())
    }

    /// What is cancelled once content of a torrent could not be read, if it is served.
    pub fn fault(&self, info_hash: InfoHash) -> Option<CancellationToken> {
        self.engine.torrent(info_hash).map(|torrent| torrent.fault.clone())
    }

    /// How all torrents together are doing.
    pub fn totals(&self) -> Totals {
        self.engine.read().values().map(|torrent| torrent.status()).fold(Totals::default(), |sum, status| Totals {
            torrents: sum.torrents + 1,
            uploaded: sum.uploaded + status.uploaded,
            peers: sum.peers + status.peers,
        })
    }

    /// Dials a peer, and serves it until one of the two leaves.
    ///
    /// # Errors
    /// Every variant of [`PeerError`].
    pub async fn dial(&self, info_hash: InfoHash, addr: SocketAddr) -> Result<(), PeerError> {
        let torrent = self.engine.torrent(info_hash).ok_or(PeerError::UnknownTorrent(info_hash))?;
        let _permit = self.engine.connections.clone().try_acquire_owned().map_err(|_| PeerError::Full)?;
        let stream = timeout(CONNECT_WITHIN, TcpStream::connect(addr)).await;
        let stream = stream.map_err(|_| PeerError::TooSlow("connection"))??;
        self.engine.dialled(stream, torrent).await
    }
}

impl Engine {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<InfoHash, Arc<Torrent>>> {
        self.torrents.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<InfoHash, Arc<Torrent>>> {
        self.torrents.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn torrent(&self, info_hash: InfoHash) -> Option<Arc<Torrent>> {
        self.read().get(&info_hash).cloned()
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.shutdown.cancelled() => return,
            };
            match accepted {
                Ok((stream, addr)) => {
                    // Over the limit, closing at once tells the peer to try elsewhere.
                    let Ok(permit) = self.connections.clone().try_acquire_owned() else { continue };
                    let engine = self.clone();
                    tokio::spawn(async move {
                        let ended = engine.answered(stream).await;
                        tracing::debug!(%addr, ?ended, "peer left");
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a peer");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}
