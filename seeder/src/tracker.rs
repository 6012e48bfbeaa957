//! The client of the tracker's HTTP face.

use std::time::Duration;

use nova_protocol::{
    AgentId, InfoHash, Metainfo, Reference,
    api::{
        AgentLease, AgentLeaseGranted, AgentPage, AgentStatus, Assignments, History, LeaseGranted, MoveTag,
        OriginLease, Origins, ReplicaReport, Rollback, Rollout, TagPage, TagVersion, TorrentStatus,
    },
};
use reqwest::{
    Method, Url,
    header::{CONNECTION, HeaderValue},
};

use crate::service::{ANSWER_WITHIN, Service, ServiceError};

const LONG_POLL: Duration = Duration::from_secs(20);

/// How long one connection brings events.
const EVENTS_FOR: Duration = Duration::from_hours(1);

/// Server-sent events of a tracker.
pub(crate) struct Events(reqwest::Response);

/// Asks one tracker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TrackerClient {
    service: Service,
}

type Result<T> = std::result::Result<T, ServiceError>;

impl TrackerClient {
    /// A client of the tracker at `url`; `HOST:PORT` stands for `http://HOST:PORT`.
    ///
    /// # Errors
    /// [`ServiceError::Url`] and [`ServiceError::Client`].
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self { service: Service::new("tracker", "--tracker, NOVA_CLI_TRACKER", url)? })
    }

    /// Where the tracker is.
    pub fn url(&self) -> &Url {
        self.service.url()
    }

    /// Whether the tracker is there and ready.
    pub async fn ready(&self) -> Result<()> {
        self.service.send(self.service.request(Method::GET, &["readiness"])).await.map(drop)
    }

    /// `GET /v1/tags/{reference}`.
    pub async fn tag(&self, reference: &Reference) -> Result<TagVersion> {
        self.service.json(self.service.request(Method::GET, &["v1", "tags", &reference.to_string()])).await
    }

    /// `GET /v1/tags`.
    pub async fn tags(&self, prefix: &str, after: Option<&Reference>, limit: u32) -> Result<TagPage> {
        let mut request = self.service.request(Method::GET, &["v1", "tags"]);
        request = request.query(&[("prefix", prefix), ("limit", &limit.to_string())]);
        if let Some(after) = after {
            request = request.query(&[("after", after.to_string())]);
        }
        self.service.json(request).await
    }

    /// `PUT /v1/tags/{reference}`.
    pub async fn move_tag(&self, reference: &Reference, body: &MoveTag) -> Result<TagVersion> {
        self.service.json(self.service.request(Method::PUT, &["v1", "tags", &reference.to_string()]).json(body)).await
    }

    /// `DELETE /v1/tags/{reference}`.
    pub async fn delete_tag(&self, reference: &Reference) -> Result<()> {
        self.service.send(self.service.request(Method::DELETE, &["v1", "tags", &reference.to_string()])).await.map(drop)
    }

    /// `GET /v1/events`, as they come, for at most an hour.
    pub(crate) async fn events(&self) -> Result<Events> {
        let request = self.service.request(Method::GET, &["v1", "events"]).timeout(EVENTS_FOR);
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.service.send(request)).await;
        answer.map_err(|_| self.service.silent())?.map(Events)
    }

    /// `GET /v1/history/{reference}`.
    pub async fn history(&self, reference: &Reference) -> Result<History> {
        self.service.json(self.service.request(Method::GET, &["v1", "history", &reference.to_string()])).await
    }

    /// `POST /v1/rollback/{reference}`.
    pub async fn rollback(&self, reference: &Reference, body: &Rollback) -> Result<TagVersion> {
        self.service
            .json(self.service.request(Method::POST, &["v1", "rollback", &reference.to_string()]).json(body))
            .await
    }

    /// `PUT /v1/torrents/{info_hash}`.
    pub async fn put_torrent(&self, metainfo: &Metainfo) -> Result<TorrentStatus> {
        let request = self.service.request(Method::PUT, &["v1", "torrents", &metainfo.info_hash().to_string()]);
        self.service.json(request.body(metainfo.as_bytes().to_vec())).await
    }

    /// `GET /v1/torrents/{info_hash}`.
    pub async fn torrent(&self, info_hash: InfoHash) -> Result<TorrentStatus> {
        self.service.json(self.service.request(Method::GET, &["v1", "torrents", &info_hash.to_string()])).await
    }

    /// `GET /v1/torrents/{info_hash}.torrent`, with the announce URL in it.
    pub async fn metainfo(&self, info_hash: InfoHash) -> Result<Metainfo> {
        let request = self.service.request(Method::GET, &["v1", "torrents", &format!("{info_hash}.torrent")]);
        self.service.metainfo(request, info_hash).await
    }

    /// Where live origins give all of a torrent over HTTP, as `GET /v1/torrents/{info_hash}.torrent?web_seeds=true` says.
    pub async fn web_seeds(&self, info_hash: InfoHash) -> Result<Vec<String>> {
        let request = self.service.request(Method::GET, &["v1", "torrents", &format!("{info_hash}.torrent")]);
        Ok(self.service.metainfo(request.query(&[("web_seeds", true)]), info_hash).await?.web_seeds)
    }

    /// `DELETE /v1/torrents/{info_hash}`.
    pub async fn delete_torrent(&self, info_hash: InfoHash) -> Result<()> {
        self.service
            .send(self.service.request(Method::DELETE, &["v1", "torrents", &info_hash.to_string()]))
            .await
            .map(drop)
    }

    /// `GET /v1/rollout/{reference}`; with a limit of 0, the counts alone.
    pub async fn rollout(&self, reference: &Reference, after: Option<&AgentId>, limit: u32) -> Result<Rollout> {
        let request = self.service.request(Method::GET, &["v1", "rollout", &reference.to_string()]);
        let request = request.query(&[("limit", limit)]);
        self.service.json(request.query(&after.map(|after| ("after", after.to_string())).as_slice())).await
    }

    /// `GET /v1/agents`.
    pub async fn agents(&self, after: Option<&AgentId>, limit: u32) -> Result<AgentPage> {
        let request = self.service.request(Method::GET, &["v1", "agents"]).query(&[("limit", limit)]);
        self.service.json(request.query(&after.map(|after| ("after", after.to_string())).as_slice())).await
    }

    /// `GET /v1/agents/{id}`.
    pub async fn agent(&self, id: &AgentId) -> Result<AgentStatus> {
        self.service.json(self.service.request(Method::GET, &["v1", "agents", &id.to_string()])).await
    }

    /// `PUT /v1/agents/{id}`, over a connection of its own: those of a whole fleet would fill the tracker.
    pub async fn renew_agent(&self, id: &AgentId, lease: &AgentLease) -> Result<AgentLeaseGranted> {
        let request = self.service.request(Method::PUT, &["v1", "agents", &id.to_string()]);
        self.service.json(request.header(CONNECTION, HeaderValue::from_static("close")).json(lease)).await
    }

    /// `DELETE /v1/agents/{id}`.
    pub async fn end_agent(&self, id: &AgentId) -> Result<()> {
        self.service.send(self.service.request(Method::DELETE, &["v1", "agents", &id.to_string()])).await.map(drop)
    }

    /// `GET /v1/origins`.
    pub async fn origins(&self) -> Result<Origins> {
        self.service.json(self.service.request(Method::GET, &["v1", "origins"])).await
    }

    /// `PUT /v1/origins/{id}`.
    pub async fn renew_lease(&self, origin: &str, lease: &OriginLease) -> Result<LeaseGranted> {
        self.service.json(self.service.request(Method::PUT, &["v1", "origins", origin]).json(lease)).await
    }

    /// `GET /v1/origins/{id}/assignments`, which waits up to 20 seconds for news.
    pub async fn assignments(&self, origin: &str, after: u64) -> Result<Assignments> {
        let request = self.service.request(Method::GET, &["v1", "origins", origin, "assignments"]);
        let request = request.query(&[("after", after), ("wait", LONG_POLL.as_secs())]);
        self.service.json(request.timeout(LONG_POLL + ANSWER_WITHIN)).await
    }

    /// `PUT /v1/origins/{id}/replicas/{info_hash}`.
    pub async fn report_replica(&self, origin: &str, info_hash: InfoHash, report: &ReplicaReport) -> Result<()> {
        let path = ["v1", "origins", origin, "replicas", &info_hash.to_string()];
        self.service.send(self.service.request(Method::PUT, &path).json(report)).await.map(drop)
    }
}

impl Events {
    /// The next bytes; `None` at the end. May be dropped while it waits.
    pub(crate) async fn chunk(&mut self) -> reqwest::Result<Option<bytes::Bytes>> {
        self.0.chunk().await
    }
}
