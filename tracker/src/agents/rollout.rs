//! Which agents count in a rollout, and how far each is.

use std::collections::HashMap;

use nova_protocol::{
    InfoHash, Reference,
    api::{PullState, RolloutAgent, RolloutCounts, RolloutState, TagVersion},
};

use super::Agent;

/// What a tag points to and has pointed to.
#[derive(Debug)]
pub struct Versions {
    reference: Reference,
    current: TagVersion,
    /// The newest version that pointed to each info hash.
    newest: HashMap<InfoHash, u64>,
}

impl Versions {
    /// Those of a history, newest first; `None` when it is empty.
    pub fn new(history: Vec<TagVersion>) -> Option<Self> {
        let mut newest = HashMap::new();
        for version in &history {
            newest.entry(version.info_hash).or_insert(version.version);
        }
        let current = history.into_iter().next()?;
        Some(Self { reference: current.reference.clone(), current, newest })
    }

    /// The current one.
    pub const fn current(&self) -> &TagVersion {
        &self.current
    }

    /// How far an agent is with the current version; `None` when it does not count: it neither follows the reference
    /// nor has a pull, however far, of any version.
    pub fn progress(&self, agent: &Agent) -> Option<RolloutAgent> {
        let pulls = agent.lease.pulls.iter().filter_map(|pull| Some((pull, *self.newest.get(&pull.info_hash)?)));
        let (mut counts, mut version, mut current) = (agent.lease.follows.contains(&self.reference), None, None);
        for (pull, number) in pulls {
            counts = true;
            if pull.state == PullState::Seeding {
                version = version.max(Some(number));
            }
            if pull.info_hash == self.current.info_hash {
                current = Some(pull);
            }
        }
        let state = match current.map(|pull| pull.state) {
            None => RolloutState::Waiting,
            Some(PullState::Seeding) => RolloutState::Complete,
            Some(PullState::Checking | PullState::Fetching) => RolloutState::Fetching,
            Some(PullState::Failed) => RolloutState::Failed,
        };
        let have = current.map_or(0, |pull| pull.have.min(self.current.length));
        counts.then(|| RolloutAgent {
            id: agent.id.clone(),
            host: agent.lease.host.clone(),
            state,
            have: if state == RolloutState::Complete { self.current.length } else { have },
            download_rate: current.map_or(0, |pull| pull.download_rate),
            version,
            reason: current.and_then(|pull| pull.reason.clone()),
        })
    }
}

/// Adds an agent to the counts.
pub fn count(counts: &mut RolloutCounts, agent: &RolloutAgent) {
    counts.agents += 1;
    counts.have = counts.have.saturating_add(agent.have);
    match agent.state {
        RolloutState::Complete => counts.complete += 1,
        RolloutState::Fetching => counts.fetching += 1,
        RolloutState::Failed => counts.failed += 1,
        RolloutState::Waiting => counts.waiting += 1,
    }
}
