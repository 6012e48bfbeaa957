//! JSON bodies of the HTTP faces: the tracker's `/v1`, and the agent's.
//!
//! Times are Unix seconds, sizes are bytes, info hashes are 40 hexadecimal digits. Unknown fields in a request are
//! errors; unknown fields in an answer are ignored, so that a newer server can say more.

mod agents;
mod limits;
mod origins;
mod pulls;
mod tags;
mod torrents;

pub use agents::{
    AgentLease, AgentLeaseGranted, AgentPage, AgentStatus, AgentSummary, PullCounts, PullReport, Rollout, RolloutAgent,
    RolloutCounts, RolloutState,
};
pub use limits::{Limits, LimitsSetBy, PullLimits, SetLimits, SetPullLimits};
pub use origins::{Assignment, Assignments, LeaseGranted, Leecher, OriginLease, OriginStatus, Origins};
pub use pulls::{Cache, LastUse, Pull, PullState, Pulls, Source, StartPull, WaitsFor};
use serde::{Deserialize, Serialize};
pub use tags::{History, MoveTag, Rollback, TagPage, TagVersion};
pub use torrents::{Peer, Peers, Replica, ReplicaReport, ReplicaState, TorrentStatus};

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
