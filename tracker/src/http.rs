//! The HTTP faces: announce and scrape on one listener, the index and what operators need on the other.

mod accept;
mod announce;
mod answer;
mod call;
mod dashboard;
mod health;
mod origins;
mod routes;
mod stream;
mod tags;
mod torrents;

use std::{net::SocketAddr, sync::Arc};

pub(crate) use accept::accept;
pub(crate) use announce::routes as announce_routes;
pub(crate) use routes::routes as index_routes;
use tokio_util::sync::CancellationToken;

use crate::Tracker;

/// What every request may need.
pub(crate) struct Face {
    pub tracker: Arc<Tracker>,
    /// Where announces are taken.
    pub announce_addr: SocketAddr,
    pub shutdown: CancellationToken,
}
