//! The faces of a tracker as clients see them: over HTTP, on ports of the system's choice.

#![allow(clippy::unwrap_used, missing_docs)]

mod agents;
mod announce;
mod harness;
mod hostile;
mod operators;
mod origins;
mod tags;
mod torrents;
mod udp;
