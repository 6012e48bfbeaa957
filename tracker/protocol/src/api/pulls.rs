//! What agents have and fetch.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::InfoHash;

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
    /// While checking, bytes that this host was searched for so far.
    #[serde(default)]
    pub checked: u64,
    /// Bytes of them that were on this host already when the pull began, and were not fetched.
    #[serde(default)]
    pub reused: u64,
    /// Bytes a second that come in now.
    pub download_rate: u64,
    /// Bytes a second that go out now.
    pub upload_rate: u64,
    /// Bytes that have gone out to other peers since the agent started, or since limits of this pull were set.
    pub uploaded: u64,
    /// Peers that are connected.
    pub peers: u32,
    /// Where pieces came from since then.
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
