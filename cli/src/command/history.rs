use anyhow::Result;
use clap::Args;
use nova_protocol::Reference;

use crate::{context::Context, failure::Exit, table::Table, units};

/// Show every version of a tag, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli history models/demo:v1
  nova-cli rollback models/demo:v1 --to 2     points the tag at what version 2 was, as a new version")]
pub struct History {
    /// NAME:TAG; :latest when no tag is given.
    #[arg(value_name = "REFERENCE")]
    reference: Reference,
}

impl History {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let history = context.ask(context.tracker()?.history(&self.reference)).await?;
        let mut table = Table::new(&[">VERSION", "MOVED", ">SIZE", "INFO HASH", "BY"]);
        for version in &history.versions {
            table.row([
                version.version.to_string(),
                units::date(version.moved_at),
                units::bytes(version.length),
                version.info_hash.to_string(),
                version.pusher.clone(),
            ]);
        }
        context.report(&history, table)?;
        Ok(Exit::Done)
    }
}
