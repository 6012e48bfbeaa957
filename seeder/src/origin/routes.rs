//! The HTTP face of an origin.

use std::sync::Arc;

use nova_protocol::InfoHash;
use warp::{
    Filter, Rejection, Reply,
    filters::{BoxedFilter, path::Peek},
    reply::Response,
};

use super::Origin;
use crate::{http::Refusal, metrics::Metrics};

/// ```text
/// GET /v1/content/INFO_HASH/NAME[/PATH]   a file of what is complete, with Range (BEP 19)
/// GET /health                             the process is up
/// GET /readiness                          the tracker knows of it
/// GET /metrics                            Prometheus text
/// ```
pub(super) fn routes(origin: &Arc<Origin>) -> BoxedFilter<(Response,)> {
    let with_origin = {
        let origin = origin.clone();
        warp::any().map(move || origin.clone())
    };
    let content = warp::path!("v1" / "content" / ..)
        .and(warp::path::peek())
        .and(with_origin.clone())
        .and_then(|path: Peek, origin: Arc<Origin>| async move { served(&path, &origin) })
        .untuple_one()
        .and(warp::fs::dir(origin.store.content_root()))
        .map(Reply::into_response);
    let health = warp::path!("health").map(|| "ok\n".into_response());
    let readiness = warp::path!("readiness").and(with_origin.clone()).map(|origin: Arc<Origin>| readiness(&origin));
    let metrics = warp::path!("metrics").and(with_origin).map(|origin: Arc<Origin>| metrics(&origin).into_response());
    let get = warp::get().or(warp::head()).unify();
    get.and(health.or(readiness).unify().or(metrics).unify().or(content).unify()).boxed()
}

/// Lets pass what is complete: a file that is still fetched has holes.
fn served(path: &Peek, origin: &Origin) -> Result<(), Rejection> {
    let info_hash = path.segments().next().and_then(|segment| segment.parse::<InfoHash>().ok());
    let is_served = info_hash.is_some_and(|info_hash| origin.uploader.status(info_hash).is_some());
    if is_served { Ok(()) } else { Err(warp::reject::not_found()) }
}

fn readiness(origin: &Origin) -> Response {
    if origin.is_leased() {
        return "ready\n".into_response();
    }
    let message = format!("the tracker at {} has granted no lease yet", origin.tracker.url());
    Refusal::unavailable(message).into_response()
}

fn metrics(origin: &Origin) -> String {
    let totals = origin.uploader.totals();
    Metrics::default()
        .counter("nova_uploaded_bytes_total", "Bytes of content sent to peers.", totals.uploaded)
        .gauge("nova_peers", "Peers that are connected to the upload engine.", totals.peers as u64)
        .gauge("nova_torrents_held", "Torrents that this origin shall hold.", origin.holds().len() as u64)
        .gauge("nova_torrents_complete", "Torrents that are complete and served.", totals.torrents as u64)
        .gauge("nova_free_bytes", "Bytes that can still be stored.", origin.free_bytes())
        .text()
}
