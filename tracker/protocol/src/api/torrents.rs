//! Torrents and where they are.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{AgentId, InfoHash, Reference};

/// Answer of `PUT` and `GET /v1/torrents/{info_hash}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TorrentStatus {
    /// Its identity.
    pub info_hash: InfoHash,
    /// The name inside the torrent.
    pub name: String,
    /// Bytes of content.
    pub length: u64,
    /// Files of content.
    pub files: u64,
    /// Bytes in a piece.
    pub piece_length: u32,
    /// Whether it is private (BEP 27).
    pub private: bool,
    /// Complete copies on live origins before a tag may point here.
    pub min_replicas: u32,
    /// The origins that shall hold it.
    pub replicas: Vec<Replica>,
    /// While no live origin has all of it, the first by id of the live agents that have: it keeps its copy for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<AgentId>,
    /// Peers that have everything.
    pub seeders: u64,
    /// Peers that do not.
    pub leechers: u64,
    /// References that point here now.
    pub tags: Vec<Reference>,
}

impl TorrentStatus {
    /// How many live origins hold all of it.
    pub fn complete_replicas(&self) -> usize {
        self.replicas.iter().filter(|replica| replica.live && replica.state == ReplicaState::Complete).count()
    }

    /// Whether a tag may point here.
    pub fn is_replicated(&self) -> bool {
        self.complete_replicas() >= self.min_replicas as usize
    }
}

/// A torrent on an origin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replica {
    /// The origin's id.
    pub origin: String,
    /// Whether its lease is valid.
    pub live: bool,
    /// How far it is.
    pub state: ReplicaState,
    /// Bytes that it has and has verified.
    pub have: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where its upload engine listens.
    pub peer_addr: SocketAddr,
    /// Where the session listens with which it fetches.
    pub fetch_addr: SocketAddr,
}

/// How far an origin is with a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// Assigned; the origin has not said anything yet.
    Assigned,
    /// Being fetched.
    Fetching,
    /// All there, verified and on disk.
    Complete,
    /// Given up for now; the reason says why.
    Failed,
}

/// Body of `PUT /v1/origins/{id}/replicas/{info_hash}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaReport {
    /// How far it is.
    pub state: ReplicaState,
    /// Bytes that it has.
    pub have: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `GET /v1/torrents/{info_hash}/peers`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Peers {
    /// At most a hundred of them.
    pub peers: Vec<Peer>,
}

/// A peer as the tracker knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Peer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Whether it has everything.
    pub complete: bool,
}
