use nova_protocol::{
    InfoHash, Reference,
    api::{self, RolloutAgent, RolloutCounts, RolloutState},
};
use serde::Serialize;

use crate::{table::Table, units};

/// Agents that an error names.
const NAMED: usize = 5;

/// A rollout, as programs read it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    reference: Reference,
    version: u64,
    info_hash: InfoHash,
    length: u64,
    /// Agents that the share is of: those that count, and no fewer than --agents.
    expected: u64,
    percent: u64,
    counts: RolloutCounts,
    /// Whether every agent has had the time to say that it is live since the tracker started.
    pub settled: bool,
    agents: Vec<RolloutAgent>,
}

impl Outcome {
    /// What came of a rollout to `expected` agents. Those that are not done come first.
    pub fn new(rollout: api::Rollout, expected: u64) -> Self {
        let api::Rollout { tag, counts, settled, mut agents, .. } = rollout;
        agents.sort_by(|one, other| (one.state, &one.id).cmp(&(other.state, &other.id)));
        let percent = (counts.complete * 100).checked_div(expected).unwrap_or(0);
        let (reference, version, info_hash, length) = (tag.reference, tag.version, tag.info_hash, tag.length);
        Self { reference, version, info_hash, length, expected, percent, counts, settled, agents }
    }

    /// The table, and the summary.
    pub fn text(&self) -> String {
        if self.expected == 0 {
            let Self { reference, version, .. } = self;
            return format!(
                "no live agent follows {reference} or has a version of it; it is at version {version}\n\
                 `nova-cli status` says how many agents are live"
            );
        }
        let table = if self.agents.is_empty() { String::new() } else { format!("{}\n", self.table()) };
        format!("{table}{}", self.summary())
    }

    /// One line.
    pub fn summary(&self) -> String {
        let Self { reference, version, expected, percent, counts, .. } = self;
        let agents = units::count(*expected, "agent");
        let have = if *expected == 1 { "has" } else { "have" };
        let states = [(counts.fetching, "fetching"), (counts.failed, "failed"), (counts.waiting, "waiting")];
        let states = states.into_iter().filter(|(count, _)| *count > 0);
        let states: Vec<String> = states.map(|(count, state)| format!(", {count} {state}")).collect();
        let states = states.concat();
        format!("{} of {agents} {have} {reference} version {version} ({percent}%){states}", counts.complete)
    }

    /// Who does not have it, in words.
    pub fn missing(&self) -> String {
        let missing: Vec<&RolloutAgent> =
            self.agents.iter().filter(|agent| agent.state != RolloutState::Complete).collect();
        let unseen = self.expected.saturating_sub(self.counts.agents);
        let named = missing.iter().take(NAMED).map(|agent| format!("{} ({})", agent.id, self.wherefore(agent)));
        let more = missing.len().saturating_sub(NAMED);
        let more = (more > 0).then(|| format!("{more} more"));
        let unseen = (unseen > 0).then(|| format!("{} not heard of", units::count(unseen, "agent")));
        let listed: Vec<String> = named.chain(more).chain(unseen).collect();
        if listed.is_empty() { "nobody is missing".to_owned() } else { format!("missing: {}", listed.join(", ")) }
    }

    fn wherefore(&self, agent: &RolloutAgent) -> String {
        let done = || units::percent(agent.have, self.length);
        match (agent.state, &agent.reason, agent.version) {
            (RolloutState::Failed, Some(reason), _) => format!("failed: {reason}"),
            (RolloutState::Waiting, _, Some(version)) => format!("has version {version}"),
            (RolloutState::Waiting, ..) => "has no version".to_owned(),
            (state, ..) => format!("{} {}", word(state), done()),
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["AGENT", "HOST", ">HAS", "STATE", ">DONE", ">RATE", "REASON"]);
        for agent in &self.agents {
            table.row([
                agent.id.to_string(),
                agent.host.to_string(),
                agent.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
                word(agent.state).to_owned(),
                units::percent(agent.have, self.length.max(1)),
                if agent.download_rate == 0 {
                    String::new()
                } else {
                    format!("{}/s", units::bytes(agent.download_rate))
                },
                agent.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
            ]);
        }
        table
    }
}

const fn word(state: RolloutState) -> &'static str {
    match state {
        RolloutState::Failed => "failed",
        RolloutState::Fetching => "fetching",
        RolloutState::Waiting => "waiting",
        RolloutState::Complete => "complete",
    }
}

#[cfg(test)]
mod tests {
    use nova_protocol::{Line, api::TagVersion};

    use super::*;

    fn agent(id: &str, state: RolloutState, have: u64, version: Option<u64>, reason: Option<&str>) -> RolloutAgent {
        let (id, host, reason) = (id.parse().unwrap(), Line::fit("web"), reason.map(Line::fit));
        RolloutAgent { id, host, state, have, download_rate: have << 10, version, reason }
    }

    fn outcome(expected: u64) -> Outcome {
        let agents = vec![
            agent("a", RolloutState::Complete, 100, Some(3), None),
            agent("b", RolloutState::Fetching, 40, Some(2), None),
            agent("c", RolloutState::Waiting, 0, Some(2), None),
            agent("d", RolloutState::Failed, 0, None, Some("no space")),
        ];
        let tag = TagVersion {
            reference: "demo:v1".parse().unwrap(),
            version: 3,
            info_hash: InfoHash::from([0; 20]),
            torrent_name: String::new(),
            length: 100,
            files: 1,
            moved_at: 0,
            pusher: String::new(),
        };
        let counts = RolloutCounts { agents: 4, complete: 1, fetching: 1, failed: 1, waiting: 1, have: 140 };
        Outcome::new(api::Rollout { tag, counts, percent: 25, settled: true, agents, next: None }, expected)
    }

    #[test]
    fn those_that_are_not_done_come_first_and_the_summary_last() {
        let text = outcome(4).text();
        let column = |row: &str| row.split_whitespace().next().unwrap_or_default().to_owned();
        assert_eq!(text.lines().map(column).collect::<Vec<_>>(), ["AGENT", "d", "b", "c", "a", "", "1"], "{text}");
        assert!(
            text.ends_with("1 of 4 agents have demo:v1 version 3 (25%), 1 fetching, 1 failed, 1 waiting"),
            "{text}"
        );
        assert!(text.contains("fetching   40%   40.00 KiB/s"), "{text}");
    }

    #[test]
    fn an_error_says_who_is_missing_and_why() {
        let missing = outcome(6).missing();
        let expected = "missing: d (failed: no space), b (fetching 40%), c (has version 2), 2 agents not heard of";
        assert_eq!(missing, expected);
        assert!(outcome(6).summary().starts_with("1 of 6 agents have demo:v1 version 3 (16%)"));
    }

    #[test]
    fn the_state_of_an_agent_has_the_word_that_programs_read() {
        for state in [RolloutState::Failed, RolloutState::Fetching, RolloutState::Waiting, RolloutState::Complete] {
            assert_eq!(serde_json::to_value(state).unwrap(), word(state));
        }
    }
}
