//! How fast an agent may send and fetch.

use serde::{Deserialize, Serialize};

use crate::Rate;

/// Answer of `GET`, `PUT` and `DELETE /v1/limits` on an agent: the limits of the host, all torrents together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of content that leave in a second; 0 for no limit.
    pub upload_limit: Rate,
    /// Bytes of content that come in a second; 0 for no limit.
    pub download_limit: Rate,
    /// Who said so.
    pub set_by: LimitsSetBy,
    /// When the schedule next has its say; absent when there is none, and these limits hold until the agent restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// Where limits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitsSetBy {
    /// The agent's settings.
    Settings,
    /// A window of the schedule in the agent's settings.
    Schedule,
    /// Somebody, since the agent started.
    Hand,
}

/// Body of `PUT /v1/limits` on an agent. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetLimits {
    /// Bytes of content that may leave in a second; 0 for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_limit: Option<Rate>,
    /// Bytes of content that may come in a second; 0 for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_limit: Option<Rate>,
}

/// Answer of `GET`, `PUT` and `DELETE /v1/pulls/{info_hash}/limits` on an agent: the limits of one torrent, within those
/// of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullLimits {
    /// Bytes of content that leave in a second; 0 for no limit.
    pub upload_limit: Rate,
    /// Bytes of content that come in a second; 0 for no limit.
    pub download_limit: Rate,
    /// Peers that are connected at most.
    pub peers_max: u32,
    /// Who said so: the settings or somebody.
    pub set_by: LimitsSetBy,
}

/// Body of `PUT /v1/pulls/{info_hash}/limits` on an agent. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPullLimits {
    /// Bytes of content that may leave in a second; 0 for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_limit: Option<Rate>,
    /// Bytes of content that may come in a second; 0 for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_limit: Option<Rate>,
    /// Peers that may be connected, 1 at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers_max: Option<std::num::NonZeroU32>,
}
