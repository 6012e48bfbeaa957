//! The HTTP face of an agent.

mod pattern;

use std::{path::PathBuf, str::FromStr, sync::Arc};

use nova_protocol::{
    InfoHash, Metainfo,
    api::{Pull, PullLimits, Pulls, SetPullLimits, StartPull},
};
use pattern::Request;
use serde::de::DeserializeOwned;
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
    reuse::Holdings,
    source::{ResolveError, Source},
};

const JSON: &str = "application/json";
/// What is here, for programs that write clients.
const OPENAPI: &str = include_str!("openapi.json");

/// The URL table. `openapi.json` describes each of these rows and nothing else, which a test compares.
///
/// The first row that matches answers.
const ROUTES: [(&str, &str, Route); 16] = [
    ("POST", "/v1/pulls", Route::Start),
    ("GET", "/v1/pulls", Route::Pulls),
    ("GET", "/v1/pulls/{info_hash}.torrent", Route::Metainfo),
    ("GET", "/v1/pulls/{info_hash}", Route::Pull),
    ("DELETE", "/v1/pulls/{info_hash}", Route::Remove),
    ("GET", "/v1/pulls/{info_hash}/limits", Route::PullLimits),
    ("PUT", "/v1/pulls/{info_hash}/limits", Route::SetPullLimits),
    ("DELETE", "/v1/pulls/{info_hash}/limits", Route::ResetPullLimits),
    ("GET", "/v1/cache", Route::Cache),
    ("GET", "/v1/limits", Route::Limits),
    ("PUT", "/v1/limits", Route::SetLimits),
    ("DELETE", "/v1/limits", Route::ResetLimits),
    ("GET", "/v1/openapi.json", Route::OpenApi),
    ("GET", "/health", Route::Health),
    ("GET", "/readiness", Route::Readiness),
    ("GET", "/metrics", Route::Metrics),
];

#[derive(Debug, Clone, Copy)]
enum Route {
    /// Start to pull: `{"source": ...}`, or a `.torrent`.
    Start,
    /// Everything that is here or on its way.
    Pulls,
    /// The `.torrent` of one.
    Metainfo,
    /// How one is doing.
    Pull,
    /// Stop one and remove its content.
    Remove,
    /// The limits of one.
    PullLimits,
    SetPullLimits,
    ResetPullLimits,
    /// What the cache takes of the disk.
    Cache,
    /// The limits of the host.
    Limits,
    SetLimits,
    ResetLimits,
    /// The description of all this.
    OpenApi,
    Health,
    Readiness,
    Metrics,
}

/// Everything that an agent answers; `guard` is asked first.
pub(super) fn routes(agent: &Arc<Agent>, guard: Guard) -> BoxedFilter<(Response,)> {
    ROUTES.iter().fold(guard.refuse(), |rows, (method, pattern, route)| {
        let agent = agent.clone();
        let row = pattern::requests(method, pattern).then(move |request| answer(agent.clone(), *route, request));
        rows.or(row).unify().boxed()
    })
}

async fn answer(agent: Arc<Agent>, route: Route, request: Request) -> Response {
    let name = request.name.as_str();
    match route {
        Route::Start => json(start(&agent, &request).await),
        Route::Pulls => json(Ok(Pulls { pulls: agent.pulls() })),
        Route::Metainfo => metainfo(&agent, name),
        Route::Pull => json(known(name).and_then(|hash| agent.pull(hash).ok_or_else(|| unknown(hash)))),
        Route::Remove => remove(&agent, name).await,
        Route::PullLimits => json(known(name).and_then(|hash| agent.pull_limits(hash).ok_or_else(|| unknown(hash)))),
        Route::SetPullLimits => match read(&request).and_then(not_empty) {
            Ok(set) => json(set_pull_limits(&agent, name, Some(set)).await),
            Err(refusal) => refusal.into_response(),
        },
        Route::ResetPullLimits => json(set_pull_limits(&agent, name, None).await),
        Route::Cache => json(Ok(agent.cache_now())),
        Route::Limits => json(Ok(agent.limits.now())),
        Route::SetLimits => json(read(&request).and_then(not_empty).map(|set| agent.set_limits(&set))),
        Route::ResetLimits => json(Ok(agent.reset_limits())),
        Route::OpenApi => warp::reply::with_header(OPENAPI, CONTENT_TYPE, JSON).into_response(),
        Route::Health => "ok\n".into_response(),
        Route::Readiness => "ready\n".into_response(),
        Route::Metrics => metrics(&agent).into_response(),
    }
}

