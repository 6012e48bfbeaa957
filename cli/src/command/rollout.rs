mod outcome;
mod share;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use nova_protocol::{Reference, api};
use nova_seeder::{service::ServiceError, tracker::TrackerClient};

use self::{outcome::Outcome, share::Share};
use crate::{context::Context, failure::Exit, progress::Step, units};

/// How often the tracker is asked while the command waits.
const EVERY: Duration = Duration::from_secs(1);
/// Agents that are asked for at once.
const PAGE: u32 = 1000;
/// How long the tracker may take to say what is missing when the time is over.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// Show which agents have the current version of a tag, and wait until enough of them do.
///
/// An agent counts while it is live, if it follows the tag or has a pull of any version of it, however far. So a first
/// rollout begins with nobody: say with --agents how many there shall be.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli rollout models/demo:v1                           who has it now
  nova-cli rollout models/demo:v1 --wait 95%                until 95 of 100 agents have it
  nova-cli rollout models/demo:v1 --wait 8 --timeout 600    until 8 have it, ten minutes at most
  nova-cli rollout models/demo:v1 --wait 100% --agents 8    the first time: all of 8 agents
  nova-cli rollout models/demo:v1 --json | jq '.agents[] | select(.state != \"complete\")'
Without --wait the exit code is 0 however far the fleet is. With --wait it is 0 when the share is
reached, and 2 when the time is over; then the error says who is missing.")]
pub struct Rollout {
    /// NAME:TAG; :latest when no tag is given.
    #[arg(value_name = "REFERENCE")]
    reference: Reference,
    /// Wait until so many have it: a share such as 95%, or a number of agents such as 8.
    #[arg(long, value_name = "SHARE")]
    wait: Option<Share>,
    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// How many agents there are at least; a share is one of these, live or not.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    agents: Option<u64>,
}

impl Rollout {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let tracker = context.tracker()?;
        if let Some(share) = self.wait {
            self.wait(context, &tracker, share).await?;
        }
        let outcome = context.ask(self.outcome(&tracker)).await?;
        if !outcome.settled {
            context.say("the tracker has just started: agents may be missing that have not renewed their lease yet");
        }
        context.report(&outcome, outcome.text())?;
        Ok(Exit::Done)
    }

    /// Waits until the share is reached, or the time is over.
    async fn wait(&self, context: &Context, tracker: &TrackerClient, share: Share) -> Result<()> {
        let reached = context.ask(self.reached(context, tracker, share));
        let Some(seconds) = self.timeout else { return reached.await };
        if let Ok(reached) = tokio::time::timeout(Duration::from_secs(seconds), reached).await {
            return reached;
        }
        match tokio::time::timeout(LAST_WITHIN, context.ask(self.outcome(tracker))).await {
            Ok(Ok(outcome)) => {
                let (summary, missing) = (outcome.summary(), outcome.missing());
                bail!("gave up after {seconds} s (--timeout): {summary}, expected {share}; {missing}")
            }
            Ok(Err(error)) => Err(error.context(format!("gave up after {seconds} s (--timeout)"))),
            Err(_) => bail!("gave up after {seconds} s (--timeout): the tracker at {} does not answer", tracker.url()),
        }
    }

    /// Watches until the share is reached. A tracker that is away is waited for.
    async fn reached(&self, context: &Context, tracker: &TrackerClient, share: Share) -> Result<(), ServiceError> {
        let (mut is_away, mut version) = (false, None);
        loop {
            match tracker.rollout(&self.reference, None, 0).await {
                Ok(rollout) => {
                    if is_away {
                        context.say("the tracker answers again");
                    }
                    is_away = false;
                    let now = rollout.tag.version;
                    if version.replace(now).is_some_and(|before| before != now) {
                        context.say(&format!("{} has moved to version {now}", self.reference));
                    }
                    context.progress.show("rollout", self.step(&rollout));
                    if self.is_reached(share, &rollout) {
                        return Ok(());
                    }
                }
                Err(error) if error.is_temporary() => {
                    if !is_away {
                        context.say(&format!("waiting for the tracker: {error}"));
                    }
                    is_away = true;
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Right after a start of the tracker those who are live are not all who were: a share of them says nothing then.
    fn is_reached(&self, share: Share, rollout: &api::Rollout) -> bool {
        let knows_all = rollout.settled || self.agents.is_some() || matches!(share, Share::Agents(_));
        knows_all && share.is_reached(rollout.counts.complete, self.expected(rollout))
    }

    /// Of how many agents a share is one.
    fn expected(&self, rollout: &api::Rollout) -> u64 {
        rollout.counts.agents.max(self.agents.unwrap_or(0))
    }

    fn step(&self, rollout: &api::Rollout) -> Step {
        let (counts, expected) = (rollout.counts, self.expected(rollout));
        let failed = if counts.failed == 0 { String::new() } else { format!(", {} failed", counts.failed) };
        let detail = format!("{} of {}{failed}", counts.complete, units::count(expected, "agent"));
        Step { done: counts.have, total: rollout.tag.length.saturating_mul(expected), detail }
    }

    /// How far every agent is.
    async fn outcome(&self, tracker: &TrackerClient) -> Result<Outcome, ServiceError> {
        let mut rollout = tracker.rollout(&self.reference, None, PAGE).await?;
        while let Some(after) = rollout.next {
            let page = tracker.rollout(&self.reference, Some(&after), PAGE).await?;
            rollout.agents.extend(page.agents);
            rollout.next = page.next;
        }
        let expected = self.expected(&rollout);
        Ok(Outcome::new(rollout, expected))
    }
}

#[cfg(test)]
mod tests {
    use nova_protocol::{
        InfoHash,
        api::{RolloutCounts, TagVersion},
    };

    use super::*;

    fn is_reached(share: &str, agents: Option<u64>, (complete, counted): (u64, u64), settled: bool) -> bool {
        let reference: Reference = "demo:v1".parse().unwrap();
        let tag = TagVersion {
            reference: reference.clone(),
            version: 1,
            info_hash: InfoHash::from([0; 20]),
            torrent_name: String::new(),
            length: 9,
            files: 1,
            moved_at: 0,
            pusher: String::new(),
        };
        let counts = RolloutCounts { agents: counted, complete, ..RolloutCounts::default() };
        let seen = api::Rollout { tag, counts, percent: 0, settled, agents: Vec::new(), next: None };
        Rollout { reference, wait: None, timeout: None, agents }.is_reached(share.parse().unwrap(), &seen)
    }

    #[test]
    fn the_first_agents_to_come_back_after_a_restart_are_not_the_whole_fleet() {
        assert!(!is_reached("100%", None, (1, 1), false));
        assert!(is_reached("100%", None, (1, 1), true));
        assert!(is_reached("1", None, (1, 1), false), "so many have it, whoever else there is");
    }

    #[test]
    fn a_share_is_of_as_many_agents_as_there_shall_be_and_of_more_when_there_are() {
        assert!(!is_reached("100%", Some(8), (1, 1), true));
        assert!(is_reached("100%", Some(8), (8, 8), false));
        assert!(!is_reached("100%", Some(8), (8, 9), true));
    }
}
