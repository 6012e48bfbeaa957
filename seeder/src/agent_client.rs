//! The client of an agent's HTTP face.

use std::path::PathBuf;

use nova_protocol::{
    InfoHash, Metainfo,
    api::{Cache, Limits, Pull, PullLimits, Pulls, SetLimits, SetPullLimits, StartPull},
};
use reqwest::{Method, Url, header::CONTENT_TYPE};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    fetch::METADATA_WITHIN,
    service::{ANSWER_WITHIN, Service, ServiceError},
    token::Token,
};

/// The content type of a `.torrent`.
pub(crate) const TORRENT: &str = "application/x-bittorrent";

/// Asks the agent of a host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AgentClient {
    service: Service,
}

type Result<T> = std::result::Result<T, ServiceError>;

impl AgentClient {
    /// A client of the agent at `url`; `HOST:PORT` stands for `http://HOST:PORT`, and `unix:/PATH` is a socket.
    ///
    /// # Errors
    /// [`ServiceError::Url`] and [`ServiceError::Client`].
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self { service: Service::new("agent", "--agent, --agent-server-port", url)? })
    }

    /// The same, which says the agent's token.
    #[must_use]
    pub fn with_token(self, token: Option<Token>) -> Self {
        Self { service: self.service.with_token(token) }
    }

    /// Where the agent is.
    pub fn url(&self) -> &Url {
        self.service.url()
    }

    /// Whether the agent is there and ready.
    pub async fn ready(&self) -> Result<()> {
        self.service.send(self.service.request(Method::GET, &["readiness"])).await.map(drop)
    }

    /// Starts to pull a reference, an info hash or a magnet link, or joins the pull that there is. What is at the paths
    /// of `reuse` is not fetched.
    pub async fn start(&self, source: &str, reuse: &[PathBuf]) -> Result<Pull> {
        let body = StartPull { source: source.to_owned() };
        let request = self.service.request(Method::POST, &["v1", "pulls"]).query(&named(reuse)).json(&body);
        self.service.json(request.timeout(METADATA_WITHIN + ANSWER_WITHIN)).await
    }

    /// Starts to pull what a `.torrent` describes.
    pub async fn start_metainfo(&self, metainfo: &Metainfo, reuse: &[PathBuf]) -> Result<Pull> {
        let request = self.service.request(Method::POST, &["v1", "pulls"]).header(CONTENT_TYPE, TORRENT);
        self.service.json(request.query(&named(reuse)).body(metainfo.as_bytes().to_vec())).await
    }

    /// Everything that the agent has or is fetching.
    pub async fn pulls(&self) -> Result<Pulls> {
        self.service.json(self.service.request(Method::GET, &["v1", "pulls"])).await
    }

    /// What the agent takes of the disk.
    pub async fn cache(&self) -> Result<Cache> {
        self.service.json(self.service.request(Method::GET, &["v1", "cache"])).await
    }

    /// How a pull is doing.
    pub async fn pull(&self, info_hash: InfoHash) -> Result<Pull> {
        self.service.json(self.service.request(Method::GET, &["v1", "pulls", &info_hash.to_string()])).await
    }

    /// The metainfo of a pull.
    pub async fn metainfo(&self, info_hash: InfoHash) -> Result<Metainfo> {
        let request = self.service.request(Method::GET, &["v1", "pulls", &format!("{info_hash}.torrent")]);
        self.service.metainfo(request, info_hash).await
    }

    /// The limits of the agent's host.
    pub async fn limits(&self) -> Result<Limits> {
        self.service.json(self.service.request(Method::GET, &["v1", "limits"])).await
    }

    /// Sets limits of the host by hand; with `None` its schedule and settings hold again.
    pub async fn set_limits(&self, set: Option<&SetLimits>) -> Result<Limits> {
        self.set(&["v1", "limits"], set).await
    }

    /// The limits of a pull.
    pub async fn pull_limits(&self, info_hash: InfoHash) -> Result<PullLimits> {
        let path = ["v1", "pulls", &info_hash.to_string(), "limits"];
        self.service.json(self.service.request(Method::GET, &path)).await
    }

    /// Sets limits of a pull by hand; with `None` the agent's settings hold again.
    pub async fn set_pull_limits(&self, info_hash: InfoHash, set: Option<&SetPullLimits>) -> Result<PullLimits> {
        self.set(&["v1", "pulls", &info_hash.to_string(), "limits"], set).await
    }

    async fn set<T: DeserializeOwned>(&self, path: &[&str], set: Option<&impl Serialize>) -> Result<T> {
        let request = match set {
            Some(set) => self.service.request(Method::PUT, path).json(set),
            None => self.service.request(Method::DELETE, path),
        };
        self.service.json(request).await
    }

    /// Stops a pull, and removes what it fetched.
    pub async fn remove(&self, info_hash: InfoHash) -> Result<()> {
        self.service
            .send(self.service.request(Method::DELETE, &["v1", "pulls", &info_hash.to_string()]))
            .await
            .map(drop)
    }
}

/// The paths as a query says them.
fn named(reuse: &[PathBuf]) -> Vec<(&'static str, &PathBuf)> {
    reuse.iter().map(|path| ("reuse", path)).collect()
}