/// What is on this host, and at the paths that a query names.
fn holdings(agent: &Agent, query: &[(String, String)]) -> Result<Holdings, Refusal> {
    let mut holdings = Holdings::of(&agent.store);
    for (name, value) in query {
        let path = PathBuf::from(value);
        if name != "reuse" || !path.is_absolute() {
            let message = format!("{name}={value}, expected reuse= and an absolute path");
            return Err(Refusal::bad_request(message));
        }
        holdings.add_path(path);
    }
    Ok(holdings)
}

async fn start(agent: &Arc<Agent>, request: &Request) -> Result<Pull, Refusal> {
    let holdings = holdings(agent, &request.query)?;
    let started = if request.kind.as_deref() == Some(TORRENT) {
        let metainfo = Metainfo::parse(request.body.to_vec());
        let metainfo = metainfo.map_err(|error| Refusal::bad_request(error.to_string()))?;
        agent.start_metainfo(metainfo, holdings).await
    } else {
        let body: StartPull = read(request)?;
        let source = Source::from_str(&body.source).map_err(|error| Refusal::bad_request(error.to_string()))?;
        if matches!(source, Source::File(_) | Source::Url(_)) {
            return Err(Refusal::bad_request(format!("send the .torrent itself, with content type {TORRENT}")));
        }
        agent.start(&source, holdings).await
    };
    started.map_err(|error| refusal(&error))
}

fn refusal(error: &StartError) -> Refusal {
    let message = error.to_string();
    match error {
        StartError::Resolve(ResolveError::Tracker(error)) if error.is_not_found() => Refusal::not_found(message),
        StartError::Resolve(_) => Refusal(StatusCode::BAD_GATEWAY, "unresolved", message),
        StartError::NoRoom(_) | StartError::Fetch(FetchError::Reserve(ReserveError::NoSpace { .. })) => {
            Refusal(StatusCode::INSUFFICIENT_STORAGE, "no_space", message)
        }
        StartError::Store(_) | StartError::Fetch(_) => Refusal::unavailable(message),
    }
}

/// The body of a request, in JSON.
fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Refusal> {
    if request.kind.as_ref().is_none_or(|kind| !kind.starts_with(JSON)) {
        // Without this, any web page could start pulls: browsers send other types without asking.
        let found = request.kind.as_deref().unwrap_or("none");
        let message =
            format!("content type {found:?}, expected {JSON}, or {TORRENT} to pull what a .torrent describes");
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    serde_json::from_slice(&request.body).map_err(|error| Refusal::bad_request(format!("body: {error}")))
}

/// Refuses to set nothing.
fn not_empty<T: Default + PartialEq>(set: T) -> Result<T, Refusal> {
    if set == T::default() {
        Err(Refusal::bad_request("no limit is named, expected upload_limit or another"))
    } else {
        Ok(set)
    }
}

fn metainfo(agent: &Agent, name: &str) -> Response {
    match known(name).and_then(|info_hash| agent.metainfo(info_hash).ok_or_else(|| unknown(info_hash))) {
        Ok(metainfo) => warp::reply::with_header(metainfo.as_bytes().to_vec(), CONTENT_TYPE, TORRENT).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn set_pull_limits(agent: &Arc<Agent>, name: &str, set: Option<SetPullLimits>) -> Result<PullLimits, Refusal> {
    let info_hash = known(name)?;
    // Nobody may wait for the answer any more, and half of this would leave the torrent out of the session.
    let agent = agent.clone();
    let set = tokio::spawn(async move { agent.set_pull_limits(info_hash, set).await }).await;
    let set = set.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    set.map_err(|error| refusal(&error.into()))?.ok_or_else(|| unknown(info_hash))
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

#[cfg(test)]
mod tests;
