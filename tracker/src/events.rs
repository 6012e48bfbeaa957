//! What happens, told to everybody who listens.

use nova_protocol::{
    InfoHash, Reference,
    api::{ReplicaState, TagVersion},
};
use serde::Serialize;

/// Something that has happened. `kind` in JSON is the variant's name.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A tag has a new version.
    TagMoved(TagVersion),
    /// A tag and its history are gone.
    TagRemoved {
        /// Which.
        reference: Reference,
    },
    /// A torrent is new.
    TorrentAdded {
        /// Which.
        info_hash: InfoHash,
        /// The name inside the torrent.
        name: String,
    },
    /// A torrent is gone.
    TorrentRemoved {
        /// Which.
        info_hash: InfoHash,
    },
    /// An origin has a lease.
    OriginLive {
        /// Which.
        id: String,
    },
    /// An origin has let its lease run out.
    OriginGone {
        /// Which.
        id: String,
    },
    /// An origin has said how far it is with a torrent.
    ReplicaReported {
        /// Which origin.
        origin: String,
        /// Which torrent.
        info_hash: InfoHash,
        /// How far.
        state: ReplicaState,
        /// Bytes that it has.
        have: u64,
    },
}

impl Event {
    /// The variant's name, as in JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TagMoved(_) => "tag_moved",
            Self::TagRemoved { .. } => "tag_removed",
            Self::TorrentAdded { .. } => "torrent_added",
            Self::TorrentRemoved { .. } => "torrent_removed",
            Self::OriginLive { .. } => "origin_live",
            Self::OriginGone { .. } => "origin_gone",
            Self::ReplicaReported { .. } => "replica_reported",
        }
    }
}
