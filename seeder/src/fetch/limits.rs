//! How fast a session and its torrents may go, and how that is changed while they do.

use std::{
    collections::HashMap,
    net::SocketAddr,
    num::NonZeroU32,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use librqbit::limits::LimitsConfig;
use nova_protocol::{InfoHash, Metainfo, Rate};

use super::{FetchError, Fetcher, Status};
use crate::reuse::Holdings;

/// What a session may use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Bytes of content that leave in a second, all torrents together.
    pub upload: Rate,
    /// Bytes of content that come in a second, all torrents together.
    pub download: Rate,
    /// What each torrent may use.
    pub torrent: TorrentLimits,
}

/// What a torrent of a session may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TorrentLimits {
    /// Bytes of content that leave in a second.
    pub upload: Rate,
    /// Bytes of content that come in a second.
    pub download: Rate,
    /// Peers at once; as many as librqbit likes, 128, when there is none.
    pub peers: Option<NonZeroU32>,
}

/// The limits of each torrent. Cheap to clone.
#[derive(Clone)]
pub(super) struct TorrentsLimits {
    /// For those that have none of their own.
    all: TorrentLimits,
    own: Arc<Mutex<HashMap<InfoHash, TorrentLimits>>>,
    /// What is said of torrents that are out of the session for a moment.
    meanwhile: Arc<Mutex<HashMap<InfoHash, Status>>>,
}

impl TorrentsLimits {
    pub(super) fn new(all: TorrentLimits) -> Self {
        Self { all, own: Arc::default(), meanwhile: Arc::default() }
    }

    fn of(&self, info_hash: InfoHash) -> TorrentLimits {
        lock(&self.own).get(&info_hash).copied().unwrap_or(self.all)
    }

    /// How librqbit is told when it is given a torrent.
    pub(super) fn rates(&self, info_hash: InfoHash) -> LimitsConfig {
        let TorrentLimits { upload, download, .. } = self.of(info_hash);
        LimitsConfig { upload_bps: upload.get(), download_bps: download.get() }
    }

    pub(super) fn peers(&self, info_hash: InfoHash) -> Option<usize> {
        self.of(info_hash).peers.and_then(|peers| usize::try_from(peers.get()).ok())
    }

    pub(super) fn meanwhile(&self, info_hash: InfoHash) -> Option<Status> {
        lock(&self.meanwhile).get(&info_hash).cloned()
    }
}

impl Fetcher {
    /// Has the session keep to these limits from now on. A request that waits for the old ones still does.
    pub fn limit(&self, upload: Rate, download: Rate) {
        // Each call gives another second's worth at once, so the same limits are not set again.
        let limits = &self.session.ratelimits;
        if limits.get_upload_bps() != upload.get() {
            limits.set_upload_bps(upload.get());
        }
        if limits.get_download_bps() != download.get() {
            limits.set_download_bps(download.get());
        }
    }

    /// Bytes of a torrent that may come in a second, by whichever limit is less.
    pub(super) fn download_limit(&self, info_hash: InfoHash) -> Option<u64> {
        let session = self.session.ratelimits.get_download_bps();
        let own = self.torrents_limits.of(info_hash).download.get();
        session.into_iter().chain(own).min().map(|limit| u64::from(limit.get()))
    }

    /// The limits of a torrent, and whether they are its own.
    pub fn torrent_limits(&self, info_hash: InfoHash) -> (TorrentLimits, bool) {
        let is_own = lock(&self.torrents_limits.own).contains_key(&info_hash);
        (self.torrents_limits.of(info_hash), is_own)
    }

    /// Gives a torrent limits of its own until this session ends, or with `None` those of all. Nothing is hashed again.
    ///
    /// librqbit asks for the limits of a torrent when it is added, and never again. So the torrent leaves the session and
    /// its swarm, and comes back to both; what was counted of it begins at zero.
    ///
    /// # Errors
    /// Those of [`Self::add`].
    pub async fn limit_torrent(
        &self,
        limits: Option<TorrentLimits>,
        metainfo: &Arc<Metainfo>,
        folder: &Path,
        seeders: &[SocketAddr],
    ) -> Result<(), FetchError> {
        let info_hash = metainfo.info_hash();
        let before = self.torrents_limits.of(info_hash);
        match limits {
            Some(limits) => lock(&self.torrents_limits.own).insert(info_hash, limits),
            None => lock(&self.torrents_limits.own).remove(&info_hash),
        };
        let Some(status) = self.status(info_hash) else { return Ok(()) };
        if before == self.torrents_limits.of(info_hash) {
            return Ok(());
        }
        lock(&self.torrents_limits.meanwhile).insert(info_hash, status);
        self.set_aside(info_hash).await;
        let added = self.add(metainfo, folder, seeders, Holdings::default()).await;
        lock(&self.torrents_limits.meanwhile).remove(&info_hash);
        added
    }

    /// Forgets that a torrent has limits of its own.
    pub fn forget_limits(&self, info_hash: InfoHash) {
        lock(&self.torrents_limits.own).remove(&info_hash);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
