use anyhow::{Result, bail};
use clap::Args;
use nova_protocol::{InfoHash, Reference};
use nova_seeder::source::Source;
use serde_json::json;

use crate::{context::Context, failure::Exit, target};

/// Remove a tag, or a torrent and its content.
///
/// A reference removes the tag; the content stays on the origins. An info hash removes the torrent, and origins delete
/// the content. Agents keep what they have.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli rm models/demo:v1      the tag; says the info hash of what stays
  nova-cli rm 5f1d0d4c0e...       the torrent, once no tag points to it")]
pub struct Rm {
    /// NAME:TAG, or an info hash.
    #[arg(value_name = "REFERENCE|INFO_HASH")]
    what: String,
}

impl Rm {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        match target::read(context, &self.what)? {
            Source::Reference(reference) => remove_tag(context, &reference).await,
            Source::InfoHash(info_hash) => remove_torrent(context, info_hash).await,
            other => bail!("{other} cannot be removed, expected NAME:TAG or an info hash"),
        }
    }
}

async fn remove_tag(context: &Context, reference: &Reference) -> Result<Exit> {
    let tracker = context.tracker()?;
    let tag = context.ask(tracker.tag(reference)).await?;
    context.ask(tracker.delete_tag(reference)).await?;
    let info_hash = tag.info_hash;
    context.report(
        &json!({ "removed": reference, "info_hash": info_hash }),
        format!("removed {reference}; its content stays on the origins until `nova-cli rm {info_hash}`"),
    )?;
    Ok(Exit::Done)
}

async fn remove_torrent(context: &Context, info_hash: InfoHash) -> Result<Exit> {
    context.ask(context.tracker()?.delete_torrent(info_hash)).await?;
    context.report(
        &json!({ "removed": info_hash, "info_hash": info_hash }),
        format!("removed {info_hash}; origins delete its content"),
    )?;
    Ok(Exit::Done)
}
