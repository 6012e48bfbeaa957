use std::{fmt::Display, os::unix::fs::MetadataExt, sync::Arc};

use anyhow::{Context as _, Result};
use nova_seeder::{agent_client::AgentClient, tracker::TrackerClient};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{arguments::Options, config::Config, env::Env, escape, failure::Interrupted, log, progress::Progress};

/// What a command runs in: the process, the settings, and how it talks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// The process.
    pub env: Env,
    /// The settings.
    pub config: Config,
    /// How far the command is, as the user sees it.
    pub progress: Arc<Progress>,
    json: bool,
    quiet: bool,
}

impl Context {
    /// Reads the settings and starts the log.
    pub fn new(env: &Env, options: &Options) -> Result<Self> {
        let config = Config::load(env, options)?;
        let silent = options.quiet || options.json;
        let progress = Arc::new(Progress::new(env.stderr.clone(), silent));
        log::start(&progress, options, env.stderr.colored);
        Ok(Self { env: env.clone(), config, progress, json: options.json, quiet: options.quiet })
    }

    /// A client of the tracker.
    pub fn tracker(&self) -> Result<TrackerClient> {
        Ok(TrackerClient::new(&self.config.tracker)?)
    }

    /// A client of the agent at this address, or of that in the settings.
    pub fn agent(&self, url: Option<&str>) -> Result<AgentClient> {
        let token = self.config.agent_token().context("the token of the agent")?;
        Ok(AgentClient::new(url.unwrap_or(&self.config.agent))?.with_token(token))
    }

    /// Cancelled when the user wants no more.
    pub fn stop(&self) -> &CancellationToken {
        &self.env.stop
    }

    /// Waits for an answer, or until the user wants no more.
    pub async fn ask<T, E>(&self, answer: impl Future<Output = Result<T, E>>) -> Result<T>
    where
        E: Into<anyhow::Error>,
    {
        tokio::select! {
            answer = answer => answer.map_err(Into::into),
            () = self.stop().cancelled() => Err(Interrupted.into()),
        }
    }

    /// Prints a result on stdout: for programs as JSON, else as text.
    pub fn report(&self, result: &impl Serialize, text: impl Display) -> Result<()> {
        self.progress.end();
        let text = if self.json { serde_json::to_string(result)? } else { escape::lines(&text.to_string()) };
        let text = text.trim_end();
        if !text.is_empty() {
            self.env.stdout.write(format!("{text}\n").as_bytes())?;
        }
        Ok(())
    }

    /// Prints a part of a result that is told while it happens; programs get all of it at the end.
    pub fn tell(&self, text: &str) -> Result<()> {
        self.progress.end();
        if !self.json {
            self.env.stdout.write(format!("{}\n", escape::lines(text)).as_bytes())?;
        }
        Ok(())
    }

    /// Says something on stderr that is not the result.
    pub fn say(&self, line: &str) {
        if !self.quiet && !self.json {
            self.progress.say(&escape::lines(line));
        }
    }

    /// Whether the result is printed as JSON.
    pub const fn json(&self) -> bool {
        self.json
    }

    /// What histories say of who pushed.
    pub fn pusher(&self, given: Option<&str>) -> String {
        let configured = Some(self.config.pusher.as_str()).filter(|pusher| !pusher.is_empty());
        given.or(configured).map_or_else(|| user_at_host(&self.env), str::to_owned)
    }
}

fn user_at_host(env: &Env) -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| env.variable(name)).map(str::to_owned);
    let user = user.or_else(user_of_process).unwrap_or_else(|| "somebody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.as_deref().or_else(|| env.variable("HOSTNAME")).map_or("localhost", str::trim);
    format!("{user}@{host}")
}

/// What `/etc/passwd` calls the user of this process: services have no `USER`.
fn user_of_process() -> Option<String> {
    let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let user = users.lines().find(|line| line.split(':').nth(2) == Some(&uid))?;
    Some(user.split(':').next()?.to_owned())
}
