use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nova_protocol::{Reference, Tag, api::TorrentStatus};
use nova_seeder::push::{self, Progress, Pushed, Request};
use serde::Serialize;

use crate::{
    command::create::Making,
    context::Context,
    failure::Exit,
    progress::{self, Step},
    target, units,
};

/// Push a file or a directory, and move a tag to it.
///
/// Origins fetch the content from here. The tag moves when enough of them hold all of it. A push that was cut goes on
/// from what origins have got: run it again. Content that is there already costs hashing and three small requests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli push ./model models/demo:v1            push a directory
  nova-cli push disk.img                          as disk.img:latest
  nova-cli push --file=disk.img --tag=2026-07-01  as disk.img:2026-07-01
  nova-cli push ./model models/demo --expect 3    only if the tag is at version 3 now
  nova-cli push /srv/app app --preserve mode,ownership")]
pub struct Push {
    /// The file or directory.
    #[arg(value_name = "PATH", required_unless_present = "file")]
    path: Option<PathBuf>,
    /// NAME:TAG [default: the name of the path, and latest].
    #[arg(value_name = "REFERENCE")]
    reference: Option<String>,
    /// The file or directory, as a flag.
    #[arg(long, value_name = "PATH", conflicts_with = "path")]
    file: Option<PathBuf>,
    /// The tag, when REFERENCE has none.
    #[arg(long, value_name = "TAG")]
    tag: Option<Tag>,
    #[command(flatten)]
    making: Making,
    /// Move the tag only if it is at this version now; 0 if it shall not exist.
    #[arg(long, value_name = "VERSION")]
    expect: Option<u64>,
    /// What the history says of who pushed [default: USER at HOST].
    #[arg(long = "as", value_name = "PUSHER")]
    pusher: Option<String>,
    /// Where to listen for origins and peers [default: 0.0.0.0:0, a free port].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Send at most so much in a second, such as 50MiB; at least 64KiB.
    #[arg(long, value_name = "SIZE", value_parser = rate_limit)]
    upload_limit: Option<NonZeroU32>,
}

/// A push that is done, as programs read it.
#[derive(Debug, Serialize)]
struct Outcome {
    reference: String,
    version: u64,
    info_hash: String,
    name: String,
    length: u64,
    files: u64,
    origins: usize,
    sent: u64,
    was_there: bool,
    seconds: f64,
}

impl Push {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let started = Instant::now();
        let request = self.request(context)?;
        let tracker = context.tracker()?;
        let progress = context.progress.clone();
        let observe = move |event| show(&progress, event);
        let pushed = push::push(&tracker, request, observe, context.stop()).await?;
        let outcome = Outcome::new(&pushed, started.elapsed());
        context.report(&outcome, outcome.text(started.elapsed()))?;
        Ok(Exit::Done)
    }

    fn request(self, context: &Context) -> Result<Request> {
        let given = self.path.or(self.file).context("no path: expected push PATH [NAME:TAG]")?;
        // A directory as `.` has the name of where it leads.
        let path = context.env.path(&given);
        let name = self.making.name.as_deref();
        let reference = reference(self.reference.as_deref(), self.tag, || target::name_of(name, &path))?;
        Ok(Request {
            reference,
            create: self.making.options(),
            expected_version: self.expect,
            pusher: context.pusher(self.pusher.as_deref()),
            listen: self.listen.unwrap_or(context.config.listen),
            upload_limit: self.upload_limit,
            path,
        })
    }
}

fn rate_limit(text: &str) -> Result<NonZeroU32> {
    let limit = u32::try_from(units::read_bytes(text)?).ok().and_then(NonZeroU32::new);
    limit.filter(|limit| limit.get() >= 64 << 10).context("expected 64KiB to 4095MiB in a second")
}

/// Where the tag shall be, unless it follows from the path alone.
fn reference(text: Option<&str>, tag: Option<Tag>, name: impl FnOnce() -> Result<String>) -> Result<Option<Reference>> {
    match (text, tag) {
        (Some(text), Some(_)) if text.contains(':') => bail!("{text} has a tag already; leave --tag out"),
        (Some(text), Some(tag)) => Ok(Some(Reference { name: text.parse()?, tag })),
        (Some(text), None) => Ok(Some(text.parse()?)),
        (None, Some(tag)) => {
            let name = name()?;
            let name =
                name.parse().context("the name of the path makes no reference; give one, as in PATH NAME:TAG")?;
            Ok(Some(Reference { name, tag }))
        }
        (None, None) => Ok(None),
    }
}

/// Shows how far a push is.
pub fn show(progress: &Arc<progress::Progress>, event: Progress) {
    match event {
        Progress::Hashing { done, total } => progress.show("hashing", Step { done, total, detail: String::new() }),
        Progress::Registered(_) => {}
        Progress::Uploading { status, .. } => progress.show("uploading", uploading(&status)),
    }
}

/// The replicas that are needed and furthest count; each origin is in the detail.
fn uploading(status: &TorrentStatus) -> Step {
    let mut have: Vec<u64> =
        status.replicas.iter().filter(|replica| replica.live).map(|replica| replica.have).collect();
    have.sort_unstable_by_key(|&have| std::cmp::Reverse(have));
    let origins = status.replicas.iter().filter(|replica| replica.live);
    let each = origins.map(|replica| {
        let id: String = replica.origin.chars().take(12).collect();
        format!("{id} {}", units::percent(replica.have, status.length))
    });
    let each = each.collect::<Vec<_>>();
    Step {
        done: have.iter().take(status.min_replicas as usize).sum(),
        total: status.length * u64::from(status.min_replicas),
        detail: if each.is_empty() { "waiting for an origin".to_owned() } else { each.join(", ") },
    }
}

impl Outcome {
    fn new(Pushed { tag, sent, replicas }: &Pushed, took: Duration) -> Self {
        Self {
            reference: tag.reference.to_string(),
            version: tag.version,
            info_hash: tag.info_hash.to_string(),
            name: tag.torrent_name.clone(),
            length: tag.length,
            files: tag.files,
            origins: *replicas,
            sent: *sent,
            was_there: *sent == 0,
            seconds: took.as_secs_f64(),
        }
    }

    fn text(&self, took: Duration) -> String {
        let Self { reference, version, info_hash, .. } = self;
        let (length, took) = (units::bytes(self.length), units::duration(took));
        let origins = units::count(self.origins as u64, "origin");
        let held = if self.was_there { format!("{origins}, there already") } else { origins };
        format!("{reference} version {version} → {info_hash}, {length} in {took} ({held})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: Option<&str>, tag: Option<&str>) -> Result<Option<String>> {
        let tag = tag.map(|tag| tag.parse().unwrap());
        Ok(reference(text, tag, || Ok("disk.img".to_owned()))?.map(|reference| reference.to_string()))
    }

    #[test]
    fn a_tag_alone_takes_the_name_of_the_file() {
        assert_eq!(read(None, Some("latest")).unwrap().as_deref(), Some("disk.img:latest"));
        assert_eq!(read(Some("a/b"), Some("v1")).unwrap().as_deref(), Some("a/b:v1"));
        assert_eq!(read(Some("a/b"), None).unwrap().as_deref(), Some("a/b:latest"));
        assert_eq!(read(None, None).unwrap(), None);
    }

    #[test]
    fn two_tags_are_one_too_many() {
        assert!(read(Some("a:v1"), Some("v2")).is_err());
    }
}
