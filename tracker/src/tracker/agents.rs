use std::{
    collections::HashMap,
    sync::{Arc, MutexGuard, PoisonError},
    time::Instant,
};

use nova_protocol::{
    AgentId, InfoHash, Reference,
    api::{
        AgentLease, AgentLeaseGranted, AgentPage, AgentStatus, AgentSummary, PullCounts, PullState, Rollout,
        RolloutCounts,
    },
};

use super::{Tracker, origins::unix_time};
use crate::{
    agents::{Agent, Agents, AgentsError, Versions, count},
    index::IndexError,
};

impl Tracker {
    /// Starts or renews the lease of an agent.
    ///
    /// # Errors
    /// [`AgentsError::Full`], [`AgentsError::Memory`].
    pub fn renew_agent(&self, id: AgentId, lease: AgentLease, now: Instant) -> Result<AgentLeaseGranted, AgentsError> {
        let rules = self.settings().agent_rules();
        self.agents().renew(id, lease, rules, now)
    }

    /// Ends the lease of an agent.
    ///
    /// # Errors
    /// [`AgentsError::Unknown`].
    pub fn end_agent(&self, id: &AgentId) -> Result<(), AgentsError> {
        self.agents().remove(id)
    }

    /// What a live agent said of itself last.
    ///
    /// # Errors
    /// [`AgentsError::Unknown`].
    pub fn agent(&self, id: &AgentId, now: Instant) -> Result<AgentStatus, AgentsError> {
        let agent = self.agents().get(id)?;
        Ok(AgentStatus { id: agent.id.clone(), renewed_at: renewed_at(&agent, now), lease: agent.lease.clone() })
    }

    /// At most `limit` live agents after `after`, sorted by id, and the counts of all.
    pub fn agent_page(&self, after: Option<&AgentId>, limit: usize, now: Instant) -> AgentPage {
        let ((page, has_more), live, pulls) = {
            let agents = self.agents();
            (agents.page(after, limit), agents.count() as u64, agents.pulls())
        };
        let agents = page.iter().map(|agent| AgentSummary {
            id: agent.id.clone(),
            host: agent.lease.host.clone(),
            peer_addr: agent.lease.peer_addr,
            renewed_at: renewed_at(agent, now),
            pulls: agent.pulls,
        });
        let next = page.last().filter(|_| has_more).map(|last| last.id.clone());
        AgentPage { live, pulls, agents: agents.collect(), next }
    }

    /// How many agents are live, and how far their pulls are.
    pub fn agent_counts(&self) -> (usize, PullCounts) {
        let agents = self.agents();
        (agents.count(), agents.pulls())
    }

    /// How many live agents have all of each torrent. Looks at every pull of every agent once, off the async threads.
    ///
    /// # Errors
    /// [`IndexError::Closed`].
    pub async fn agents_with(&self) -> Result<HashMap<InfoHash, u64>, IndexError> {
        let (agents, _) = self.agents().page(None, usize::MAX);
        let counted = tokio::task::spawn_blocking(move || {
            let mut counts = HashMap::new();
            let pulls = agents.iter().flat_map(|agent| &agent.lease.pulls);
            for pull in pulls.filter(|pull| pull.state == PullState::Seeding) {
                *counts.entry(pull.info_hash).or_insert(0) += 1;
            }
            counts
        });
        counted.await.map_err(|_| IndexError::Closed)
    }

    /// How far the fleet is with a tag: the counts of every agent that counts, and at most `limit` of them after
    /// `after`, sorted by id. Looks at every pull of every agent once, off the async threads.
    ///
    /// # Errors
    /// [`IndexError::UnknownTag`].
    pub async fn rollout(
        &self,
        reference: Reference,
        after: Option<AgentId>,
        limit: usize,
        now: Instant,
    ) -> Result<Rollout, IndexError> {
        let history = self.index.history(reference.clone()).await?;
        let versions = Versions::new(history).ok_or(IndexError::UnknownTag(reference))?;
        let settled = now >= self.agents_settle_at;
        let (agents, _) = self.agents().page(None, usize::MAX);
        let looked = tokio::task::spawn_blocking(move || rollout(&versions, &agents, after.as_ref(), limit, settled));
        looked.await.map_err(|_| IndexError::Closed)
    }

    /// Ends the leases of agents that have run out.
    pub(super) fn expire_agents(&self, now: Instant) {
        let gone = self.agents().expire(now);
        for id in gone {
            tracing::debug!(agent = %id, "an agent has let its lease run out");
        }
    }

    pub(super) fn agents(&self) -> MutexGuard<'_, Agents> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rollout(
    versions: &Versions,
    agents: &[Arc<Agent>],
    after: Option<&AgentId>,
    limit: usize,
    settled: bool,
) -> Rollout {
    let mut counts = RolloutCounts::default();
    let mut page = Vec::new();
    let mut has_more = false;
    for agent in agents.iter().filter_map(|agent| versions.progress(agent)) {
        count(&mut counts, &agent);
        if after.is_some_and(|after| agent.id <= *after) {
            continue;
        }
        if page.len() < limit {
            page.push(agent);
        } else {
            has_more = true;
        }
    }
    let percent = (counts.complete * 100).checked_div(counts.agents).unwrap_or(0);
    let next = page.last().filter(|_| has_more).map(|last| last.id.clone());
    Rollout { tag: versions.current().clone(), counts, percent, settled, agents: page, next }
}

fn renewed_at(agent: &Agent, now: Instant) -> u64 {
    unix_time(now.saturating_duration_since(agent.renewed))
}
