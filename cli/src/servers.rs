//! Tracker, origins and agents inside this process, for `up` and `demo`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use nova_seeder::{
    agent, agent_client::AgentClient, listen::Listen, origin, service::ServiceError, tracker::TrackerClient,
};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Servers that end together.
#[derive(Debug, Default)]
pub struct Servers {
    stop_tracker: CancellationToken,
    stop_seeders: CancellationToken,
    tasks: JoinSet<Result<()>>,
}

/// Where a tracker in this process listens.
#[derive(Debug, Clone, Copy)]
pub struct TrackerAt {
    /// For announces.
    pub announce: SocketAddr,
    /// For everything else.
    pub http: SocketAddr,
}

impl TrackerAt {
    /// Its HTTP face as this host reaches it.
    pub fn url(&self) -> String {
        format!("http://{}", reachable(self.http))
    }
}

impl Servers {
    /// Starts a tracker; it is ready when this returns.
    pub async fn tracker(&mut self, config: nova_tracker::Config) -> Result<TrackerAt> {
        let listeners = nova_tracker::Listeners::bind(&config)?;
        let at = TrackerAt { announce: listeners.announce.local_addr()?, http: listeners.http.local_addr()? };
        let (stop, settings) = (self.stop_tracker.clone(), watch::channel(config).1);
        self.tasks.spawn(async move { nova_tracker::serve(settings, listeners, stop).await.context("the tracker") });
        let client = TrackerClient::new(&at.url())?;
        self.until("the tracker is ready", async || client.ready().await.is_ok()).await?;
        Ok(at)
    }

    /// Starts an origin; the tracker counts it as live when this returns.
    pub async fn origin(&mut self, config: origin::Config) -> Result<()> {
        let client = TrackerClient::new(&config.tracker)?;
        let listeners = origin::Listeners::bind(&config).await?;
        let addr = listeners.peers.local_addr()?;
        let stop = self.stop_seeders.clone();
        self.tasks.spawn(async move { origin::serve(config, listeners, stop).await.context("the origin") });
        let is_live = async || is_live(&client, addr.port()).await.unwrap_or(false);
        self.until("the origin is live", is_live).await
    }

    /// Starts an agent; it is ready when this returns.
    pub async fn agent(&mut self, config: agent::Config) -> Result<AgentClient> {
        let listeners = agent::Listeners::bind(&config).await?;
        let client = AgentClient::new(&address(&listeners.http.at()?))?;
        let stop = self.stop_seeders.clone();
        self.tasks.spawn(async move { agent::serve(config, listeners, stop).await.context("the agent") });
        self.until("the agent is ready", async || client.ready().await.is_ok()).await?;
        Ok(client)
    }

    /// Waits until a server ends, which none should do on its own.
    pub async fn failure(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(panic)) => anyhow!(panic).context("a server broke"),
            Some(Ok(Ok(()))) | None => anyhow!("a server ended on its own"),
        }
    }

    /// Ends all of them: the tracker last, so that the others can say goodbye to it.
    pub async fn end(mut self) -> Result<()> {
        self.stop_seeders.cancel();
        while self.tasks.len() > 1 {
            self.ended().await?;
        }
        self.stop_tracker.cancel();
        self.ended().await
    }

    async fn ended(&mut self) -> Result<()> {
        match self.tasks.join_next().await {
            Some(ended) => ended.context("a server broke")?,
            None => Ok(()),
        }
    }

    async fn until(&mut self, what: &str, mut holds: impl AsyncFnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while !holds().await {
            if Instant::now() > deadline {
                bail!("gave up waiting until {what}");
            }
            tokio::select! {
                error = self.failure() => return Err(error),
                () = tokio::time::sleep(POLL) => {}
            }
        }
        Ok(())
    }
}

async fn is_live(tracker: &TrackerClient, port: u16) -> Result<bool, ServiceError> {
    let listed = tracker.origins().await?.origins;
    Ok(listed.iter().any(|origin| origin.live && origin.lease.peer_addr.port() == port))
}

fn address(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(addr) => reachable(*addr).to_string(),
        Listen::Unix(_) => listen.to_string(),
    }
}

/// The address by which this host reaches what listens at `addr`.
pub fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = if addr.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { addr.ip() };
    SocketAddr::new(ip, addr.port())
}
