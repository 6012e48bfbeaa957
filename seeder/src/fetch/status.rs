//! How a torrent in a session is doing.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use librqbit::{ManagedTorrent, ManagedTorrentState, TorrentStatsState, http_api_types::PeerStatsFilter};
use nova_protocol::{
    Metainfo,
    api::{self, PullState, WaitsFor},
};

/// How far a torrent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// What is on disk is being looked at.
    Checking,
    /// Something is missing.
    Fetching,
    /// Everything is there and verified.
    Complete,
    /// It stopped, see [`Status::error`].
    Failed,
}

/// How a torrent is doing.
#[derive(Debug, Clone)]
pub struct Status {
    /// How far it is.
    pub state: State,
    /// Bytes that are there and verified.
    pub have: u64,
    /// Bytes that this host was searched for, while it is.
    pub checked: u64,
    /// Bytes of it that were on this host already when it was added.
    pub reused: u64,
    /// Bytes a second that come in.
    pub download_rate: u64,
    /// Bytes a second that go out.
    pub upload_rate: u64,
    /// Bytes that went out since the start.
    pub uploaded: u64,
    /// Peers that are connected.
    pub peers: u32,
    /// Where they are; one that dialled has the port that it dialled from.
    pub live: Vec<SocketAddr>,
    /// With each peer.
    pub exchanged: Vec<Exchange>,
    /// Whether some of it was noted in an earlier run, and not looked at since.
    pub resumed: bool,
    /// What it waits for.
    pub waits_for: Option<WaitsFor>,
    /// Addresses of the session's own peers that have everything over HTTP.
    pub web_seeds: Vec<SocketAddr>,
    /// Why it stopped.
    pub error: Option<String>,
}

/// Bytes that went between a peer and this host since the start.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// Where the peer is.
    pub addr: SocketAddr,
    /// From it.
    pub received: u64,
    /// To it.
    pub sent: u64,
}

impl Status {
    /// The same, as agents say it; `origins` are the addresses that are known to be origins'.
    pub fn describe(self, metainfo: &Metainfo, origins: &[SocketAddr], path: PathBuf) -> api::Pull {
        let is_origin = |addr: &SocketAddr| origins.contains(addr) || self.web_seeds.contains(addr);
        let source = |&Exchange { addr, received: bytes, .. }: &Exchange| {
            (bytes > 0).then(|| api::Source { addr, bytes, origin: is_origin(&addr) })
        };
        api::Pull {
            info_hash: metainfo.info_hash(),
            name: metainfo.info.name.clone(),
            state: match self.state {
                State::Checking => PullState::Checking,
                State::Fetching => PullState::Fetching,
                State::Complete => PullState::Seeding,
                State::Failed => PullState::Failed,
            },
            length: metainfo.info.length,
            have: self.have,
            checked: self.checked,
            reused: self.reused,
            download_rate: self.download_rate,
            upload_rate: self.upload_rate,
            uploaded: self.uploaded,
            peers: self.peers,
            sources: self.exchanged.iter().filter_map(source).collect(),
            waits_for: self.waits_for,
            last_use: None,
            path,
            reason: self.error,
        }
    }

    /// Bytes that came since the start.
    pub(super) fn downloaded(&self) -> u64 {
        self.exchanged.iter().map(|exchange| exchange.received).sum()
    }

    pub(super) fn nothing() -> Self {
        Self {
            state: State::Checking,
            have: 0,
            checked: 0,
            reused: 0,
            download_rate: 0,
            upload_rate: 0,
            uploaded: 0,
            peers: 0,
            live: Vec::new(),
            exchanged: Vec::new(),
            resumed: false,
            waits_for: None,
            web_seeds: Vec::new(),
            error: None,
        }
    }
}

pub(super) fn status(torrent: &ManagedTorrent) -> Status {
    let mut status = progress(torrent);
    see_peers(torrent, &mut status);
    status
}

/// Everything but the peers one by one.
pub(super) fn progress(torrent: &ManagedTorrent) -> Status {
    let stats = torrent.stats();
    let state = match stats.state {
        TorrentStatsState::Error => State::Failed,
        TorrentStatsState::Initializing { .. } => State::Checking,
        _ if stats.finished => State::Complete,
        _ => State::Fetching,
    };
    let error = stats.error.as_deref().map(plain);
    let mut status = Status { state, have: stats.progress_bytes, error, ..Status::nothing() };
    if state == State::Checking {
        // Here librqbit counts what it has looked at, not what it has found.
        (status.have, status.checked) = (0, stats.progress_bytes);
    }
    if let Some(live) = &stats.live {
        status.download_rate = live.download_speed.as_bytes();
        status.upload_rate = live.upload_speed.as_bytes();
        status.uploaded = stats.uploaded_bytes;
        status.peers = live.snapshot.peer_stats.live;
        status.reused = status.have.saturating_sub(live.snapshot.downloaded_and_checked_bytes);
    }
    status
}

fn see_peers(torrent: &ManagedTorrent, status: &mut Status) {
    let live = torrent.with_state(|state| match state {
        ManagedTorrentState::Live(live) => Some(live.clone()),
        _ => None,
    });
    // The filter's other variant cannot be named from here.
    let all: PeerStatsFilter = serde_json::from_str(r#"{"state":"all"}"#).expect("a variant of librqbit's filter");
    let peers = live.map(|live| live.per_peer_stats_snapshot(all).peers).unwrap_or_default();
    for (addr, peer) in peers {
        let Ok(addr) = addr.parse::<SocketAddr>() else { continue };
        if peer.state == "live" {
            status.live.push(addr);
        }
        let (received, sent) = (peer.counters.fetched_bytes, peer.counters.uploaded_bytes);
        if received > 0 || sent > 0 {
            status.exchanged.push(Exchange { addr, received, sent });
        }
    }
}

/// Bytes a second.
pub(super) fn rate(bytes: u64, time: Duration) -> u64 {
    let micros = time.as_micros().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// An error of librqbit in one line: its texts repeat themselves and may carry a backtrace.
fn plain(error: &str) -> String {
    let text =
        error.lines().map(str::trim).take_while(|line| !line.contains("backtrace")).filter(|line| !line.is_empty());
    text.collect::<Vec<_>>().join(" ")
}
