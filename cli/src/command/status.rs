use std::time::Duration;

use anyhow::Result;
use clap::Args;
use nova_protocol::api::{AgentPage, OriginStatus, Pull, PullCounts, PullState, WaitsFor};
use nova_seeder::service::ServiceError;
use serde::Serialize;

use crate::{context::Context, failure::Exit, table::Table, units};

/// How long each part may take to answer.
const WITHIN: Duration = Duration::from_secs(5);

/// Show how nova is doing: the tracker, its origins and agents, the agent of this host and its pulls.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli status
  nova-cli status --json | jq '.origins[] | select(.live | not)'
Exit code 1 when the tracker does not answer. No agent is no error.")]
pub struct Status {
    /// The agent; unix:/PATH is a socket [default: http://127.0.0.1:16002].
    #[arg(long, value_name = "URL")]
    agent: Option<String>,
}

#[derive(Debug, Serialize)]
struct Found {
    tracker: Part,
    origins: Vec<OriginStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<Agents>,
    agent: Part,
    pulls: Vec<Pull>,
}

/// The agents of the tracker, counted.
#[derive(Debug, Serialize)]
struct Agents {
    live: u64,
    pulls: PullCounts,
}

#[derive(Debug, Serialize)]
struct Part {
    url: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Status {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let tracker = context.tracker()?;
        let agent = context.agent(self.agent.as_deref())?;
        let ((tracker_ready, origins, agents), (agent_ready, pulls)) = context
            .ask(async {
                let of_tracker = async {
                    let agents = within(tracker.agents(None, 0)).await;
                    (within(tracker.ready()).await, within(tracker.origins()).await, agents)
                };
                let of_agent = async { (within(agent.ready()).await, within(agent.pulls()).await) };
                anyhow::Ok(tokio::join!(of_tracker, of_agent))
            })
            .await?;
        let found = Found {
            tracker: Part::new(tracker.url().as_str(), tracker_ready),
            origins: origins.map(|list| list.origins).unwrap_or_default(),
            agents: agents.ok().map(|AgentPage { live, pulls, .. }| Agents { live, pulls }),
            // Health can be asked without a token, pulls cannot.
            agent: Part::new(agent.url().as_str(), agent_ready.and(pulls.as_ref().map(drop).map_err(Clone::clone))),
            pulls: pulls.map(|list| list.pulls).unwrap_or_default(),
        };
        context.report(&found, found.text())?;
        Ok(if found.tracker.ready { Exit::Done } else { Exit::Absent })
    }
}

async fn within<T>(answer: impl Future<Output = Result<T, ServiceError>>) -> Result<T, String> {
    match tokio::time::timeout(WITHIN, answer).await {
        Ok(Err(ServiceError::Unreachable { reason, .. })) => Err(reason),
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {}", units::duration(WITHIN))),
    }
}

impl Part {
    fn new(url: &str, ready: Result<(), String>) -> Self {
        let reason = ready.err();
        Self { url: url.trim_end_matches('/').to_owned(), ready: reason.is_none(), reason }
    }

    fn line(&self, name: &str) -> String {
        match &self.reason {
            None => format!("{name:<9}{}  ready", self.url),
            Some(reason) => format!("{name:<9}{}  not ready: {reason}", self.url),
        }
    }
}

impl Found {
    fn text(&self) -> String {
        let mut parts = vec![self.tracker.line("tracker")];
        if self.tracker.ready && self.origins.is_empty() {
            parts.push("origins  none; `nova-seeder origin` starts one".to_owned());
        }
        if let Some(Agents { live, pulls: PullCounts { complete, fetching, failed } }) = self.agents {
            parts.push(format!(
                "agents   {live} live, with {complete} complete, {fetching} fetching, {failed} failed pulls"
            ));
        }
        parts.push(self.agent.line("agent"));
        if !self.origins.is_empty() {
            parts.push(format!("\n{}", origins(&self.origins)));
        }
        if !self.pulls.is_empty() {
            parts.push(format!("{}{}", if self.origins.is_empty() { "\n" } else { "" }, pulls(&self.pulls)));
        }
        parts.join("\n")
    }
}

fn origins(origins: &[OriginStatus]) -> Table {
    let mut table = Table::new(&["ORIGIN", "LIVE", ">FREE", ">HOLDS", "PEERS AT", "LAST SEEN"]);
    for origin in origins {
        table.row([
            origin.id.clone(),
            if origin.live { "yes" } else { "no" }.to_owned(),
            units::bytes(origin.lease.free_bytes),
            format!("{} of {}", origin.complete, origin.assigned),
            origin.lease.peer_addr.to_string(),
            units::date(origin.renewed_at),
        ]);
    }
    table
}

fn pulls(pulls: &[Pull]) -> Table {
    let mut table = Table::new(&["PULL", "STATE", ">DONE", ">SIZE", ">IN", ">OUT", ">PEERS"]);
    for pull in pulls {
        table.row([
            pull.name.clone(),
            state(pull),
            units::percent(pull.have, pull.length),
            units::bytes(pull.length),
            format!("{}/s", units::bytes(pull.download_rate)),
            format!("{}/s", units::bytes(pull.upload_rate)),
            pull.peers.to_string(),
        ]);
    }
    table
}

/// The words that programs read, and what there is to say to them.
fn state(pull: &Pull) -> String {
    let state = match pull.state {
        PullState::Checking => "checking",
        PullState::Fetching => "fetching",
        PullState::Seeding => "seeding",
        PullState::Failed => "failed",
    };
    let waits_for = pull.waits_for.map(|what| match what {
        WaitsFor::Peers => "waits for peers",
        WaitsFor::Pieces => "waits for pieces",
        WaitsFor::Disk => "waits for disk",
        WaitsFor::DownloadLimit => "waits for download_limit",
    });
    match pull.reason.as_deref().or(waits_for) {
        Some(why) => format!("{state}: {why}"),
        None => state.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_state_of_a_pull_has_the_words_that_programs_read() {
        let states = [PullState::Checking, PullState::Fetching, PullState::Seeding, PullState::Failed];
        let waits = [WaitsFor::Peers, WaitsFor::Pieces, WaitsFor::Disk, WaitsFor::DownloadLimit].map(Some);
        for (state, waits_for) in
            states.map(|state| (state, None)).into_iter().chain(waits.map(|what| (states[1], what)))
        {
            let pull = json!({
                "info_hash": "00".repeat(20), "name": "demo", "state": state, "length": 2, "have": 1, "path": "",
                "download_rate": 0, "upload_rate": 0, "uploaded": 0, "peers": 0, "sources": [], "waits_for": waits_for,
            });
            let said = super::state(&serde_json::from_value(pull.clone()).unwrap());
            let waits = pull["waits_for"].as_str().map_or_else(String::new, |what| format!(": waits for {what}"));
            assert_eq!(said, format!("{}{waits}", pull["state"].as_str().unwrap()));
        }
    }
}
