//! Fetching: one librqbit session, and what nova asks of it.
//!
//! Content of no bytes never reaches librqbit, which refuses it: making its files is all there is to do.

mod account;
mod attendance;
mod begin;
mod engine;
mod fallback;
mod introduce;
mod leave;
mod limits;
mod loopback;
mod nagle;
mod notes;
mod reserve;
mod rest;
mod stall;
mod status;
mod storage;
mod waker;
mod web_seed;
mod window;

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Display,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use librqbit::{
    AddTorrent, AddTorrentOptions, AddTorrentResponse, ListenerOptions, Session, SessionOptions,
    SessionPersistenceConfig, dht::Id20, limits::LimitsConfig,
};
use nova_protocol::{InfoHash, Magnet, Metainfo, PeerId, announce::Event};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use attendance::Attendance;
use begin::Beginning;
use engine::Engine;
use introduce::Introductions;
use limits::TorrentsLimits;
pub use limits::{Limits, TorrentLimits};
pub use reserve::ReserveError;
pub use status::{State, Status};
pub use window::Window;

use crate::{
    announce::{Amounts, Announcer},
    peer_id,
    reuse::Holdings,
    service::http,
    tracker::TrackerClient,
};

const POLL: Duration = Duration::from_millis(50);
/// How long a torrent waits for the tracker to say how many fetch it.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long peers may take to give the metadata of a magnet link.
pub(crate) const METADATA_WITHIN: Duration = Duration::from_mins(1);

/// How a session is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where peers may dial it; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where it notes what it has, so that a restart neither forgets nor hashes again.
    pub state: PathBuf,
    /// Requests in flight to each peer.
    pub request_window: Window,
    /// Bytes a second, and connections.
    pub limits: Limits,
    /// Who knows origins that give content over HTTP, when peers do not.
    pub tracker: Option<TrackerClient>,
    /// How long nothing may come from peers before that is tried.
    pub stall_after: Duration,
}

/// A librqbit session. Cheap to clone; ends with the token that it was started with.
#[derive(Clone)]
pub struct Fetcher {
    session: Arc<Session>,
    engine: Engine,
    state: PathBuf,
    /// The directory of the state, when that goes with the session.
    _temporary: Option<Arc<TempDir>>,
    announcer: Announcer,
    addr: SocketAddr,
    added: Arc<Mutex<HashMap<InfoHash, Attendance>>>,
    introductions: Introductions,
    request_window: Window,
    torrents_limits: TorrentsLimits,
    tracker: Option<TrackerClient>,
    stall_after: Duration,
    /// Asks web seeds.
    http: reqwest::Client,
    shutdown: CancellationToken,
}

