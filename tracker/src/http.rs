//! The HTTP face of the index, and of what operators need.

mod accept;
mod agents;
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
