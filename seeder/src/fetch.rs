//! Fetching: one librqbit session, and what nova asks of it.
//!
//! Content of no bytes never reaches librqbit, which refuses it: making its files is all there is to do.

mod introduce;
mod reserve;
mod status;
mod waker;
mod window;

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use librqbit::{
    AddTorrent, AddTorrentOptions, AddTorrentResponse, ListenerOptions, ManagedTorrent, PeerConnectionOptions, Session,
    SessionOptions, SessionPersistenceConfig, api::TorrentIdOrHash, dht::Id20, limits::LimitsConfig,
};
use nova_protocol::{InfoHash, Magnet, Metainfo, PeerId, announce::Event};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use introduce::{Introductions, List};
pub use reserve::ReserveError;
pub use status::{State, Status};
use waker::Waker;
pub use window::Window;

use crate::announce::{Amounts, Announcer};

const POLL: Duration = Duration::from_millis(50);
/// Between two calls of a waker while bytes come in: 20 to 100 ms are all good.
const PAUSE: Duration = Duration::from_millis(80);
/// The same, after some calls in a row that nothing came of.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long leechers wait to be introduced when seeders give no piece.
const SEEDERS_FIRST: Duration = Duration::from_secs(1);
/// How long peers may take to give the metadata of a magnet link.
pub(crate) const METADATA_WITHIN: Duration = Duration::from_mins(1);

/// How a session is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where peers may dial it; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where it notes what it has, so that a restart neither forgets nor hashes again; nothing is noted without.
    pub state: Option<PathBuf>,
    /// Requests in flight to each peer.
    pub request_window: Window,
    /// Bytes a second, and connections.
    pub limits: Limits,
}

/// What a session may use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Bytes that leave in a second.
    pub upload: Option<std::num::NonZeroU32>,
    /// Bytes that come in a second.
    pub download: Option<std::num::NonZeroU32>,
    /// Peers of one torrent at once.
    pub peers: Option<usize>,
}

/// A librqbit session. Cheap to clone; ends with the token that it was started with.
#[derive(Clone)]
pub struct Fetcher {
    session: Arc<Session>,
    announcer: Announcer,
    addr: SocketAddr,
    added: Arc<Mutex<HashMap<InfoHash, Attendance>>>,
    introductions: Introductions,
    request_window: Window,
    shutdown: CancellationToken,
}

/// What goes on beside the session for a torrent that was added.
struct Attendance {
    stop: CancellationToken,
    /// None for content of no bytes.
    task: Option<JoinHandle<()>>,
}

/// Why a torrent could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// librqbit would not start.
    #[error("cannot listen for peers at {0}: {1}")]
    Start(SocketAddr, String),
    /// librqbit would not take the torrent.
    #[error("cannot fetch {0}: {1}")]
    Add(InfoHash, String),
    /// The output directory has a name that librqbit cannot take.
    #[error("{} is not UTF-8", .0.display())]
    Folder(PathBuf),
    /// There is no space for the files, or they cannot be made.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// It stopped on the way.
    #[error("{0}")]
    Failed(String),
    /// The torrent is not in this session any more.
    #[error("removed")]
    Removed,
}

impl Fetcher {
    /// Starts a session; with [`Options::state`], every torrent that was in it before is in it again.
    ///
    /// # Errors
    /// [`FetchError::Start`].
    pub async fn start(options: Options, peer_id: PeerId, shutdown: CancellationToken) -> Result<Self, FetchError> {
        let (listen, request_window) = (options.listen, options.request_window);
        let failed = |error: String| FetchError::Start(listen, error);
        let addr = settled(listen).map_err(|error| failed(error.to_string()))?;
        if let Some(folder) = &options.state {
            // The session's own list of torrents has old URLs; what it knows of their pieces is elsewhere.
            let _none_at_the_first_start = std::fs::remove_file(folder.join("session.json"));
        }
        let introductions = Introductions::start(shutdown.clone()).await.map_err(|error| failed(error.to_string()))?;
        let settings = session_options(options, addr, peer_id, shutdown.clone());
        let session = Session::new_with_opts(PathBuf::new(), settings).await;
        let session = session.map_err(|error| failed(format!("{error:#}")))?;
        let announcer = Announcer::new(peer_id, addr.port());
        Ok(Self { session, announcer, addr, added: Arc::default(), introductions, request_window, shutdown })
    }

