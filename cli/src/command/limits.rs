use std::num::NonZeroU32;

use anyhow::Result;
use clap::Args;
use nova_protocol::{
    InfoHash, Rate,
    api::{self, LimitsSetBy, PullLimits, SetLimits, SetPullLimits},
};

use crate::{context::Context, failure::Exit, units};

/// Show or set how fast the agent of this host may send and fetch, in all or one of its pulls.
///
/// What is set holds until the agent's schedule next changes anything, or the agent restarts; for one pull, until the
/// agent restarts. What is not named stays.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli limits                                  what holds now, and until when
  nova-cli limits --upload 10M --download 50M      bytes a second, all pulls together
  nova-cli limits --upload none
  nova-cli limits --reset                          schedule and settings of the agent again
  nova-cli limits INFO_HASH --download 5M --peers 20")]
pub struct Limits {
    /// The pull, as `nova-cli status --json` lists it; the whole host when absent.
    #[arg(value_name = "INFO_HASH")]
    info_hash: Option<InfoHash>,
    /// Content that may leave in a second: 16K at least, as in 10M; none for no limit.
    #[arg(long, value_name = "BYTES", value_parser = units::read_limit)]
    upload: Option<Rate>,
    /// Content that may come in a second: 16K at least, as in 50M; none for no limit.
    #[arg(long, value_name = "BYTES", value_parser = units::read_limit)]
    download: Option<Rate>,
    /// Peers that may be connected, for one pull.
    #[arg(long, value_name = "COUNT", requires = "info_hash")]
    peers: Option<NonZeroU32>,
    /// Forget what was set by hand.
    #[arg(long, conflicts_with_all = ["upload", "download", "peers"])]
    reset: bool,
    /// The agent; unix:/PATH is a socket [default: http://127.0.0.1:16002].
    #[arg(long, value_name = "URL")]
    agent: Option<String>,
}

impl Limits {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        if let Some(info_hash) = self.info_hash {
            let limits = self.of_pull(context, info_hash).await?;
            context.report(&limits, of_pull(&limits))?;
        } else {
            let limits = self.of_host(context).await?;
            context.report(&limits, of_host(&limits))?;
        }
        Ok(Exit::Done)
    }

    async fn of_host(&self, context: &Context) -> Result<api::Limits> {
        let agent = context.agent(self.agent.as_deref())?;
        let set = SetLimits { upload_limit: self.upload, download_limit: self.download };
        if self.reset {
            context.ask(agent.set_limits(None)).await
        } else if set == SetLimits::default() {
            context.ask(agent.limits()).await
        } else {
            context.ask(agent.set_limits(Some(&set))).await
        }
    }

    async fn of_pull(&self, context: &Context, info_hash: InfoHash) -> Result<PullLimits> {
        let agent = context.agent(self.agent.as_deref())?;
        let set = SetPullLimits { upload_limit: self.upload, download_limit: self.download, peers_max: self.peers };
        if self.reset {
            context.ask(agent.set_pull_limits(info_hash, None)).await
        } else if set == SetPullLimits::default() {
            context.ask(agent.pull_limits(info_hash)).await
        } else {
            context.ask(agent.set_pull_limits(info_hash, Some(&set))).await
        }
    }
}

fn of_host(limits: &api::Limits) -> String {
    let until = limits.until.map_or_else(String::new, |until| format!(", until {}", units::date(until)));
    format!("{}\n{}{until}", rates(limits.upload_limit, limits.download_limit), set_by(limits.set_by))
}

fn of_pull(limits: &PullLimits) -> String {
    let rates = rates(limits.upload_limit, limits.download_limit);
    format!("{rates}\npeers     {}\n{}", limits.peers_max, set_by(limits.set_by))
}

fn rates(upload: Rate, download: Rate) -> String {
    format!("upload    {}\ndownload  {}", units::limit(upload), units::limit(download))
}

const fn set_by(set_by: LimitsSetBy) -> &'static str {
    match set_by {
        LimitsSetBy::Settings => "by the agent's settings",
        LimitsSetBy::Schedule => "by the agent's schedule",
        LimitsSetBy::Hand => "set by hand",
    }
}
