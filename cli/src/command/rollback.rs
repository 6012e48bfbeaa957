use anyhow::Result;
use clap::Args;
use nova_protocol::{Reference, api};

use crate::{context::Context, failure::Exit};

/// Move a tag back to what it pointed to before.
///
/// Nothing is lost: the move is a new version, and a rollback can be rolled back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli rollback models/demo:v1            to the content before this one
  nova-cli rollback models/demo:v1 --to 2     to the content of version 2")]
pub struct Rollback {
    /// NAME:TAG; :latest when no tag is given.
    #[arg(value_name = "REFERENCE")]
    reference: Reference,
    /// The version whose content the tag shall have [default: the last one with other content].
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
    /// What the history says of who did it [default: USER at HOST].
    #[arg(long = "as", value_name = "PUSHER")]
    pusher: Option<String>,
}

impl Rollback {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let body = api::Rollback { version: self.to, pusher: context.pusher(self.pusher.as_deref()) };
        let tag = context.ask(context.tracker()?.rollback(&self.reference, &body)).await?;
        let text = format!("{} version {} → {}", tag.reference, tag.version, tag.info_hash);
        context.report(&tag, text)?;
        Ok(Exit::Done)
    }
}