    /// Where peers may dial.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Starts to fetch a torrent into `folder`, or goes on with it, or leaves it be when it is in the session already.
    /// `seeders` are peers that are known to have everything.
    ///
    /// # Errors
    /// [`FetchError::Add`], [`FetchError::Folder`], [`FetchError::Reserve`].
    pub async fn add(&self, metainfo: &Arc<Metainfo>, folder: &Path, seeders: &[SocketAddr]) -> Result<(), FetchError> {
        let info_hash = metainfo.info_hash();
        let (info, root) = (metainfo.info.clone(), folder.to_path_buf());
        let reserve = tokio::task::spawn_blocking(move || reserve::reserve(&info, &root));
        reserve.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let mut torrent = None;
        if metainfo.info.length > 0 {
            let output_folder = folder.to_str().ok_or_else(|| FetchError::Folder(folder.to_path_buf()))?;
            let window = self.request_window.requests(seeders.first()).await;
            let peers = PeerConnectionOptions { max_request_window: Some(window), ..PeerConnectionOptions::default() };
            let options = AddTorrentOptions {
                overwrite: true,
                output_folder: Some(output_folder.to_owned()),
                peer_opts: Some(peers),
                ..AddTorrentOptions::default()
            };
            let tracker = vec![vec![self.introductions.url(info_hash)]];
            let bytes =
                AddTorrent::from_bytes(metainfo.with_sources(&tracker, &metainfo.web_seeds).as_bytes().to_vec());
            let added = self.session.add_torrent(bytes, Some(options)).await;
            let added = added.map_err(|error| FetchError::Add(info_hash, format!("{error:#}")))?;
            torrent = added.into_handle();
        }
        if let Entry::Vacant(place) = self.added().entry(info_hash) {
            let stop = self.shutdown.child_token();
            let list = self.introductions.open(info_hash, seeders);
            let task =
                torrent.map(|torrent| tokio::spawn(self.clone().attend(torrent, metainfo.clone(), list, stop.clone())));
            place.insert(Attendance { stop, task });
        }
        Ok(())
    }

    /// The metainfo that peers of a magnet link give (BEP 9).
    ///
    /// # Errors
    /// [`FetchError::Add`] when there is no peer, or none gives it.
    pub async fn metainfo_of(&self, magnet: &Magnet) -> Result<Metainfo, FetchError> {
        let failed = |reason: String| FetchError::Add(magnet.info_hash, reason);
        // librqbit announces that nothing is left to download, and who says so is told of no seeders.
        let peers = self.announce_magnet(magnet, Event::Started).await;
        let options = AddTorrentOptions { list_only: true, initial_peers: Some(peers), ..AddTorrentOptions::default() };
        let resolve = self.session.add_torrent(AddTorrent::from_url(magnet.to_string()), Some(options));
        let resolved = tokio::time::timeout(METADATA_WITHIN, resolve).await;
        self.announce_magnet(magnet, Event::Stopped).await;
        let resolved = resolved.map_err(|_| failed("no peer gave the metadata in time".to_owned()))?;
        match resolved.map_err(|error| failed(format!("{error:#}")))? {
            AddTorrentResponse::ListOnly(listed) => {
                Metainfo::parse(listed.torrent_bytes.to_vec()).map_err(|error| failed(error.to_string()))
            }
            _ => Err(failed("the session has it already".to_owned())),
        }
    }

    /// Announces as one that has only a magnet link and everything still to download, and says which peers there are.
    async fn announce_magnet(&self, magnet: &Magnet, event: Event) -> Vec<SocketAddr> {
        let trackers: Vec<_> = magnet.trackers.iter().map(|url| vec![url.clone()]).collect();
        let amounts = Amounts { left: 1, ..Amounts::default() };
        let announced = self.announcer.announce(&trackers, magnet.info_hash, event, amounts).await;
        announced
            .inspect_err(|error| tracing::debug!(%error, "announce failed"))
            .map_or_else(|_| Vec::new(), |reply| reply.peers)
    }

    /// How a torrent is doing, if it is in the session.
    pub fn status(&self, info_hash: InfoHash) -> Option<Status> {
        if let Some(torrent) = self.torrent(info_hash) {
            return Some(status::status(&torrent));
        }
        let was_added = self.added().contains_key(&info_hash);
        was_added.then(|| Status { state: State::Complete, ..Status::nothing() })
    }

