//! The tracker of nova: swarms in memory, announced to over HTTP and UDP, and the index in SQLite, served over HTTP.
//!
//! Three layers and one direction: `announce` and [`http`] know the wire, [`tracker`] and [`swarm`] know what it means and are told
//! the time, [`index`] stores it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod agents;
mod announce;
pub mod config;
pub mod events;
pub mod http;
pub mod index;
mod leases;
mod listeners;
pub mod metrics;
mod serve;
pub mod swarm;
pub mod tracker;
mod vantage;

pub use config::Config;
pub use listeners::{BindError, Listeners};
pub use serve::{run, serve};
pub use tracker::Tracker;
