use std::time::{Duration, Instant};

use nova_protocol::{
    InfoHash,
    api::{LeaseGranted, OriginLease, Origins, ReplicaReport},
};
use warp::http::StatusCode;

use super::{
    Face,
    answer::{Answer, ApiError, no_content, ok},
    call::Call,
};

/// How long an origin waits for news when it does not say, and at most.
const WAIT: u64 = 20;
const WAIT_MAX: u64 = 60;

pub async fn list(face: &Face, call: &Call) -> Answer {
    let mut origins = face.tracker.origins(Instant::now()).await?;
    for OriginLease { peer_addr, fetch_addr, http_addr, .. } in origins.iter_mut().map(|origin| &mut origin.lease) {
        for addr in [peer_addr, fetch_addr, http_addr] {
            *addr = call.vantage.seen(*addr);
        }
    }
    Ok(ok(&Origins { origins }))
}

pub async fn renew(face: &Face, id: &str, call: Call) -> Answer {
    let id = origin_id(id)?;
    let vantage = call.vantage;
    let said: OriginLease = call.json().await?;
    let lease = OriginLease {
        peer_addr: vantage.said(said.peer_addr),
        fetch_addr: vantage.said(said.fetch_addr),
        http_addr: vantage.said(said.http_addr),
        free_bytes: said.free_bytes,
    };
    if [lease.peer_addr, lease.fetch_addr, lease.http_addr].iter().any(|addr| addr.port() == 0) {
        return Err(ApiError::bad_request("an address in the lease has port 0, expected where the origin listens"));
    }
    face.tracker.renew(id, lease, Instant::now()).await?;
    Ok(ok(&LeaseGranted { lease_seconds: face.tracker.settings().lease_seconds }))
}

pub async fn assignments(face: &Face, id: &str, call: &Call) -> Answer {
    let id = origin_id(id)?;
    let after = call.parameter("after")?.unwrap_or(0);
    let patience = Duration::from_secs(call.parameter("wait")?.unwrap_or(WAIT).min(WAIT_MAX));
    let waiting = face.tracker.assignments(id, after, patience);
    match face.shutdown.run_until_cancelled(waiting).await {
        Some(assignments) => {
            let mut assignments = assignments?;
            for leecher in &mut assignments.leechers {
                leecher.addr = call.vantage.seen(leecher.addr);
            }
            Ok(ok(&assignments))
        }
        None => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "the tracker is shutting down")),
    }
}

pub async fn report(face: &Face, id: &str, info_hash: InfoHash, call: Call) -> Answer {
    let id = origin_id(id)?;
    let report: ReplicaReport = call.json().await?;
    face.tracker.report(id, info_hash, report).await?;
    Ok(no_content())
}

fn origin_id(id: &str) -> Result<&str, ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&id.len()) && id.bytes().all(allowed) {
        Ok(id)
    } else {
        Err(ApiError::bad_request("not an origin id: expected 1 to 64 letters, digits and . _ -"))
    }
}
