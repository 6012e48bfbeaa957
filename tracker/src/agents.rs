//! Which agents are live, and what they said of themselves last. In memory alone, and bounded: after a restart every
//! agent says it again within a lease. Time is passed in.

mod rollout;

use std::{
    collections::BTreeMap,
    mem::size_of,
    ops::Bound,
    sync::Arc,
    time::{Duration, Instant},
};

use nova_protocol::{
    AgentId, InfoHash, Reference,
    api::{AgentLease, AgentLeaseGranted, PullCounts, PullReport, PullState},
};
pub use rollout::{Versions, count};

/// Every live agent.
#[derive(Debug, Default)]
pub struct Agents {
    live: BTreeMap<AgentId, Arc<Agent>>,
    /// What the leases of all of them take.
    bytes: usize,
    /// How many of them are fetching something.
    busy: usize,
}

/// A live agent.
#[derive(Debug)]
pub struct Agent {
    /// What it is called.
    pub id: AgentId,
    /// What it said; no torrent is in it twice, and nobody has more of one than there is.
    pub lease: AgentLease,
    /// How far its pulls are.
    pub pulls: PullCounts,
    /// When it said so.
    pub renewed: Instant,
    expires: Instant,
    /// Whether two hosts were heard of by this id, which is said once.
    is_contested: bool,
}

/// How agents are kept.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long a lease is valid, unless there are too many agents for that.
    pub lease: Duration,
    /// Renewals a second of all agents together that leases aim to stay below. Half of it is for those that fetch.
    pub renewals_per_second: u32,
    /// Agents that may be live at once.
    pub agents_max: usize,
    /// Bytes of memory that all leases together may take.
    pub bytes_max: usize,
}

/// Why an agent is not kept, or not found.
#[derive(Debug, thiserror::Error)]
pub enum AgentsError {
    /// There are as many agents as there may be.
    #[error("{0} agents are live, which is as many as agents_max allows; try again later")]
    Full(usize),
    /// The leases take as much memory as they may.
    #[error("the leases of {0} agents take all the memory that there is for them; try again later")]
    Memory(usize),
    /// No such agent is live.
    #[error("no agent {0} is live; `GET /v1/agents` lists those that are")]
    Unknown(AgentId),
}

impl Agents {
    /// Starts or renews the lease of an agent.
    ///
    /// # Errors
    /// [`AgentsError::Full`], [`AgentsError::Memory`]; a lease that it has already stays as it is then.
    pub fn renew(
        &mut self,
        id: AgentId,
        lease: AgentLease,
        rules: Rules,
        now: Instant,
    ) -> Result<AgentLeaseGranted, AgentsError> {
        let mut agent = Agent::new(id, lease, now);
        let before = self.live.get(&agent.id);
        if before.is_none() && self.live.len() >= rules.agents_max {
            return Err(AgentsError::Full(self.live.len()));
        }
        if self.bytes - before.map_or(0, |before| before.bytes()) + agent.bytes() > rules.bytes_max {
            return Err(AgentsError::Memory(self.live.len()));
        }
        if let Some(before) = before {
            agent.is_contested = before.is_contested || before.lease.host != agent.lease.host;
            if agent.is_contested && !before.is_contested {
                let (one, other) = (&before.lease.host, &agent.lease.host);
                tracing::warn!(id = %agent.id, %one, %other, "two hosts have agents of one id: give one its own");
            }
        }
        self.forget(&agent.id);
        self.bytes += agent.bytes();
        self.busy += usize::from(agent.is_busy());
        let granted = self.grant(rules, self.live.len() + 1);
        agent.expires = now + Duration::from_secs(granted.lease_seconds);
        self.live.insert(agent.id.clone(), Arc::new(agent));
        Ok(granted)
    }

    /// Ends the lease of an agent.
    ///
    /// # Errors
    /// [`AgentsError::Unknown`].
    pub fn remove(&mut self, id: &AgentId) -> Result<(), AgentsError> {
        self.forget(id).map(drop).ok_or_else(|| AgentsError::Unknown(id.clone()))
    }

