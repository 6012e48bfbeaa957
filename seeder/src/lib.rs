//! Everything in nova that moves content: the upload engine, the origin and agent roles, push and pull.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod agent;
pub mod agent_client;
pub mod announce;
mod claim;
pub mod command;
pub mod content;
pub mod create;
mod data_dir;
pub mod deliver;
pub mod fetch;
pub mod follow;
mod http;
pub mod listen;
mod metrics;
pub mod origin;
pub mod place;
pub mod pull;
pub mod push;
mod rename;
pub mod restore;
pub mod reuse;
mod scratch;
pub mod service;
pub mod settings;
pub mod source;
pub mod store;
pub mod token;
pub mod tracker;
pub mod upload;
pub mod verify;
pub mod versions;

/// A peer id for a process that has just started.
pub fn peer_id() -> nova_protocol::PeerId {
    nova_protocol::PeerId::nova(rand::random())
}
