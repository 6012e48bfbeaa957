//! Tags and their versions.

use serde::{Deserialize, Serialize};

use crate::{InfoHash, Reference};

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
