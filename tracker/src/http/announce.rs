use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Instant};

use nova_protocol::{
    announce::{AnnounceRequest, Form, RequestError, write_failure},
    scrape,
};
use warp::{Filter, http::StatusCode, reply::Response};

use super::{Face, answer};
use crate::{metrics::Refusal, swarm::Unlisted, vantage::Vantage};

/// `GET /announce` and `GET /scrape`.
pub(crate) fn routes(face: &Arc<Face>) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<> {
    let face = Arc::clone(face);
    warp::path::full()
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::ext::optional::<Vantage>())
        .map(move |path: warp::path::FullPath, query: String, vantage: Option<Vantage>| {
            route(&face, path.as_str(), query.as_bytes(), vantage.expect("every connection has one"))
        })
}

fn route(face: &Face, path: &str, query: &[u8], vantage: Vantage) -> Response {
    let mut body = Vec::with_capacity(512);
    let answered = match path {
        "/announce" => announce(face, query, vantage, &mut body),
        "/scrape" => scrape(face, query, &mut body),
        _ => {
            face.tracker.metrics().refused(Refusal::Path);
            return answer::text(StatusCode::NOT_FOUND, "this port serves /announce and /scrape\n");
        }
    };
    if let Err(refused) = answered {
        body.clear();
        let why = match refused {
            Refused::Request(_) => Refusal::Malformed,
            Refused::Unlisted(_) => Refusal::Unlisted,
        };
        face.tracker.metrics().refused(why);
        write_failure(&refused.to_string(), &mut body);
    }
    // Some clients show nothing of an answer that is not plain text with status 200.
    answer::bytes(StatusCode::OK, "text/plain", body)
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Unlisted(#[from] Unlisted),
}

fn announce(face: &Face, query: &[u8], vantage: Vantage, body: &mut Vec<u8>) -> Result<(), Refused> {
    let request = AnnounceRequest::parse(query)?;
    let ip = request.ip.filter(|_| vantage.proxied).unwrap_or(vantage.client);
    let addr = SocketAddr::new(ip.to_canonical(), request.port);
    let mut peers = Vec::new();
    let head = face.tracker.swarms().announce(&request, addr, Instant::now(), &mut peers)?;
    for peer in &mut peers {
        peer.addr = vantage.seen(peer.addr);
    }
    let form = match (request.compact, request.no_peer_id) {
        (true, _) => Form::Compact,
        (false, true) => Form::DictionaryWithoutId,
        (false, false) => Form::Dictionary,
    };
    head.write(&peers, form, body);
    face.tracker.metrics().announced(request.event);
    Ok(())
}

/// Info hashes that are not in the index are left out (BEP 48).
fn scrape(face: &Face, query: &[u8], body: &mut Vec<u8>) -> Result<(), Refused> {
    let hashes = scrape::parse(query)?;
    let swarms = face.tracker.swarms();
    scrape::write(hashes.into_iter().filter_map(|hash| Some((hash, swarms.counts(hash)?))), body);
    face.tracker.metrics().scraped();
    Ok(())
}
