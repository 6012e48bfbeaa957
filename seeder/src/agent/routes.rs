//! The HTTP face of an agent.

use std::{str::FromStr, sync::Arc};

use bytes::Bytes;
use nova_protocol::{
    InfoHash, Metainfo,
    api::{Pull, Pulls, StartPull},
    metainfo::LIMITS,
};
use warp::{
    Filter, Reply,
    filters::BoxedFilter,
    http::{StatusCode, header::CONTENT_TYPE},
    reply::Response,
};

use super::{Agent, access::Guard, pulls::StartError};
use crate::{
    agent_client::TORRENT,
    fetch::{FetchError, ReserveError},
    http::{Refusal, json},
    metrics::Metrics,
    source::{ResolveError, Source},
};

const JSON: &str = "application/json";

/// ```text
/// POST   /v1/pulls                      start to pull: {"source": ...}, or a .torrent
/// GET    /v1/pulls                      everything that is here or on its way
/// GET    /v1/pulls/INFO_HASH            how one is doing
/// GET    /v1/pulls/INFO_HASH.torrent    its metainfo
/// DELETE /v1/pulls/INFO_HASH            stop it and remove its content
/// GET    /health /readiness /metrics
/// ```
///
/// `guard` is asked first.
pub(super) fn routes(agent: &Arc<Agent>, guard: Guard) -> BoxedFilter<(Response,)> {
    let with_agent = {
        let agent = agent.clone();
        warp::any().map(move || agent.clone())
    };
    let pulls = warp::path!("v1" / "pulls").and(with_agent.clone());
    let one = warp::path!("v1" / "pulls" / String).and(with_agent.clone());
    let list = pulls.clone().and(warp::get()).map(|agent: Arc<Agent>| json(Ok(Pulls { pulls: agent.pulls() })));
    let start = pulls
        .and(warp::post())
        .and(warp::header::optional::<String>(CONTENT_TYPE.as_str()))
        .and(warp::body::content_length_limit(LIMITS.bytes as u64))
        .and(warp::body::bytes())
        .then(|agent: Arc<Agent>, kind: Option<String>, body: Bytes| async move {
            json(start(&agent, kind.as_deref(), &body).await)
        });
    let get = one.clone().and(warp::get()).map(|name: String, agent: Arc<Agent>| get(&agent, &name));
    let remove =
        one.and(warp::delete()).then(|name: String, agent: Arc<Agent>| async move { remove(&agent, &name).await });
    let health = warp::path!("health").and(warp::get()).map(|| "ok\n".into_response());
    let readiness = warp::path!("readiness").and(warp::get()).map(|| "ready\n".into_response());
    let metrics = warp::path!("metrics")
        .and(with_agent)
        .and(warp::get())
        .map(|agent: Arc<Agent>| metrics(&agent).into_response());
    let api = list.or(start).unify().or(get).unify().or(remove).unify();
    let all = api.or(health).unify().or(readiness).unify().or(metrics).unify();
    guard.refuse().or(all).unify().boxed()
}

async fn start(agent: &Arc<Agent>, kind: Option<&str>, body: &[u8]) -> Result<Pull, Refusal> {
    let started = if kind == Some(TORRENT) {
        let metainfo = Metainfo::parse(body.to_vec()).map_err(|error| Refusal::bad_request(error.to_string()))?;
        agent.start_metainfo(metainfo).await
    } else if kind.is_none_or(|kind| !kind.starts_with(JSON)) {
        // Without this, any web page could start pulls: browsers send other types without asking.
        let message = format!("content type {kind:?}, expected {JSON} or {TORRENT}");
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    } else {
        let body: StartPull =
            serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("body: {error}")))?;
        let source = Source::from_str(&body.source).map_err(|error| Refusal::bad_request(error.to_string()))?;
        if matches!(source, Source::File(_) | Source::Url(_)) {
            return Err(Refusal::bad_request(format!("send the .torrent itself, with content type {TORRENT}")));
        }
        agent.start(&source).await
    };
    started.map_err(|error| refusal(&error))
}

fn refusal(error: &StartError) -> Refusal {
    let message = error.to_string();
    match error {
        StartError::Resolve(ResolveError::Tracker(error)) if error.is_not_found() => Refusal::not_found(message),
        StartError::Resolve(_) => Refusal(StatusCode::BAD_GATEWAY, "unresolved", message),
        StartError::Fetch(FetchError::Reserve(ReserveError::NoSpace { .. })) => {
            Refusal(StatusCode::INSUFFICIENT_STORAGE, "no_space", message)
        }
        StartError::Store(_) | StartError::Fetch(_) => Refusal::unavailable(message),
    }
}

fn get(agent: &Agent, name: &str) -> Response {
    if let Some(name) = name.strip_suffix(".torrent") {
        let found = known(name).and_then(|info_hash| agent.metainfo(info_hash).ok_or_else(|| unknown(info_hash)));
        return match found {
            Ok(metainfo) => {
                warp::reply::with_header(metainfo.as_bytes().to_vec(), CONTENT_TYPE, TORRENT).into_response()
            }
            Err(refusal) => refusal.into_response(),
        };
    }
    json(known(name).and_then(|info_hash| agent.pull(info_hash).ok_or_else(|| unknown(info_hash))))
}

async fn remove(agent: &Agent, name: &str) -> Response {
    let info_hash = match known(name) {
        Ok(info_hash) => info_hash,
        Err(refusal) => return refusal.into_response(),
    };
    match agent.remove(info_hash).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => unknown(info_hash).into_response(),
        Err(error) => Refusal::unavailable(error.to_string()).into_response(),
    }
}

fn known(name: &str) -> Result<InfoHash, Refusal> {
    name.parse().map_err(|error: nova_protocol::InfoHashError| Refusal::bad_request(error.to_string()))
}

fn unknown(info_hash: InfoHash) -> Refusal {
    Refusal::not_found(format!("{info_hash} is not on this agent"))
}

fn metrics(agent: &Agent) -> String {
    let pulls = agent.pulls();
    let fetching = pulls.iter().filter(|pull| pull.have < pull.length).count();
    Metrics::default()
        .gauge("nova_pulls", "Torrents that are here or on their way.", pulls.len() as u64)
        .gauge("nova_pulls_incomplete", "Torrents that are not complete.", fetching as u64)
        .gauge("nova_have_bytes", "Bytes that are here and verified.", pulls.iter().map(|pull| pull.have).sum())
        .counter("nova_uploaded_bytes_total", "Bytes sent to peers.", pulls.iter().map(|pull| pull.uploaded).sum())
        .text()
}