    /// Waits until everything of a torrent is there and verified.
    ///
    /// # Errors
    /// [`FetchError::Failed`], [`FetchError::Removed`].
    pub async fn complete(&self, info_hash: InfoHash) -> Result<(), FetchError> {
        // librqbit's own wait never ends for a torrent that fails while it is live.
        loop {
            let status = self.status(info_hash).ok_or(FetchError::Removed)?;
            match status.state {
                State::Complete => return Ok(()),
                State::Failed => return Err(FetchError::Failed(status.error.unwrap_or_default())),
                State::Checking | State::Fetching => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Tells every tracker that this peer leaves, and takes a torrent out of the session; its files stay.
    pub async fn remove(&self, info_hash: InfoHash) {
        let attendance = self.added().remove(&info_hash);
        if let Some(attendance) = attendance {
            attendance.end().await;
        }
        self.introductions.close(info_hash);
        if self.torrent(info_hash).is_some() {
            let id = TorrentIdOrHash::Hash(Id20::new(*info_hash.as_bytes()));
            if let Err(error) = self.session.delete(id, false).await {
                tracing::warn!(%info_hash, "cannot remove from the session: {error:#}");
            }
        }
    }

    /// Tells every tracker that this peer leaves, and ends the session.
    pub async fn stop(&self) {
        let attendances: Vec<Attendance> = self.added().drain().map(|(_, attendance)| attendance).collect();
        futures_util::future::join_all(attendances.into_iter().map(Attendance::end)).await;
        self.session.stop().await;
    }

    fn torrent(&self, info_hash: InfoHash) -> Option<Arc<ManagedTorrent>> {
        self.session.get(TorrentIdOrHash::Hash(Id20::new(*info_hash.as_bytes())))
    }

    fn added(&self) -> MutexGuard<'_, HashMap<InfoHash, Attendance>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces a torrent and tells the session whom that finds, until it is removed.
    async fn attend(
        self,
        torrent: Arc<ManagedTorrent>,
        metainfo: Arc<Metainfo>,
        list: Arc<List>,
        stop: CancellationToken,
    ) {
        // Only then is it known what is left to download.
        let Some(Ok(())) = stop.run_until_cancelled(torrent.wait_until_initialized()).await else { return };
        let amounts = || {
            let status = status::status(&torrent);
            let downloaded = status.sources.iter().map(|(_, bytes)| bytes).sum();
            let left = metainfo.info.length.saturating_sub(status.have);
            Amounts { uploaded: status.uploaded, downloaded, left }
        };
        let has_news = Notify::new();
        let found = |peer| list.add(peer);
        tokio::join!(
            self.announcer.keep((&metainfo.trackers, metainfo.info_hash()), amounts, found, &has_news, &stop),
            stop.run_until_cancelled(self.watch(&torrent, &metainfo, &list, &has_news)),
        );
    }

    /// Wakes a torrent's connections until it is complete or has failed, and gives news of its first piece and its last.
    async fn watch(&self, torrent: &ManagedTorrent, metainfo: &Metainfo, list: &List, has_news: &Notify) {
        let mut waker = Waker::new(self.addr, metainfo);
        let (start, mut had_piece, mut fetched, mut pause) = (Instant::now(), false, 0, PAUSE);
        loop {
            let status = status::status(torrent);
            let has_piece = status.have > 0;
            if has_piece && !had_piece {
                had_piece = true;
                has_news.notify_one();
            }
            if has_piece || start.elapsed() >= SEEDERS_FIRST {
                list.release();
            }
            if matches!(status.state, State::Complete | State::Failed) {
                return has_news.notify_one();
            }
            if let Err(error) = waker.wake().await {
                tracing::trace!(name = metainfo.info.name, %error, "not woken");
            }
            let now: u64 = status.sources.iter().map(|(_, bytes)| bytes).sum();
            pause = if now == fetched { (pause * 2).min(PAUSE_MAX) } else { PAUSE };
            fetched = now;
            tokio::time::sleep(pause).await;
        }
    }
}

impl Attendance {
    async fn end(self) {
        self.stop.cancel();
        if let Some(Err(error)) = futures_util::future::OptionFuture::from(self.task).await {
            tracing::warn!(%error, "a torrent was not attended to its end");
        }
    }
}

fn session_options(options: Options, addr: SocketAddr, peer_id: PeerId, shutdown: CancellationToken) -> SessionOptions {
    SessionOptions {
        dht: None,
        disable_local_service_discovery: true,
        fastresume: options.state.is_some(),
        persistence: options.state.map(|folder| SessionPersistenceConfig::Json { folder: Some(folder) }),
        peer_id: Some(Id20::new(*peer_id.as_bytes())),
        listen: Some(ListenerOptions {
            listen_addr: addr,
            // On a loopback address librqbit would announce port 4240 otherwise.
            announce_port: Some(addr.port()),
            ..ListenerOptions::default()
        }),
        cancellation_token: Some(shutdown),
        ratelimits: LimitsConfig { upload_bps: options.limits.upload, download_bps: options.limits.download },
        peer_limit: options.limits.peers,
        client_name_and_version: Some(concat!("nova ", env!("CARGO_PKG_VERSION")).to_owned()),
        ..SessionOptions::default()
    }
}

/// The same address with a port that is free now, when any will do: librqbit must be told what to announce.
fn settled(listen: SocketAddr) -> io::Result<SocketAddr> {
    match listen.port() {
        0 => std::net::TcpListener::bind(listen)?.local_addr(),
        _ => Ok(listen),
    }
}
