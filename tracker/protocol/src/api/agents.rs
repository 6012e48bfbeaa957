//! Agents, and how far a fleet of them is with a tag.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{PullState, TagVersion};
use crate::{AgentId, InfoHash, Line, Reference};

/// Body of `PUT /v1/agents/{id}`: a lease, valid until `lease_seconds` after it was last put.
///
/// An unspecified address (`0.0.0.0`, `[::]`) stands for the one that the request comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentLease {
    /// Where peers dial it.
    pub peer_addr: SocketAddr,
    /// What its host is called.
    pub host: Line,
    /// What it has or is fetching, at most [`AgentLease::PULLS_MAX`].
    #[serde(deserialize_with = "at_most::<_, _, { AgentLease::PULLS_MAX }>")]
    pub pulls: Vec<PullReport>,
    /// The references that it keeps a directory at, at most [`AgentLease::FOLLOWS_MAX`].
    #[serde(default, deserialize_with = "at_most::<_, _, { AgentLease::FOLLOWS_MAX }>")]
    pub follows: Vec<Reference>,
}

impl AgentLease {
    /// Pulls that a lease tells of.
    pub const PULLS_MAX: usize = 4096;
    /// References that a lease tells of.
    pub const FOLLOWS_MAX: usize = 1024;
    /// Bytes of JSON within which every lease is that keeps to the limits.
    pub const BYTES_MAX: usize = 3 << 20;
}

fn at_most<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Vec::deserialize(deserializer)?;
    let refused = || D::Error::custom(format_args!("list of {}, expected {MAX} at most", list.len()));
    if list.len() > MAX { Err(refused()) } else { Ok(list) }
}

/// How far an agent is with a torrent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullReport {
    /// Which.
    pub info_hash: InfoHash,
    /// How far.
    pub state: PullState,
    /// Bytes that are there and verified.
    pub have: u64,
    /// Bytes of content.
    pub length: u64,
    /// Bytes a second that come in now.
    #[serde(default)]
    pub download_rate: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Line>,
}

/// Answer of `PUT /v1/agents/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLeaseGranted {
    /// How long the lease is valid, in seconds; to be renewed after a third of it.
    pub lease_seconds: u64,
    /// How long to wait before a renewal that tells of more bytes and of nothing else, in seconds.
    pub progress_seconds: u64,
}

/// How many pulls are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullCounts {
    /// All there.
    pub complete: u64,
    /// Being fetched, or looked at on disk.
    pub fetching: u64,
    /// Given up.
    pub failed: u64,
}

/// A page of `GET /v1/agents`, sorted by id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgentPage {
    /// How many agents have a lease, on this page or not.
    pub live: u64,
    /// The pulls of all of them.
    pub pulls: PullCounts,
    /// Those of this page.
    pub agents: Vec<AgentSummary>,
    /// What to ask for with `after=` to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<AgentId>,
}

/// An agent as `GET /v1/agents` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSummary {
    /// Its id.
    pub id: AgentId,
    /// What its host is called.
    pub host: Line,
    /// Where peers dial it.
    pub peer_addr: SocketAddr,
    /// When it renewed its lease.
    pub renewed_at: u64,
    /// What it has and fetches.
    pub pulls: PullCounts,
}

/// Answer of `GET /v1/agents/{id}`: what a live agent said of itself last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Its id.
    pub id: AgentId,
    /// When it said so.
    pub renewed_at: u64,
    /// All of it.
    #[serde(flatten)]
    pub lease: AgentLease,
}

/// A page of `GET /v1/rollout/{name}:{tag}`: how far the fleet is with the current version of a tag.
///
/// A live agent counts when it follows the reference, or has a pull, however far, of what the tag points to or of what
/// any of its versions pointed to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rollout {
    /// The current version.
    pub tag: TagVersion,
    /// The agents that count, on this page or not.
    pub counts: RolloutCounts,
    /// The share of them that has all of it, in percent, rounded down; 0 when nobody counts.
    pub percent: u64,
    /// Whether every agent has had the time to renew its lease since the tracker started.
    pub settled: bool,
    /// Those of this page, sorted by id.
    pub agents: Vec<RolloutAgent>,
    /// What to ask for with `after=` to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<AgentId>,
}

/// How many agents are how far with a version; `agents` is the sum of the states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutCounts {
    /// All that count.
    pub agents: u64,
    /// Those that have all of it.
    pub complete: u64,
    /// Those that fetch it.
    pub fetching: u64,
    /// Those whose pull of it failed.
    pub failed: u64,
    /// Those that have not begun.
    pub waiting: u64,
    /// Bytes of it that they have together.
    pub have: u64,
}

/// How far an agent is with a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutAgent {
    /// Its id.
    pub id: AgentId,
    /// What its host is called.
    pub host: Line,
    /// How far it is.
    pub state: RolloutState,
    /// Bytes of the version that it has.
    pub have: u64,
    /// Bytes a second that come in of it now.
    pub download_rate: u64,
    /// The newest version that it has all of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Line>,
}

/// How far an agent is with a version, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Its pull failed; the reason says why.
    Failed,
    /// It is fetching, or looking at what is on its disk.
    Fetching,
    /// It has not begun: it has an older version, or follows the reference and has none.
    Waiting,
    /// It has all of it.
    Complete,
}