    /// Ends the leases that have run out, and says whose.
    pub fn expire(&mut self, now: Instant) -> Vec<AgentId> {
        let gone = self.live.values().filter(|agent| now > agent.expires).map(|agent| agent.id.clone());
        let gone: Vec<AgentId> = gone.collect();
        for id in &gone {
            self.forget(id);
        }
        gone
    }

    /// A live agent.
    ///
    /// # Errors
    /// [`AgentsError::Unknown`].
    pub fn get(&self, id: &AgentId) -> Result<Arc<Agent>, AgentsError> {
        self.live.get(id).cloned().ok_or_else(|| AgentsError::Unknown(id.clone()))
    }

    /// At most `limit` agents after `after`, sorted by id, and whether there are more. Copies pointers.
    pub fn page(&self, after: Option<&AgentId>, limit: usize) -> (Vec<Arc<Agent>>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.live.range((from, Bound::Unbounded)).map(|(_, agent)| Arc::clone(agent));
        let page = rest.by_ref().take(limit).collect();
        (page, rest.next().is_some())
    }

    /// The first by id that has all of a torrent.
    pub fn keeper(&self, info_hash: InfoHash) -> Option<AgentId> {
        self.live.values().find(|agent| agent.has(info_hash)).map(|agent| agent.id.clone())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.live.len()
    }

    /// How far the pulls of all of them are.
    pub fn pulls(&self) -> PullCounts {
        self.live.values().fold(PullCounts::default(), |sum, agent| PullCounts {
            complete: sum.complete + agent.pulls.complete,
            fetching: sum.fetching + agent.pulls.fetching,
            failed: sum.failed + agent.pulls.failed,
        })
    }

    fn forget(&mut self, id: &AgentId) -> Option<Arc<Agent>> {
        let agent = self.live.remove(id)?;
        self.bytes -= agent.bytes();
        self.busy -= usize::from(agent.is_busy());
        Some(agent)
    }

    /// The more agents, the longer they wait. One is idle or busy, so each half of the budget is enough for its own.
    fn grant(&self, rules: Rules, agents: usize) -> AgentLeaseGranted {
        let half = u64::from(rules.renewals_per_second).div_ceil(2);
        let pause = |agents: usize| (agents as u64).div_ceil(half);
        let lease_seconds = rules.lease.as_secs().max(3 * pause(agents));
        AgentLeaseGranted { lease_seconds, progress_seconds: pause(self.busy).max(1) }
    }
}

impl Agent {
    fn new(id: AgentId, mut lease: AgentLease, now: Instant) -> Self {
        lease.pulls.sort_by_key(|pull| pull.info_hash);
        lease.pulls.dedup_by_key(|pull| pull.info_hash);
        lease.pulls.shrink_to_fit();
        let mut pulls = PullCounts::default();
        for pull in &mut lease.pulls {
            pull.have = pull.have.min(pull.length);
            match pull.state {
                PullState::Seeding => pulls.complete += 1,
                PullState::Checking | PullState::Fetching => pulls.fetching += 1,
                PullState::Failed => pulls.failed += 1,
            }
        }
        Self { id, lease, pulls, renewed: now, expires: now, is_contested: false }
    }

    fn has(&self, info_hash: InfoHash) -> bool {
        let found = self.lease.pulls.binary_search_by_key(&info_hash, |pull| pull.info_hash);
        found.is_ok_and(|index| self.lease.pulls[index].state == PullState::Seeding)
    }

    fn is_busy(&self) -> bool {
        self.pulls.fetching > 0
    }

    /// What it takes in memory, near enough.
    fn bytes(&self) -> usize {
        let reasons = self.lease.pulls.iter().filter_map(|pull| pull.reason.as_ref());
        let reasons: usize = reasons.map(|reason| reason.as_str().len()).sum();
        let pulls = self.lease.pulls.len() * size_of::<PullReport>();
        // A reference is two texts, 255 and 128 bytes long at most.
        let follows = self.lease.follows.len() * (size_of::<Reference>() + 383);
        size_of::<Self>() + pulls + reasons + follows
    }
}

#[cfg(test)]
mod tests;
