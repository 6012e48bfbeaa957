//! What agents have and fetch.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{InfoHash, Reference};

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
    /// What it waits for, when nothing of it comes in or not as fast as it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
    /// When it was pulled or delivered last, and as what; an agent says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_use: Option<LastUse>,
    /// Where the content is on this host: the file or directory that is called `name` inside the torrent.
    pub path: std::path::PathBuf,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What keeps a pull from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// Nobody is connected who has any of it.
    Peers,
    /// Peers are connected, and none gives what is missing.
    Pieces,
    /// The disk does not take what comes in.
    Disk,
    /// It comes in as fast as the limit lets it.
    DownloadLimit,
}

/// When something in an agent's cache was of use last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    /// When it was asked for.
    pub at: u64,
    /// The references that led to it, and to nothing else since.
    pub references: Vec<Reference>,
    /// Whether it is pinned: never evicted.
    pub pinned: bool,
}

/// Answer of `GET /v1/cache` on an agent: what it takes of the disk, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Torrents in it.
    pub torrents: u64,
    /// That these take, or will when they are complete.
    pub used: u64,
    /// That they may take; no more than the disk has when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// That are free on the disk.
    pub free: u64,
    /// That stay free on the disk.
    pub free_space_floor: u64,
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
