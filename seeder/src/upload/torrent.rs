use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use nova_protocol::{
    Metainfo, PeerId,
    metainfo::Info,
    peer_wire::{Block, Handshake, Message},
};
use tokio_util::sync::CancellationToken;

use super::{
    PeerError,
    peer::Peer,
    super_seed::{News, SuperSeed},
};
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
    crowd: Mutex<Crowd>,
}

/// The peers of a torrent, and what they are told of.
struct Crowd {
    peers: HashMap<PeerId, Arc<Peer>>,
    /// Not kept for those who are not there: who comes when everybody has left may find nobody else.
    super_seed: Option<SuperSeed>,
}

/// One peer's place in a torrent, given up when dropped.
pub(super) struct Membership {
    pub torrent: Arc<Torrent>,
    pub peer: Arc<Peer>,
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
            crowd: Mutex::new(Crowd { peers: HashMap::new(), super_seed: None }),
        }
    }

    /// A place for a peer, unless it has one: two peers that dial each other keep the first connection.
    pub(super) fn join(self: Arc<Self>, theirs: &Handshake, listen_port: u16) -> Option<Membership> {
        let peer_id = theirs.peer_id;
        let peer = {
            let mut crowd = self.crowd();
            let super_seed =
                crowd.super_seed.get_or_insert_with(|| SuperSeed::new(&self.metainfo.info, rand::random()));
            let is_told_all = super_seed.is_over() || sleeps(peer_id);
            let Entry::Vacant(place) = crowd.peers.entry(peer_id) else { return None };
            let peer = Arc::new(Peer::new(self.metainfo.clone(), theirs, is_told_all, listen_port));
            place.insert(peer.clone());
            if !is_told_all {
                crowd.hear(peer_id, News::Joined);
            }
            // Nobody stays choked: connections and rate are limited instead. But librqbit reads one message at a time, and
            // goes to sleep when it may ask and knows of no piece.
            peer.tell(&Message::Unchoke);
            peer
        };
        Some(Membership { torrent: self, peer, peer_id })
    }

    pub(super) fn status(&self) -> Status {
        Status { uploaded: self.uploaded.load(Ordering::Relaxed), peers: self.crowd().peers.len() }
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is rqbit, which sleeps when it is told of one piece at a time, and which nobody wakes: that would be half a
/// megabyte a second.
fn sleeps(peer: PeerId) -> bool {
    peer.as_bytes().starts_with(b"-rQ")
}

impl Crowd {
    fn hear(&mut self, peer: PeerId, news: News) {
        let Some(super_seed) = &mut self.super_seed else { return };
        for (told, piece) in super_seed.hear(peer, news, Instant::now()) {
            if let Some(peer) = self.peers.get(&told) {
                peer.tell(&Message::Have(piece));
            }
        }
        if super_seed.is_over() {
            for (told, known) in super_seed.end() {
                if let Some(peer) = self.peers.get(&told) {
                    peer.tell_rest(known);
                }
            }
        }
    }
}

impl Membership {
    /// Notes what the peer says.
    ///
    /// # Errors
    /// [`PeerError::Violation`] for what a leecher must not say.
    pub(super) fn hears(&self, message: Message) -> Result<(), PeerError> {
        if let Some(news) = self.peer.hears(message)? {
            self.torrent.crowd().hear(self.peer_id, news);
        }
        Ok(())
    }

    /// Notes what was sent to the peer.
    pub(super) fn sent(&self, blocks: &[Block]) {
        let bytes = blocks.iter().map(|block| u64::from(block.length)).sum();
        self.torrent.uploaded.fetch_add(bytes, Ordering::Relaxed);
        let mut crowd = self.torrent.crowd();
        for &block in blocks {
            crowd.hear(self.peer_id, News::Sent(block));
        }
    }

    /// Notes that there is nothing to send.
    pub(super) fn is_idle(&self) {
        self.torrent.crowd().hear(self.peer_id, News::Idle);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut crowd = self.torrent.crowd();
        crowd.peers.remove(&self.peer_id);
        crowd.hear(self.peer_id, News::Left);
        if crowd.peers.is_empty() {
            crowd.super_seed = None;
        }
    }
}
