use nova_protocol::{InfoHash, Reference};

/// Why the index does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// No torrent has this info hash.
    #[error("no torrent {0} here; push it first")]
    UnknownTorrent(InfoHash),
    /// No tag has this reference.
    #[error("no tag {0} here; `nova-cli tags` lists what there is")]
    UnknownTag(Reference),
    /// The tag never had this version.
    #[error("tag {reference} has no version {version}; `nova-cli history {reference}` lists what there is")]
    UnknownVersion {
        /// The tag.
        reference: Reference,
        /// The version that was asked for.
        version: u64,
    },
    /// Every version of the tag points to the same content.
    #[error("tag {0} has never pointed to anything else, so there is nothing to roll back to")]
    NothingBefore(Reference),
    /// The tag is not at the version that the caller expects.
    #[error(
        "tag {reference} is at version {found} ({points_to}), expected version {expected}; look at it and try again"
    )]
    VersionMismatch {
        /// The tag.
        reference: Reference,
        /// Its version; 0 when there is no such tag.
        found: u64,
        /// What it points to.
        points_to: String,
        /// The version that the caller expects.
        expected: u64,
    },
    /// The tag must not move.
    #[error("tag {0} is immutable and points to other content already; push under another tag")]
    Immutable(Reference),
    /// Too few live origins hold the complete content.
    #[error(
        "{found} of {expected} complete replicas of {info_hash} are on live origins; wait for more, then try again"
    )]
    NotReplicated {
        /// The content.
        info_hash: InfoHash,
        /// How many there are.
        found: u32,
        /// How many there must be.
        expected: u32,
    },
    /// Too few origins are live to say, for the tracker has just started.
    #[error("the tracker has just started and waits for its origins; try again in {seconds} s")]
    Starting {
        /// How long it waits at most.
        seconds: u64,
    },
    /// Tags point to the torrent.
    #[error("torrent {info_hash} is what {tags} points to; move or delete that first")]
    Tagged {
        /// The torrent.
        info_hash: InfoHash,
        /// The tags, separated by commas.
        tags: String,
    },
    /// The origin is not to hold this torrent.
    #[error("origin {origin} is not assigned torrent {info_hash}; follow /v1/origins/{origin}/assignments")]
    NotAssigned {
        /// The origin.
        origin: String,
        /// The torrent.
        info_hash: InfoHash,
    },
    /// The database failed.
    #[error("the index failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The tracker is shutting down.
    #[error("the index is closed")]
    Closed,
}
