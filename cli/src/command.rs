//! The commands, one file each.

mod completions;
mod create;
mod demo;
mod history;
mod inspect;
mod limits;
mod pull;
mod push;
mod rm;
mod rollback;
mod rollout;
mod status;
mod tags;
mod up;
mod verify;

use anyhow::Result;
use clap::Subcommand;

use crate::{context::Context, failure::Exit};

/// What a user can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Push(push::Push),
    Pull(pull::Pull),
    Tags(tags::Tags),
    History(history::History),
    Rollback(rollback::Rollback),
    Rollout(rollout::Rollout),
    Rm(rm::Rm),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Create(create::Create),
    Status(status::Status),
    Limits(limits::Limits),
    Up(up::Up),
    Demo(demo::Demo),
    Completions(completions::Completions),
}

impl Command {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Exit> {
        match self {
            Self::Push(push) => push.run(context).await,
            Self::Pull(pull) => Box::pin(pull.run(context)).await,
            Self::Tags(tags) => tags.run(context).await,
            Self::History(history) => history.run(context).await,
            Self::Rollback(rollback) => rollback.run(context).await,
            Self::Rollout(rollout) => Box::pin(rollout.run(context)).await,
            Self::Rm(rm) => rm.run(context).await,
            Self::Inspect(inspect) => Box::pin(inspect.run(context)).await,
            Self::Verify(verify) => Box::pin(verify.run(context)).await,
            Self::Create(create) => create.run(context).await,
            Self::Status(status) => status.run(context).await,
            Self::Limits(limits) => limits.run(context).await,
            Self::Up(up) => Box::pin(up.run(context)).await,
            Self::Demo(demo) => Box::pin(demo.run(context)).await,
            Self::Completions(completions) => completions.run(context),
        }
    }
}
