use std::{net::SocketAddr, time::Instant};

use nova_protocol::{
    InfoHash, Metainfo,
    api::{Peer, Peers, ReplicaState, TorrentStatus},
    metainfo::LIMITS,
};
use warp::{
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

use super::{
    Face,
    answer::{Answer, ApiError, bytes, no_content, ok},
    call::{Call, info_hash},
};
use crate::{swarm::Store, vantage::Vantage};

/// How many peers are listed.
const PEERS: usize = 100;

pub async fn show(face: &Face, info_hash: InfoHash, call: &Call) -> Answer {
    Ok(ok(&seen(face.tracker.torrent(info_hash).await?, call.vantage)))
}

pub async fn put(face: &Face, info_hash: InfoHash, call: Call) -> Answer {
    let vantage = call.vantage;
    let body = call.bytes(LIMITS.bytes).await?;
    let metainfo = off_thread(move || Metainfo::parse(body)).await?;
    let metainfo = metainfo.map_err(|error| {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_metainfo", format!("not a .torrent file: {error}"))
    })?;
    if metainfo.info_hash() != info_hash {
        let message = format!("the body has info hash {}, expected {info_hash} as in the URL", metainfo.info_hash());
        return Err(ApiError::bad_request(message));
    }
    Ok(ok(&seen(face.tracker.add_torrent(metainfo, Instant::now()).await?, vantage)))
}

pub async fn delete(face: &Face, info_hash: InfoHash) -> Answer {
    face.tracker.remove_torrent(info_hash).await?;
    Ok(no_content())
}

/// The `.torrent` itself: the announce URL of this tracker in it, and web seeds (BEP 19) on demand.
pub async fn file(face: &Face, file: &str, call: &Call) -> Answer {
    let info_hash = info_hash(file.trim_end_matches(".torrent"))?;
    let stored = face.tracker.index().metainfo(info_hash).await?;
    let web_seeds = match call.parameter("web_seeds")? {
        Some(true) => web_seeds(face, info_hash, call.vantage).await?,
        _ => Vec::new(),
    };
    let trackers = [vec![announce_url(face, call)]];
    let parsed =
        off_thread(move || Metainfo::parse(stored).map(|metainfo| metainfo.with_sources(&trackers, &web_seeds)));
    let metainfo = parsed.await?.map_err(|error| {
        let message = format!("the index has something else in the place of {info_hash}: {error}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "index_failed", message)
    })?;
    Ok(download(&metainfo))
}

pub async fn peers(face: &Face, info_hash: InfoHash, call: &Call) -> Answer {
    face.tracker.torrent(info_hash).await?;
    let peers = face
        .tracker
        .swarms()
        .peers(info_hash, PEERS)
        .into_iter()
        .map(|peer| Peer { addr: call.vantage.seen(peer.addr), complete: peer.complete });
    Ok(ok(&Peers { peers: peers.collect() }))
}

/// Where clients announce: as configured, or at the host by which this client calls the tracker.
pub fn announce_url(face: &Face, call: &Call) -> String {
    match face.tracker.settings().announce_url.as_str() {
        "" => format!("http://{}:{}/announce", call.host(), face.announce_addr.port()),
        configured => configured.to_owned(),
    }
}

async fn web_seeds(face: &Face, info_hash: InfoHash, vantage: Vantage) -> Result<Vec<String>, ApiError> {
    let torrent = face.tracker.torrent(info_hash).await?;
    let complete = torrent.replicas.iter().filter(|replica| replica.live && replica.state == ReplicaState::Complete);
    let addrs = complete.filter_map(|replica| face.tracker.http_addr(&replica.origin));
    let url = |addr: SocketAddr| format!("http://{}/v1/content/{info_hash}/", vantage.seen(addr));
    Ok(addrs.map(url).collect())
}

fn download(metainfo: &Metainfo) -> Response {
    let mut name = String::new();
    nova_protocol::query::encode(&mut name, format!("{}.torrent", metainfo.info.name).as_bytes());
    let mut response = bytes(StatusCode::OK, "application/x-bittorrent", metainfo.as_bytes().to_vec());
    let disposition = HeaderValue::try_from(format!("attachment; filename*=UTF-8''{name}")).expect("percent-encoded");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    response
}

fn seen(mut torrent: TorrentStatus, vantage: Vantage) -> TorrentStatus {
    for replica in &mut torrent.replicas {
        replica.peer_addr = vantage.seen(replica.peer_addr);
        replica.fetch_addr = vantage.seen(replica.fetch_addr);
    }
    torrent
}

/// Metainfo of a large torrent takes a while.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "the tracker is shutting down"))
}
