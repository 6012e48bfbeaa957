mod observer;
mod outcome;
mod watch;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nova_seeder::{
    agent_client::AgentClient,
    create::Preserve,
    deliver::{Delivery, Replace},
    place::{Place, Through, info_hash_of},
    pull::{Pulled, Request},
    restore::is_privileged,
    source::Source,
};
use tokio_util::sync::CancellationToken;

use self::{observer::Observer, outcome::Outcome};
use crate::{
    context::Context,
    failure::{Exit, Interrupted},
    target,
};

/// How long the agent of this host may take to answer before the pull does without.
const PROBE: Duration = Duration::from_millis(500);

/// Pull a tag, or anything else that names a torrent, into a directory.
///
/// With an agent on this host the agent fetches, once for everybody here, and goes on seeding. Without one, the pull is
/// a peer itself until it is done. Content appears whole or not at all; content that is there already is left alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli pull models/demo:v1                        into this directory, as the name it was pushed with
  nova-cli pull models/demo --download-dir /srv       models/demo:latest
  nova-cli pull demo.torrent --no-agent               a .torrent, a magnet link, an info hash, a URL
  nova-cli pull --agent-server-port=16002 --tag=models/demo:v1 --download-dir=/srv
  nova-cli pull models/demo --link /srv/demo          /srv/demo leads to it, and is swapped in one step
  nova-cli pull models/demo --link /srv/demo --watch --exec 'systemctl reload demo'

--link LINK keeps versions in .NAME.versions beside LINK, this one and the one before. What is changed in there goes
with its version.
--watch waits for a tag that is not there, and for a tracker or agent that is away. A version replaces another version
of the tag; a tree that somebody has changed stays until --replace is given. A version with another name inside is put
beside the old one: --link has one name for all. With --json, each move is a line.
The command of --exec runs in sh, at the start and after each move, with NOVA_REFERENCE, NOVA_VERSION, NOVA_INFO_HASH
and NOVA_PATH in its environment. When it fails, that is said, and the watch goes on.
--delivery hardlink makes files read-only. Their owner and root can still write to them, and so into the agent's store:
its next delivery notices, and it fetches them again.")]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
pub struct Pull {
    /// NAME:TAG, an info hash, a magnet link, or the path or URL of a .torrent file.
    #[arg(value_name = "SOURCE", required_unless_present = "tag")]
    source: Option<String>,
    /// The source, as a flag.
    #[arg(long, value_name = "NAME:TAG", conflicts_with = "source")]
    tag: Option<String>,
    /// Where to put it, under the name that it was pushed with.
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    download_dir: PathBuf,
    /// Make LINK a symlink to it, beside the versions that it leads to.
    #[arg(long, value_name = "LINK", conflicts_with = "download_dir")]
    link: Option<PathBuf>,
    /// Replace what has its name there.
    #[arg(long)]
    replace: bool,
    /// A file or directory that has parts of it, such as another version; more than once for more of them. An agent
    /// reads it as its own user. What it has is reused by itself, and without an agent what is replaced.
    #[arg(long, value_name = "PATH")]
    reuse: Vec<PathBuf>,
    /// How it gets there from the agent, which keeps it.
    #[arg(long, value_name = "HOW", default_value = "auto")]
    delivery: Delivery,
    /// Pass over what was pushed with --preserve and is not to be so here.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    no_preserve: Vec<Preserve>,
    /// Do not wait for the disk, as `cp` does not: a power cut soon after may leave zeros where bytes should be.
    #[arg(long, conflicts_with = "watch")]
    no_sync: bool,
    /// Stay: pull again whenever the tag moves, until Ctrl-C.
    #[arg(long, conflicts_with = "timeout")]
    watch: bool,
    /// Run this in sh, with --watch, when a version is in its place.
    #[arg(long, value_name = "COMMAND", requires = "watch")]
    exec: Option<String>,
    /// Be a peer itself, even with an agent on this host.
    #[arg(long, conflicts_with_all = ["agent", "agent_server_port"])]
    no_agent: bool,
    /// The agent, which must be there; unix:/PATH is a socket [default: http://127.0.0.1:16002 if it answers].
    #[arg(long, value_name = "URL")]
    agent: Option<String>,
    /// The agent by its port on this host, which must be there.
    #[arg(long, value_name = "PORT", conflicts_with = "agent")]
    agent_server_port: Option<u16>,
    /// Where to listen for peers when there is no agent [default: 0.0.0.0:0, a free port].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
}

