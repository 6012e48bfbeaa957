use warp::{http::StatusCode, reply::Response};

use super::{
    Face,
    answer::{bytes, text},
};
use crate::metrics;

/// The process is up.
pub fn health() -> Response {
    text(StatusCode::OK, "ok\n")
}

/// Requests can be answered: both listeners are bound before the first request comes, so the index decides.
pub async fn readiness(face: &Face) -> Response {
    let refuse = |reason: String| text(StatusCode::SERVICE_UNAVAILABLE, reason);
    if face.shutdown.is_cancelled() {
        return refuse("shutting down\n".to_owned());
    }
    match face.tracker.index().ping().await {
        Ok(()) => text(StatusCode::OK, "ready\n"),
        Err(error) => refuse(format!("{error}\n")),
    }
}

pub fn metrics(face: &Face) -> Response {
    bytes(StatusCode::OK, "text/plain; version=0.0.4", metrics::text(&face.tracker).into_bytes())
}
