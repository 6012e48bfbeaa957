use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nova_protocol::{Metainfo, PeerId, metainfo::Info};
use tokio_util::sync::CancellationToken;

use crate::content::Content;

/// How a torrent that is served is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Bytes of content that have been sent.
    pub uploaded: u64,
    /// Peers that are connected.
    pub peers: usize,
}

/// A torrent that is served.
pub(super) struct Torrent {
    pub metainfo: Arc<Metainfo>,
    pub content: Content<Arc<Info>>,
    pub stop: CancellationToken,
    /// Cancelled once content could not be read.
    pub fault: CancellationToken,
    uploaded: AtomicU64,
    peers: Mutex<HashSet<PeerId>>,
}

/// One peer's place in a torrent, given up when dropped.
pub(super) struct Membership {
    pub torrent: Arc<Torrent>,
    peer_id: PeerId,
}

impl Torrent {
    pub(super) fn new(metainfo: Arc<Metainfo>, content: Content<Arc<Info>>, stop: CancellationToken) -> Self {
        Self {
            metainfo,
            content,
            stop,
            fault: CancellationToken::new(),
            uploaded: AtomicU64::new(0),
            peers: Mutex::default(),
        }
    }

    /// A place for a peer, unless it has one: two peers that dial each other keep the first connection.
    pub(super) fn join(self: Arc<Self>, peer_id: PeerId) -> Option<Membership> {
        let joined = self.peers.lock().unwrap_or_else(PoisonError::into_inner).insert(peer_id);
        joined.then_some(Membership { torrent: self, peer_id })
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.uploaded.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn status(&self) -> Status {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner).len();
        Status { uploaded: self.uploaded.load(Ordering::Relaxed), peers }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.torrent.peers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.peer_id);
    }
}
