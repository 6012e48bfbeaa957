mod play;
mod story;
mod tree;

use std::{net::SocketAddr, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use nova_seeder::{agent, agent_client::AgentClient, origin, tracker::TrackerClient};
use tempfile::TempDir;
use tokio::net::TcpListener;

use self::play::Play;
use crate::{context::Context, failure::Exit, servers::Servers, units};

const AGENTS: usize = 3;
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// The name of the tree that is made up.
const TREE: &str = "demo";

/// See it work: push, pull through three agents at once, verify, all on this machine.
///
/// Tracker, origin and agents run in this process on free ports of 127.0.0.1, in a temporary directory ($TMPDIR), which
/// needs eight times the size. Everything is removed afterwards.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli demo                     256 MiB that are made up
  nova-cli demo --size 1GiB
  nova-cli demo ./model             a directory of yours; it is only read")]
pub struct Demo {
    /// What to push [default: a tree that is made up].
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Bytes of the tree that is made up, such as 256MiB.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size, conflicts_with = "path")]
    size: u64,
}

fn size(text: &str) -> Result<u64> {
    let size = units::read_bytes(text)?;
    anyhow::ensure!(size >= 1 << 20, "{text}: expected at least 1MiB");
    Ok(size)
}

impl Demo {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let started = Instant::now();
        let home = tempfile::Builder::new().prefix("nova-demo-").tempdir().context("no temporary directory")?;
        let mut servers = Servers::default();
        let played = self.play(context, &home, &mut servers).await;
        let ended = servers.end().await;
        let path = home.path().to_path_buf();
        let removed = home.close().with_context(|| format!("cannot remove {}", path.display()));
        let mut story = played?;
        ended?;
        removed?;
        story.seconds = started.elapsed().as_secs_f64();
        let all = units::duration(started.elapsed());
        context.report(&story, format!("\nEverything is removed again. {all} in all."))?;
        Ok(Exit::Done)
    }

    async fn play(&self, context: &Context, home: &TempDir, servers: &mut Servers) -> Result<story::Story> {
        let (tracker, agents) = start(home, servers).await?;
        context.tell(&format!(
            "A tracker, an origin and {AGENTS} agents run in this process, with their files in\n{}.\n",
            home.path().display()
        ))?;
        let path = match &self.path {
            Some(path) => {
                context.tell(&format!("1. Took {}, which is only read.", path.display()))?;
                context.env.path(path)
            }
            None => self.make_tree(context, home).await?,
        };
        let play = Play { context, home: home.path(), path, tracker, agents };
        tokio::select! {
            story = Box::pin(play.run()) => story,
            error = servers.failure() => Err(error),
        }
    }

    async fn make_tree(&self, context: &Context, home: &TempDir) -> Result<PathBuf> {
        let started = Instant::now();
        let (root, size) = (home.path().join("made").join(TREE), self.size);
        context.say(&format!("making up {}", units::bytes(size)));
        let made = root.clone();
        tokio::task::spawn_blocking(move || tree::make(&made, size))
            .await?
            .with_context(|| format!("cannot make a tree in {}", home.path().display()))?;
        context.tell(&format!(
            "1. Made up a tree of {} in {}: 38 files, among them an executable,\n   a symlink, an empty one and one with a name in other scripts.",
            units::bytes(size),
            units::duration(started.elapsed())
        ))?;
        Ok(root)
    }
}

async fn start(home: &TempDir, servers: &mut Servers) -> Result<(TrackerClient, Vec<AgentClient>)> {
    let at = servers
        .tracker(nova_tracker::Config {
            announce_listen: LOOPBACK,
            http_listen: LOOPBACK,
            data_dir: home.path().join("tracker"),
            ..nova_tracker::Config::default()
        })
        .await?;
    servers
        .origin(origin::Config {
            tracker: at.url(),
            data_dir: home.path().join("origin"),
            peers_listen: LOOPBACK,
            fetch_listen: free_port().await?,
            http_listen: LOOPBACK,
            free_space_floor: 0,
            ..origin::Config::default()
        })
        .await?;
    let mut agents = Vec::new();
    for number in 1..=AGENTS {
        let config = agent::Config {
            tracker: at.url(),
            data_dir: home.path().join(format!("agent-{number}")),
            peers_listen: free_port().await?,
            http_listen: LOOPBACK.into(),
            ..agent::Config::default()
        };
        agents.push(servers.agent(config).await?);
    }
    Ok((TrackerClient::new(&at.url())?, agents))
}

/// A session that fetches cannot choose a port on a loopback address itself.
async fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind(LOOPBACK).await?.local_addr()?)
}
