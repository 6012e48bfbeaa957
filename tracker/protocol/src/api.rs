//! JSON bodies of the HTTP faces: the tracker's `/v1`, and the agent's.
//!
//! Times are Unix seconds, sizes are bytes, info hashes are 40 hexadecimal digits. Unknown fields in a request are
//! errors; unknown fields in an answer are ignored, so that a newer server can say more.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{InfoHash, Reference};

/// Body of every answer that is not a success.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong, for a program and for a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// One of a few words that programs may rely on, such as `not_found`.
    pub code: String,
    /// A sentence that says what was found, what was expected and what to do next.
    pub message: String,
}

/// One version of a tag: where the reference pointed from `moved_at` on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagVersion {
    /// `NAME:TAG`.
    pub reference: Reference,
    /// 1 for the first move, one more for each move after it.
    pub version: u64,
    /// What it points to.
    pub info_hash: InfoHash,
    /// The name inside the torrent, which a download takes.
    pub torrent_name: String,
    /// Bytes of content.
    pub length: u64,
    /// Files of content.
    pub files: u64,
    /// When it moved.
    pub moved_at: u64,
    /// Who moved it, as they call themselves.
    pub pusher: String,
}

/// Body of `PUT /v1/tags/{name}:{tag}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveTag {
    /// Where the tag shall point.
    pub info_hash: InfoHash,
    /// The version that the tag must have now, 0 for a tag that must not exist; no matter which when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u64>,
    /// Who moves it.
    #[serde(default)]
    pub pusher: String,
}

/// Body of `POST /v1/rollback/{name}:{tag}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The version whose info hash becomes the new version's; the last one that differs from now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Who rolls back.
    #[serde(default)]
    pub pusher: String,
}

/// A page of `GET /v1/tags`, sorted by reference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TagPage {
    /// The current version of each tag.
    pub tags: Vec<TagVersion>,
    /// What to ask for with `after=` to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Reference>,
}

/// Answer of `GET /v1/history/{name}:{tag}`, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct History {
    /// Every version there was.
    pub versions: Vec<TagVersion>,
}

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

/// Body of `PUT /v1/origins/{id}`: a lease, valid until `lease_seconds` after it was last put.
///
/// An unspecified address (`0.0.0.0`, `[::]`) stands for the one that the request comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginLease {
    /// Where its upload engine listens.
    pub peer_addr: SocketAddr,
    /// Where the session listens with which it fetches.
    pub fetch_addr: SocketAddr,
    /// Where it serves content over HTTP.
    pub http_addr: SocketAddr,
    /// Bytes that it can still store.
    pub free_bytes: u64,
}

/// Answer of `PUT /v1/origins/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseGranted {
    /// How long the lease is valid, in seconds; to be renewed after a third of it.
    pub lease_seconds: u64,
}

/// An origin as `GET /v1/origins` lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OriginStatus {
    /// Its id.
    pub id: String,
    /// Whether its lease is valid.
    pub live: bool,
    /// What it said of itself last.
    #[serde(flatten)]
    pub lease: OriginLease,
    /// When it did.
    pub renewed_at: u64,
    /// How many torrents it holds in full.
    pub complete: u64,
    /// How many it shall hold.
    pub assigned: u64,
}

/// Answer of `GET /v1/origins`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Origins {
    /// Every origin that has ever had a lease, sorted by id.
    pub origins: Vec<OriginStatus>,
}

/// Answer of `GET /v1/origins/{id}/assignments?after=`: what the origin shall hold, and what it shall let go, since
/// the cursor. With `after=0` that is everything that it shall hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignments {
    /// In the order in which they were made.
    pub assignments: Vec<Assignment>,
    /// What to give as `after=` next time.
    pub cursor: u64,
}

/// One torrent that an origin shall hold, or let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Which.
    pub info_hash: InfoHash,
    /// Whether to hold it.
    pub hold: bool,
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

/// Body of `POST /v1/pulls` on an agent, which takes a `.torrent` (`application/x-bittorrent`) in its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartPull {
    /// A reference or an info hash that the tracker knows, or a magnet link.
    pub source: String,
}

/// One thing that an agent has, or is fetching.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pull {
    /// Its identity.
    pub info_hash: InfoHash,
    /// The name inside the torrent.
    pub name: String,
    /// How far it is.
    pub state: PullState,
    /// Bytes of content.
    pub length: u64,
    /// Bytes that are there and verified.
    pub have: u64,
    /// Bytes a second that come in now.
    pub download_rate: u64,
    /// Bytes a second that go out now.
    pub upload_rate: u64,
    /// Bytes that have gone out to other peers since the agent started.
    pub uploaded: u64,
    /// Peers that are connected.
    pub peers: u32,
    /// Where pieces came from since the agent started.
    pub sources: Vec<Source>,
    /// Where the content is on this host: the file or directory that is called `name` inside the torrent.
    pub path: std::path::PathBuf,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far an agent is with a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullState {
    /// What is on disk is being looked at.
    Checking,
    /// Being fetched.
    Fetching,
    /// All there, and offered to others.
    Seeding,
    /// Stopped; the reason says why.
    Failed,
}

/// A peer from which content came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Where it was dialled, or dialled from.
    pub addr: SocketAddr,
    /// Bytes that came from it.
    pub bytes: u64,
    /// Whether the tracker knows it as an origin.
    pub origin: bool,
}

/// Answer of `GET /v1/pulls` on an agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pulls {
    /// Everything that it has or is fetching.
    pub pulls: Vec<Pull>,
}
