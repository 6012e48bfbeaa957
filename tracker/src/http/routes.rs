use std::{convert::Infallible, sync::Arc};

use warp::{
    Filter, Reply,
    filters::path::FullPath,
    http::{HeaderMap, Method, StatusCode},
    reply::Response,
};

use super::{
    Face, agents,
    answer::{Answer, ApiError},
    call::{self, Call, info_hash, reference},
    dashboard, health, origins, stream, tags, torrents,
};
use crate::vantage::Vantage;

/// Everything but announces.
pub(crate) fn routes(face: &Arc<Face>) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<> {
    let face = Arc::clone(face);
    warp::method()
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Vantage>())
        .and(warp::body::stream())
        .then(move |method, path: FullPath, query, headers: HeaderMap, vantage: Option<Vantage>, body| {
            let vantage = vantage.expect("every connection has one");
            let call = Call { method, path: path.as_str().to_owned(), query, headers, vantage, body: call::body(body) };
            let face = Arc::clone(&face);
            async move { route(&face, call).await.unwrap_or_else(ApiError::response) }
        })
        // Taking a body may be refused in warp's types, though no body is ever taken twice.
        .recover(async |_| Ok::<_, Infallible>(StatusCode::INTERNAL_SERVER_ERROR.into_response()))
        .unify()
}

/// The URL table.
async fn route(face: &Face, call: Call) -> Answer {
    let segments = call.segments()?;
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = if call.method == Method::HEAD { Method::GET } else { call.method.clone() };
    match (method.as_str(), path.as_slice()) {
        ("GET", [""]) => dashboard::show(face, &call).await,
        ("GET", ["health"]) => Ok(health::health()),
        ("GET", ["readiness"]) => Ok(health::readiness(face).await),
        ("GET", ["metrics"]) => Ok(health::metrics(face)),
        ("GET", ["v1", "events"]) => Ok(stream::events(face)),

        ("GET", ["v1", "tags"]) => tags::list(face, &call).await,
        ("GET", ["v1", "tags", tag @ ..]) => tags::show(face, reference(tag)?).await,
        ("PUT", ["v1", "tags", tag @ ..]) => tags::put(face, reference(tag)?, call).await,
        ("DELETE", ["v1", "tags", tag @ ..]) => tags::delete(face, reference(tag)?).await,
        ("GET", ["v1", "history", tag @ ..]) => tags::history(face, reference(tag)?).await,
        ("POST", ["v1", "rollback", tag @ ..]) => tags::rollback(face, reference(tag)?, call).await,

        ("GET", ["v1", "torrents", file]) if file.ends_with(".torrent") => torrents::file(face, file, &call).await,
        ("GET", ["v1", "torrents", hash]) => torrents::show(face, info_hash(hash)?, &call).await,
        ("PUT", ["v1", "torrents", hash]) => torrents::put(face, info_hash(hash)?, call).await,
        ("DELETE", ["v1", "torrents", hash]) => torrents::delete(face, info_hash(hash)?).await,
        ("GET", ["v1", "torrents", hash, "peers"]) => torrents::peers(face, info_hash(hash)?, &call).await,

        ("GET", ["v1", "origins"]) => origins::list(face, &call).await,
        ("PUT", ["v1", "origins", id]) => origins::renew(face, id, call).await,
        ("GET", ["v1", "origins", id, "assignments"]) => origins::assignments(face, id, &call).await,
        ("PUT", ["v1", "origins", id, "replicas", hash]) => origins::report(face, id, info_hash(hash)?, call).await,

        ("GET", ["v1", "agents"]) => agents::list(face, &call),
        ("GET", ["v1", "agents", id]) => agents::show(face, &agents::id(id)?, &call),
        ("PUT", ["v1", "agents", id]) => agents::renew(face, agents::id(id)?, call).await,
        ("DELETE", ["v1", "agents", id]) => agents::end(face, &agents::id(id)?),
        ("GET", ["v1", "rollout", tag @ ..]) => agents::rollout(face, reference(tag)?, &call).await,

        (_, path) => Err(allowed(path)
            .map_or_else(|| ApiError::no_such_path(&call.path), |allow| ApiError::method(&call.method, allow))),
    }
}

/// The methods of the paths above, for those who come with another.
fn allowed(path: &[&str]) -> Option<&'static str> {
    match path {
        ["v1", "tags", _, ..] | ["v1", "torrents" | "agents", _] => Some("GET, PUT, DELETE"),
        ["v1", "rollback", _, ..] => Some("POST"),
        ["v1", "origins", _] | ["v1", "origins", _, "replicas", _] => Some("PUT"),
        ["" | "health" | "readiness" | "metrics"]
        | ["v1", "events" | "tags" | "origins" | "agents"]
        | ["v1", "history" | "rollout", _, ..]
        | ["v1", "torrents", _, "peers"]
        | ["v1", "origins", _, "assignments"] => Some("GET"),
        _ => None,
    }
}
