//! Origins and what they shall hold.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::InfoHash;

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
    /// Whom it shall dial, each told once: stock clients that have come for what it holds.
    #[serde(default)]
    pub leechers: Vec<Leecher>,
    /// What to give as `after=` next time.
    pub cursor: u64,
}

/// One who fetches what an origin holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leecher {
    /// What.
    pub info_hash: InfoHash,
    /// Where it listens.
    pub addr: SocketAddr,
}

/// One torrent that an origin shall hold, or let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Which.
    pub info_hash: InfoHash,
    /// Whether to hold it.
    pub hold: bool,
}
