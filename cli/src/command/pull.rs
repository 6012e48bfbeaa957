mod outcome;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nova_protocol::api::{self, PullState};
use nova_seeder::{
    agent_client::AgentClient,
    pull::{self, Progress, Pulled, Request},
};
use tokio_util::sync::CancellationToken;

use self::outcome::Outcome;
use crate::{context::Context, failure::Exit, progress::Step, target, units};

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
  nova-cli pull --agent-server-port=16002 --tag=models/demo:v1 --download-dir=/srv")]
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
    /// Replace what has its name there.
    #[arg(long)]
    replace: bool,
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

/// What the pull is at, for the user and for the error of a timeout.
#[derive(Debug)]
struct Watch {
    progress: Arc<crate::progress::Progress>,
    first: Mutex<First>,
    waits_for: Mutex<String>,
}

/// What was there before, as far as the first that was heard of the pull tells.
#[derive(Debug, Clone, Copy, Default)]
enum First {
    /// Nothing was heard yet.
    #[default]
    Unheard,
    /// The disk was still being looked at.
    Checking,
    /// So many bytes were there.
    Had(u64),
}

impl Pull {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let started = Instant::now();
        let source = self.source.as_deref().or(self.tag.as_deref()).context("no source: expected pull NAME:TAG")?;
        let request = Request {
            source: target::read(context, source)?,
            directory: context.env.path(&self.download_dir),
            replace: self.replace,
            listen: self.listen.unwrap_or(context.config.listen),
        };
        let agent = self.agent(context).await?;
        let watch = Arc::new(Watch::new(context, agent.as_ref()));
        let pulled = within(self.timeout, context, &request, agent.as_ref(), &watch).await?;
        let outcome = Outcome::new(source, &pulled, agent.is_some(), watch.had(), started.elapsed());
        context.report(&outcome, outcome.text(started.elapsed()))?;
        Ok(Exit::Done)
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
}

async fn soon<F: Future>(answer: F) -> Result<F::Output> {
    Ok(tokio::time::timeout(PROBE, answer).await?)
}

/// Pulls until the time is over.
async fn within(
    seconds: Option<u64>,
    context: &Context,
    request: &Request,
    agent: Option<&AgentClient>,
    watch: &Arc<Watch>,
) -> Result<Pulled> {
    let stop = context.stop().child_token();
    let pull = pull(context, request, agent, watch, &stop);
    let Some(seconds) = seconds else { return pull.await };
    let mut pull = std::pin::pin!(pull);
    tokio::select! {
        pulled = &mut pull => return pulled,
        () = tokio::time::sleep(Duration::from_secs(seconds)) => stop.cancel(),
    }
    match pull.await {
        // It was done in the same instant.
        Ok(pulled) => Ok(pulled),
        Err(_) => bail!("gave up after {seconds} s (--timeout): waited for {}", watch.waits_for()),
    }
}

async fn pull(
    context: &Context,
    request: &Request,
    agent: Option<&AgentClient>,
    watch: &Arc<Watch>,
    stop: &CancellationToken,
) -> Result<Pulled> {
    let watch = watch.clone();
    let observe = move |event| watch.see(event);
    Ok(match agent {
        Some(agent) => pull::pull_through(agent, request, observe, stop).await?,
        None => pull::pull(&context.tracker()?, request, observe, stop).await?,
    })
}

impl Watch {
    fn new(context: &Context, agent: Option<&AgentClient>) -> Self {
        let first = match agent {
            Some(agent) => format!("the agent at {}", agent.url()),
            None => format!("the tracker at {}", context.config.tracker),
        };
        Self { progress: context.progress.clone(), first: Mutex::default(), waits_for: Mutex::new(first) }
    }

    fn see(&self, event: Progress) {
        match event {
            Progress::Fetching(pull) => self.fetching(&pull),
            Progress::Delivering { done, total } => {
                self.wait_for("the content to be written".to_owned());
                self.progress.show("writing", Step { done, total, detail: String::new() });
            }
        }
    }

    fn fetching(&self, pull: &api::Pull) {
        let peers = units::count(pull.peers.into(), "peer");
        if pull.state == PullState::Checking {
            self.first(First::Checking);
            self.wait_for(format!("{} to be checked on disk", pull.name));
            return;
        }
        self.first(First::Had(pull.have));
        let (have, length) = (units::bytes(pull.have), units::bytes(pull.length));
        self.wait_for(match pull.peers {
            0 => format!(
                "a peer that has {}, {have} of {length} are here; `nova-cli inspect` shows who has it",
                pull.name
            ),
            _ => format!("the rest of {}, {have} of {length} came from {peers}", pull.name),
        });
        self.progress.show("fetching", Step { done: pull.have, total: pull.length, detail: peers });
    }

    fn wait_for(&self, what: String) {
        *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    fn waits_for(&self) -> String {
        self.waits_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn first(&self, heard: First) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if let First::Unheard = *first {
            *first = heard;
        }
    }

    /// Bytes that were there when the pull began, unless the disk was still being looked at then.
    fn had(&self) -> Option<u64> {
        match *self.first.lock().unwrap_or_else(PoisonError::into_inner) {
            First::Had(bytes) => Some(bytes),
            First::Unheard | First::Checking => None,
        }
    }
}
