use anyhow::Result;
use clap::Args;
use nova_protocol::api::TagVersion;
use serde::Serialize;

use crate::{context::Context, failure::Exit, table::Table, units};

const PAGE: u32 = 500;

/// List tags.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli tags               all of them
  nova-cli tags models/       those whose reference starts with models/
  nova-cli tags --json | jq -r '.tags[].info_hash'")]
pub struct Tags {
    /// What references start with.
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
}

#[derive(Debug, Serialize)]
struct Listing {
    tags: Vec<TagVersion>,
}

impl Tags {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let tracker = context.tracker()?;
        let mut tags = Vec::new();
        let mut after = None;
        loop {
            let page = context.ask(tracker.tags(&self.prefix, after.as_ref(), PAGE)).await?;
            tags.extend(page.tags);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if tags.is_empty() {
            context.say(&match self.prefix.as_str() {
                "" => "no tags yet; `nova-cli push PATH NAME:TAG` makes one".to_owned(),
                prefix => format!("no tag starts with {prefix}"),
            });
        }
        let text = if tags.is_empty() { String::new() } else { table(&tags).to_string() };
        context.report(&Listing { tags }, text)?;
        Ok(Exit::Done)
    }
}

fn table(tags: &[TagVersion]) -> Table {
    let mut table = Table::new(&["REFERENCE", ">VERSION", ">SIZE", ">FILES", "MOVED", "BY"]);
    for tag in tags {
        table.row([
            tag.reference.to_string(),
            tag.version.to_string(),
            units::bytes(tag.length),
            tag.files.to_string(),
            units::date(tag.moved_at),
            tag.pusher.clone(),
        ]);
    }
    table
}
