//! The client of an agent's HTTP face.

use nova_protocol::{
    InfoHash, Metainfo,
    api::{Pull, Pulls, StartPull},
};
use reqwest::{Method, Url, header::CONTENT_TYPE};

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
    /// [`ServiceError::Url`].
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

    /// Starts to pull a reference, an info hash or a magnet link, or joins the pull that there is.
    pub async fn start(&self, source: &str) -> Result<Pull> {
        let body = StartPull { source: source.to_owned() };
        let request = self.service.request(Method::POST, &["v1", "pulls"]).json(&body);
        self.service.json(request.timeout(METADATA_WITHIN + ANSWER_WITHIN)).await
    }

    /// Starts to pull what a `.torrent` describes.
    pub async fn start_metainfo(&self, metainfo: &Metainfo) -> Result<Pull> {
        let request = self.service.request(Method::POST, &["v1", "pulls"]).header(CONTENT_TYPE, TORRENT);
        self.service.json(request.body(metainfo.as_bytes().to_vec())).await
    }

    /// Everything that the agent has or is fetching.
    pub async fn pulls(&self) -> Result<Pulls> {
        self.service.json(self.service.request(Method::GET, &["v1", "pulls"])).await
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

    /// Stops a pull, and removes what it fetched.
    pub async fn remove(&self, info_hash: InfoHash) -> Result<()> {
        self.service
            .send(self.service.request(Method::DELETE, &["v1", "pulls", &info_hash.to_string()]))
            .await
            .map(drop)
    }
}