impl Pull {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let source = self.source.as_deref().or(self.tag.as_deref()).context("no source: expected pull NAME:TAG")?;
        let started = Instant::now();
        let agent = self.agent_in_time(context).await?;
        let through = match agent {
            Some(agent) => Through::Agent(agent),
            None if matches!(self.delivery, Delivery::Reflink | Delivery::HardLink) => {
                bail!("--delivery={} needs an agent, and there is none: without one nothing is copied", self.delivery())
            }
            None => Through::Alone(context.tracker()?),
        };
        if self.watch {
            self.watch(context, source, &through).await
        } else {
            self.once(context, source, &through, started).await
        }
    }

    async fn once(&self, context: &Context, source: &str, through: &Through, started: Instant) -> Result<Exit> {
        let request = Request {
            source: target::read(context, source)?,
            directory: context.env.path(&self.download_dir),
            replace: if self.replace { Replace::Anything } else { Replace::Nothing },
            delivery: self.delivery,
            is_durable: !self.no_sync,
            no_preserve: self.no_preserve.clone(),
            reuse: self.reuse(context),
            listen: self.listen.unwrap_or(context.config.listen),
            stall_after: stall_after(context),
            deadline: self.timeout.map(|seconds| started + Duration::from_secs(seconds)),
        };
        let observer = Arc::new(Observer::new(context, through));
        let pulled = self.within(context, &request, through, &observer).await?;
        let outcome = Outcome::new(source, &pulled, matches!(through, Through::Agent(_)), started.elapsed());
        context.report(&outcome, outcome.text(started.elapsed()))?;
        let has_owners = || pulled.metainfo.info.access.iter().any(|access| access.owner.is_some());
        let wants_owners = !pulled.was_there && !self.no_preserve.contains(&Preserve::Ownership);
        if wants_owners && !is_privileged() && has_owners() {
            context.say("it was pushed with its owners, and is yours: only root gives files to others");
        }
        Ok(Exit::Done)
    }

    fn place(&self, context: &Context) -> Place {
        match &self.link {
            Some(link) => Place::Link(context.env.path(link)),
            None => Place::Directory(context.env.path(&self.download_dir)),
        }
    }

    fn reuse(&self, context: &Context) -> Vec<PathBuf> {
        self.reuse.iter().map(|path| context.env.path(path)).collect()
    }

    fn delivery(&self) -> String {
        self.delivery.to_string().replace(' ', "")
    }

    async fn agent_in_time(&self, context: &Context) -> Result<Option<AgentClient>> {
        let Some(seconds) = self.timeout else { return self.agent(context).await };
        let found = tokio::time::timeout(Duration::from_secs(seconds), self.agent(context)).await;
        found.unwrap_or_else(|_| bail!("gave up after {seconds} s (--timeout): waited for the agent to answer"))
    }

    /// The agent through which to pull; one that the user asked for must be there.
    async fn agent(&self, context: &Context) -> Result<Option<AgentClient>> {
        let port = self.agent_server_port.map(|port| format!("http://127.0.0.1:{port}"));
        if let Some(url) = self.agent.as_ref().or(port.as_ref()) {
            let agent = context.agent(Some(url))?;
            context.ask(agent.ready()).await?;
            return Ok(Some(agent));
        }
        if self.no_agent {
            return Ok(None);
        }
        let agent = context.agent(None)?;
        let is_there = matches!(context.ask(soon(agent.ready())).await, Ok(Ok(())));
        let url = agent.url().as_str().trim_end_matches('/').to_owned();
        let found = if is_there { "pulling through the agent" } else { "this pull is a peer itself: no agent" };
        context.say(&format!("{found} at {url}"));
        Ok(is_there.then_some(agent))
    }

    /// Pulls until the time is over.
    async fn within(
        &self,
        context: &Context,
        request: &Request,
        through: &Through,
        observer: &Arc<Observer>,
    ) -> Result<Pulled> {
        let stop = context.stop().child_token();
        let mut pull = Box::pin(self.pull(context, request, through, observer, &stop));
        let (Some(seconds), Some(deadline)) = (self.timeout, request.deadline) else { return pull.await };
        tokio::select! {
            pulled = &mut pull => return pulled,
            () = tokio::time::sleep_until(deadline.into()) => stop.cancel(),
        }
        match pull.await {
            // It was done in the same instant.
            Ok(pulled) => Ok(pulled),
            Err(_) => bail!(
                "gave up after {seconds} s (--timeout): waited for {}; what has come is kept, and the next pull goes on from it",
                observer.waits_for()
            ),
        }
    }

    async fn pull(
        &self,
        context: &Context,
        request: &Request,
        through: &Through,
        observer: &Arc<Observer>,
        stop: &CancellationToken,
    ) -> Result<Pulled> {
        let observer = observer.clone();
        let observe = move |event| observer.see(event);
        if self.link.is_none() {
            return Ok(through.pull(request, observe, stop).await?);
        }
        // Where it goes depends on what it is. A tag that moves in this moment does not get in between.
        let tracker = context.tracker()?;
        let asked = stop.run_until_cancelled(info_hash_of(&request.source, &tracker)).await;
        let info_hash = asked.ok_or(Interrupted)??;
        let source = match &request.source {
            Source::Reference(_) => Source::InfoHash(info_hash),
            other => other.clone(),
        };
        let request = Request { source, ..request.clone() };
        Ok(through.pull_to(&self.place(context), info_hash, request, observe, stop).await?)
    }
}

fn stall_after(context: &Context) -> Duration {
    Duration::from_secs(context.config.stall_timeout.get().into())
}

async fn soon<F: Future>(answer: F) -> Result<F::Output> {
    Ok(tokio::time::timeout(PROBE, answer).await?)
}
