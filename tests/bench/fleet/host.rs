//! What runs on a host: a seeder or a leecher of some kind.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use nova_protocol::InfoHash;
use nova_seeder::agent_client::AgentClient;
use nova_tests::{Process, eventually, program};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::network::Host;

const LIBTORRENT: &str = include_str!("libtorrent.py");
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Whose client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Nova,
    Aria2,
    Transmission,
    Libtorrent,
}

/// A client on its host.
pub struct Client {
    pub host: Host,
    kind: Kind,
    home: PathBuf,
    /// Not there before a stock leecher starts.
    process: Option<Process>,
}

/// What a client is started for.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    pub torrent: &'a Path,
    pub info_hash: InfoHash,
    pub tracker: SocketAddr,
    /// Without uTP.
    pub tcp: bool,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nova => "nova",
            Self::Aria2 => "aria2",
            Self::Transmission => "transmission",
            Self::Libtorrent => "libtorrent",
        }
    }
}

impl Client {
    /// A client that keeps its files below `home`. Nova's agent runs from now on, as it does on every host.
    pub fn new(kind: Kind, host: Host, home: PathBuf, job: Job<'_>) -> Result<Self> {
        fs::create_dir_all(home.join("content"))?;
        let mut client = Self { host, kind, home, process: None };
        if kind == Kind::Nova {
            let mut command = part("agent", &client.home, job.tracker);
            command.arg(format!("--peers-listen={}:16001", client.host.ip));
            client.spawn(&mut command)?;
            client.host.on(|| {
                let (runtime, agent) = agent()?;
                eventually("the agent is ready", READY_WITHIN, || runtime.block_on(agent.ready()));
                Ok(())
            })?;
        }
        Ok(client)
    }

    /// An origin of nova.
    pub fn origin(id: &str, host: Host, home: PathBuf, tracker: SocketAddr) -> Result<Self> {
        fs::create_dir_all(&home)?;
        let mut command = part("origin", &home, tracker);
        command.arg(format!("--id={id}"));
        for (listener, port) in [("peers", 16011), ("fetch", 16012), ("http", 16013)] {
            command.arg(format!("--{listener}-listen={}:{port}", host.ip));
        }
        let mut origin = Self { host, kind: Kind::Nova, home, process: None };
        origin.spawn(&mut command)?;
        Ok(origin)
    }

    /// Starts to fetch, or to seed what is in `content` already.
    pub fn join(&mut self, job: Job<'_>, seeds: bool) -> Result<()> {
        if self.kind == Kind::Nova {
            return self.host.on(|| {
                let (runtime, agent) = agent()?;
                runtime.block_on(agent.start(&job.info_hash.to_string(), &[]))?;
                Ok(())
            });
        }
        let mut command = match self.kind {
            Kind::Nova => unreachable!("done above"),
            Kind::Aria2 => self.aria2(job.torrent)?,
            Kind::Transmission => self.transmission(job)?,
            Kind::Libtorrent => self.libtorrent(job, seeds),
        };
        self.spawn(command.env("HOME", &self.home).current_dir(&self.home))
    }

    /// Whether everything is there, by what the client itself tells: asking it would cost it processor time.
    pub fn is_done(&self, info_hash: InfoHash) -> Result<bool> {
        Ok(match self.kind {
            Kind::Nova => {
                fs::read_to_string(self.home.join("log"))?.contains(&format!("complete info_hash={info_hash}"))
            }
            _ => self.home.join("done").exists(),
        })
    }

    /// Where what it fetched is.
    pub fn content(&self, info_hash: InfoHash) -> Result<PathBuf> {
        if self.kind != Kind::Nova {
            return Ok(self.home.join("content/content"));
        }
        self.host.on(|| {
            let (runtime, agent) = agent()?;
            Ok(runtime.block_on(agent.pull(info_hash))?.path)
        })
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn is_alive(&self) -> bool {
        self.process.is_some()
    }

    /// Seconds of processor time, or none when it is gone.
    pub fn cpu(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.as_ref()?.id())).ok()?;
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    fn spawn(&mut self, command: &mut Command) -> Result<()> {
        let log = self.home.join("log");
        let (name, host) = (self.kind.name(), self.host.clone());
        self.process = Some(host.on(|| Ok(Process::start(name, command, &log)))?);
        Ok(())
    }

    fn aria2(&self, torrent: &Path) -> Result<Command> {
        let mut command = Command::new("aria2c");
        command.args(["--no-conf", "--enable-dht=false", "--enable-dht6=false", "--seed-ratio=0"]);
        command.args(["--check-integrity", "--file-allocation=none", "--show-console-readout=false"]);
        command.arg(format!("--on-bt-download-complete={}", self.hook()?.display()));
        command.args(["--dir=content", "--listen-port=6881"]).arg(torrent);
        Ok(command)
    }

    fn transmission(&self, job: Job<'_>) -> Result<Command> {
        let watched = self.home.join("watched");
        fs::create_dir_all(&watched)?;
        fs::copy(job.torrent, watched.join("content.torrent"))?;
        let settings = json!({
            "dht-enabled": false, "port-forwarding-enabled": false, "peer-port": 6881, "utp-enabled": !job.tcp,
            "rpc-enabled": false, "download-dir": self.home.join("content"),
            "watch-dir": watched, "watch-dir-enabled": true,
            "script-torrent-done-enabled": true, "script-torrent-done-filename": self.hook()?,
        });
        fs::write(self.home.join("settings.json"), settings.to_string())?;
        let mut command = Command::new("transmission-daemon");
        command.args(["--foreground", "--config-dir"]).arg(&self.home);
        Ok(command)
    }

    fn libtorrent(&self, job: Job<'_>, seeds: bool) -> Command {
        // Debian's own interpreter: it is the one that has Debian's module.
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", LIBTORRENT, if seeds { "seed" } else { "join" }]).arg(job.torrent).arg("content");
        command.arg(format!("{}:6881", self.host.ip)).arg(if job.tcp { "tcp" } else { "any" });
        command
    }

    /// A program that notes that everything is there.
    fn hook(&self) -> Result<PathBuf> {
        let path = self.home.join("hook");
        fs::write(&path, format!("#!/bin/sh\ntouch {}\n", self.home.join("done").display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }
}

fn part(role: &str, home: &Path, tracker: SocketAddr) -> Command {
    let mut command = Command::new(program("nova-seeder"));
    command.args([role, &format!("--tracker=http://{tracker}")]);
    command.arg(format!("--data-dir={}", home.join("data").display()));
    command
}

/// The agent of the host that this thread is on.
fn agent() -> Result<(Runtime, AgentClient)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok((runtime, AgentClient::new("127.0.0.1:16002").context("the agent's address")?))
}
