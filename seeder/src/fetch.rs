//! Fetching: one librqbit session, and what nova asks of it.
//!
//! Content of no bytes never reaches librqbit, which refuses it: making its files is all there is to do.

mod attendance;
mod introduce;
mod limits;
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
    time::Duration,
};

use librqbit::{
    AddTorrent, AddTorrentOptions, AddTorrentResponse, ListenerOptions, ManagedTorrent, PeerConnectionOptions, Session,
    SessionOptions, SessionPersistenceConfig, api::TorrentIdOrHash, dht::Id20, limits::LimitsConfig,
};
use nova_protocol::{InfoHash, Magnet, Metainfo, PeerId, announce::Event};
use tokio_util::sync::CancellationToken;

use attendance::Attendance;
use introduce::Introductions;
use limits::TorrentsLimits;
pub use limits::{Limits, TorrentLimits};
pub use reserve::ReserveError;
pub use status::{State, Status};
pub use window::Window;

use crate::announce::{Amounts, Announcer};

const POLL: Duration = Duration::from_millis(50);
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

/// A librqbit session. Cheap to clone; ends with the token that it was started with.
#[derive(Clone)]
pub struct Fetcher {
    session: Arc<Session>,
    announcer: Announcer,
    addr: SocketAddr,
    added: Arc<Mutex<HashMap<InfoHash, Attendance>>>,
    introductions: Introductions,
    request_window: Window,
    torrents_limits: TorrentsLimits,
    shutdown: CancellationToken,
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
        let torrents_limits = TorrentsLimits::new(options.limits.torrent, options.state.clone());
        let settings = session_options(options, addr, peer_id, shutdown.clone());
        let session = Session::new_with_opts(PathBuf::new(), settings).await;
        let session = session.map_err(|error| failed(format!("{error:#}")))?;
        let announcer = Announcer::new(peer_id, addr.port());
        let added = Arc::default();
        Ok(Self { session, announcer, addr, added, introductions, request_window, torrents_limits, shutdown })
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
                ratelimits: self.torrents_limits.rates(info_hash),
                peer_limit: self.torrents_limits.peers(info_hash),
                ..AddTorrentOptions::default()
            };
            let trackers = self.trackers(metainfo);
            let bytes =
                AddTorrent::from_bytes(metainfo.with_sources(&trackers, &metainfo.web_seeds).as_bytes().to_vec());
            let added = self.session.add_torrent(bytes, Some(options)).await;
            let added = added.map_err(|error| FetchError::Add(info_hash, format!("{error:#}")))?;
            torrent = added.into_handle();
        }
        if let Entry::Vacant(place) = self.added().entry(info_hash) {
            let list = self.introductions.open(info_hash, seeders);
            let stop = self.shutdown.child_token();
            place.insert(Attendance::start(self.clone(), torrent, metainfo.clone(), list, stop));
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
        if let Some(status) = self.torrents_limits.meanwhile(info_hash) {
            return Some(status);
        }
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

    /// What the session announces to: our own announces go over HTTP alone.
    fn trackers(&self, metainfo: &Metainfo) -> Vec<Vec<String>> {
        let own = vec![self.introductions.url(metainfo.info_hash())];
        let mut udp = metainfo.trackers.clone();
        if udp.iter().flatten().any(|url| url.starts_with("http")) {
            udp.clear();
        }
        udp.push(own);
        udp
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
        ratelimits: LimitsConfig {
            upload_bps: options.limits.upload.get(),
            download_bps: options.limits.download.get(),
        },
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
