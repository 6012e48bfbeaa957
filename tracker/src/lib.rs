//! The tracker of nova: swarms in memory, the index in SQLite, and the HTTP faces of both.
//!
//! Three layers and one direction: [`http`] knows the wire, [`tracker`] and [`swarm`] know what it means and are told
//! the time, [`index`] stores it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod config;
pub mod events;
pub mod http;
pub mod index;
mod leases;
pub mod metrics;
mod serve;
pub mod swarm;
pub mod tracker;
mod vantage;

pub use config::Config;
pub use serve::{run, serve};
pub use tracker::Tracker;