/// Why a torrent could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// librqbit would not start.
    #[error("cannot listen for peers at {0}: {1}")]
    Start(SocketAddr, String),
    /// Nobody gives the metadata of a magnet link.
    #[error("cannot fetch {0}: {1}")]
    Magnet(InfoHash, String),
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
    /// Starts a session without torrents.
    ///
    /// # Errors
    /// [`FetchError::Start`].
    pub async fn start(options: Options, peer_id: PeerId, shutdown: CancellationToken) -> Result<Self, FetchError> {
        let (listen, request_window) = (options.listen, options.request_window);
        let (tracker, stall_after) = (options.tracker.clone(), options.stall_after);
        let failed = |error: &dyn Display| FetchError::Start(listen, error.to_string());
        let addr = settled(listen).map_err(|error| failed(&error))?;
        let announcer = Announcer::new(peer_id, addr.port()).map_err(|error| failed(&error))?;
        let http = http().map_err(|error| failed(&error))?;
        let state = options.state.clone();
        // The session's own list of torrents has old URLs; what it knows of their pieces is elsewhere.
        let _none_at_the_first_start = std::fs::remove_file(state.join("session.json"));
        let shutdown = shutdown.child_token();
        let introductions = Introductions::start(shutdown.clone()).await.map_err(|error| failed(&error))?;
        let engine = Engine::start(shutdown.clone()).map_err(|error| failed(&error))?;
        let torrents_limits = TorrentsLimits::new(options.limits.torrent);
        let settings = session_options(options, addr, peer_id, shutdown.clone());
        let session = engine.run(Session::new_with_opts(PathBuf::new(), settings)).await;
        let session = session.map_err(|ended| failed(&ended))?.map_err(|error| failed(&format_args!("{error:#}")))?;
        Ok(Self {
            session,
            engine,
            state,
            _temporary: None,
            announcer,
            addr,
            added: Arc::default(),
            introductions,
            request_window,
            torrents_limits,
            tracker,
            stall_after,
            http,
            shutdown,
        })
    }

    /// Starts a session for one download, of which nothing stays; see [`Options`] for what the rest means.
    ///
    /// # Errors
    /// [`FetchError::Start`].
    pub async fn alone(listen: SocketAddr, tracker: &TrackerClient, stall_after: Duration) -> Result<Self, FetchError> {
        let state = tempfile::tempdir().map_err(|error| FetchError::Start(listen, error.to_string()))?;
        let (request_window, limits) = (Window::OneAlone, Limits::default());
        let (state_path, tracker) = (state.path().to_path_buf(), Some(tracker.clone()));
        let options = Options { listen, state: state_path, request_window, limits, tracker, stall_after };
        let fetcher = Self::start(options, peer_id(), CancellationToken::new()).await?;
        Ok(Self { _temporary: Some(Arc::new(state)), ..fetcher })
    }

    /// Where peers may dial.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Starts to fetch a torrent into `folder`, or goes on with it, or leaves it be when it was added already. `seeders`
    /// are peers that are known to have everything; what `holdings` have of it is not fetched. All but the making of the
    /// files goes on in the background: [`Self::status`] says what comes of it.
    ///
    /// # Errors
    /// [`FetchError::Reserve`].
    pub async fn add(
        &self,
        metainfo: &Arc<Metainfo>,
        folder: &Path,
        seeders: &[SocketAddr],
        holdings: Holdings,
    ) -> Result<(), FetchError> {
        let (info, root) = (metainfo.info.clone(), folder.to_path_buf());
        let reserve = tokio::task::spawn_blocking(move || reserve::reserve(&info, &root));
        reserve.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let info_hash = metainfo.info_hash();
        let window = self.window(metainfo, seeders.first()).await;
        if let Entry::Vacant(place) = self.added().entry(info_hash) {
            let (metainfo, folder, seeders) = (metainfo.clone(), folder.to_path_buf(), seeders.to_vec());
            let beginning = Beginning { metainfo, folder, seeders, window, holdings };
            place.insert(Attendance::start(self.clone(), beginning, self.shutdown.child_token()));
        }
        Ok(())
    }

    /// Requests in flight to each peer. Where others fetch the same, their bytes wait before any answer, and the round trip
    /// says nothing of the distance: 16 leechers behind 25 Mbit/s measured 30 ms for it, and asked for each byte twice.
    async fn window(&self, metainfo: &Metainfo, seeder: Option<&SocketAddr>) -> usize {
        let least = self.request_window.least(metainfo.info.piece_length.get());
        if let Window::Fixed(_) = self.request_window {
            return least;
        }
        let others = match (&self.tracker, seeder) {
            (Some(tracker), Some(_)) => {
                let asked = tokio::time::timeout(ANSWER_WITHIN, tracker.torrent(metainfo.info_hash())).await;
                asked.ok().and_then(Result::ok).map_or(0, |status| status.leechers)
            }
            _ => 0,
        };
        if others > 0 {
            return least;
        }
        let url = self.tracker.as_ref().map(TrackerClient::url);
        let tracker = url.and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
        window::requests(seeder, tracker).await.max(least)
    }

    /// The metainfo that peers of a magnet link give (BEP 9).
    ///
    /// # Errors
    /// [`FetchError::Magnet`] when there is no peer, or none gives it.
    pub async fn metainfo_of(&self, magnet: &Magnet) -> Result<Metainfo, FetchError> {
        let failed = |reason: String| FetchError::Magnet(magnet.info_hash, reason);
        // librqbit announces that nothing is left to download, and who says so is told of no seeders.
        let peers = self.announce_magnet(magnet, Event::Started).await;
        let options = AddTorrentOptions { list_only: true, initial_peers: Some(peers), ..AddTorrentOptions::default() };
        let resolve = self.add_to_session(AddTorrent::from_url(magnet.to_string()), options);
        let resolved = tokio::time::timeout(METADATA_WITHIN, resolve).await;
        self.announce_magnet(magnet, Event::Stopped).await;
        let resolved = resolved.map_err(|_| failed("no peer gave the metadata in time".to_owned()))?;
        match resolved.map_err(failed)? {
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

    /// How a torrent is doing, if it was added.
    pub fn status(&self, info_hash: InfoHash) -> Option<Status> {
        self.seen_by(info_hash, Attendance::status)
    }

    fn seen_by(&self, info_hash: InfoHash, look: fn(&Attendance) -> Status) -> Option<Status> {
        // Held for both: what leaves and comes back between them would be in neither.
        let added = self.added();
        let attending = added.get(&info_hash).map(look);
        attending.or_else(|| self.torrents_limits.meanwhile(info_hash))
    }

    /// Waits until everything of a torrent is there and verified.
    ///
    /// # Errors
    /// [`FetchError::Failed`], [`FetchError::Removed`].
    pub async fn complete(&self, info_hash: InfoHash) -> Result<(), FetchError> {
        // librqbit's own wait never ends for a torrent that fails while it is live.
        loop {
            let status = self.seen_by(info_hash, Attendance::progress).ok_or(FetchError::Removed)?;
            match status.state {
                State::Complete => return Ok(()),
                State::Failed => return Err(FetchError::Failed(status.error.unwrap_or_default())),
                State::Checking | State::Fetching => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Bytes of content that came and went, of all torrents.
    fn moved(&self) -> u64 {
        let counters = self.session.stats_snapshot().counters;
        counters.fetched_bytes + counters.uploaded_bytes
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
        fastresume: true,
        persistence: Some(SessionPersistenceConfig::Json { folder: Some(options.state) }),
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
