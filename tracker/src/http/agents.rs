use std::time::Instant;

use nova_protocol::{AgentId, Reference, api::AgentLease};

use super::{
    Face,
    answer::{Answer, ApiError, no_content, ok},
    call::Call,
};

/// Agents on a page when nobody says how many, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

pub fn id(segment: &str) -> Result<AgentId, ApiError> {
    segment.parse().map_err(|error| ApiError::bad_request(format!("{error}")))
}

pub fn list(face: &Face, call: &Call) -> Answer {
    let after: Option<AgentId> = call.parameter("after")?;
    let mut page = face.tracker.agent_page(after.as_ref(), limit(call)?, Instant::now());
    for agent in &mut page.agents {
        agent.peer_addr = call.vantage.seen(agent.peer_addr);
    }
    Ok(ok(&page))
}

pub fn show(face: &Face, id: &AgentId, call: &Call) -> Answer {
    let mut agent = face.tracker.agent(id, Instant::now())?;
    agent.lease.peer_addr = call.vantage.seen(agent.lease.peer_addr);
    Ok(ok(&agent))
}

pub async fn renew(face: &Face, id: AgentId, call: Call) -> Answer {
    let vantage = call.vantage;
    let mut lease: AgentLease = call.json_within(AgentLease::BYTES_MAX).await?;
    if lease.peer_addr.port() == 0 {
        return Err(ApiError::bad_request("peer_addr has port 0, expected where the agent listens for peers"));
    }
    lease.peer_addr = vantage.said(lease.peer_addr);
    Ok(ok(&face.tracker.renew_agent(id, lease, Instant::now())?))
}

pub fn end(face: &Face, id: &AgentId) -> Answer {
    face.tracker.end_agent(id)?;
    Ok(no_content())
}

/// With `limit=0` there are the counts alone.
pub async fn rollout(face: &Face, reference: Reference, call: &Call) -> Answer {
    let (after, limit) = (call.parameter("after")?, limit(call)?);
    Ok(ok(&face.tracker.rollout(reference, after, limit, Instant::now()).await?))
}

fn limit(call: &Call) -> Result<usize, ApiError> {
    Ok(call.parameter("limit")?.unwrap_or(PAGE).min(PAGE_MAX))
}
