use std::{
    fmt::Write,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use nova_protocol::{
    Metainfo,
    announce::{AnnounceReply, AnnounceRequest, Event, ReplyError},
};
use nova_tracker::{Config, Listeners};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A tracker that serves in this process, on a directory that goes with it.
pub struct Running {
    pub announce: SocketAddr,
    pub http: SocketAddr,
    /// Change them while it serves.
    pub settings: watch::Sender<Config>,
    directory: TempDir,
    shutdown: DropGuard,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub fn start() -> Self {
        Self::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(TempDir::new().unwrap(), change)
    }

    pub fn on(directory: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let (any, data_dir) = (SocketAddr::from(([127, 0, 0, 1], 0)), directory.path().join("tracker"));
        let mut config = Config { announce_listen: any, http_listen: any, data_dir, ..Config::default() };
        change(&mut config);
        let listeners = Listeners::bind(&config).unwrap();
        let addrs = (listeners.announce.local_addr().unwrap(), listeners.http.local_addr().unwrap());
        let (settings, receiver) = watch::channel(config);
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let served = tokio::spawn(async move { nova_tracker::serve(receiver, listeners, stop).await });
        Self { announce: addrs.0, http: addrs.1, settings, directory, shutdown: shutdown.drop_guard(), served }
    }

    /// Shuts down, and gives the directory to the next.
    pub async fn stop(self) -> TempDir {
        drop(self.shutdown);
        self.served.await.unwrap().unwrap();
        self.directory
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    pub async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        self.send_as("application/octet-stream", method, path, body).await
    }

    pub async fn json(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        self.send_as("application/json", method, path, body).await
    }

    pub async fn send_as(
        &self,
        content_type: &str,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, Value) {
        let request = reqwest::Client::new().request(method, self.url(path)).header("content-type", content_type);
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap();
        (status, if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() })
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, "").await
    }

    pub async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.json(Method::PUT, path, body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::DELETE, path, "").await
    }

    pub async fn put_torrent(&self, torrent: &Metainfo) -> (StatusCode, Value) {
        self.send(Method::PUT, &at(torrent), torrent.as_bytes().to_vec()).await
    }

    /// Gives an origin a lease.
    pub async fn lease(&self, id: &str, port: u16) {
        let addr = format!("127.0.0.1:{port}");
        let lease = json!({"peer_addr": addr, "fetch_addr": addr, "http_addr": addr, "free_bytes": 1_000_000});
        assert_eq!(self.put(&format!("/v1/origins/{id}"), lease).await.0, 200);
    }

    pub async fn report(&self, id: &str, torrent: &Metainfo, state: &str) -> (StatusCode, Value) {
        let report = json!({"state": state, "have": torrent.info.length});
        self.put(&format!("/v1/origins/{id}/replicas/{}", torrent.info_hash()), report).await
    }

    /// Puts a torrent and has the one origin, `o`, report it complete.
    pub async fn replicated(&self, name: &str) -> Metainfo {
        let torrent = torrent(name);
        self.lease("o", 9).await;
        assert_eq!(self.put_torrent(&torrent).await.0, 200);
        assert_eq!(self.report("o", &torrent, "complete").await.0, 204);
        torrent
    }

    pub async fn move_tag(&self, reference: &str, torrent: &Metainfo) -> (StatusCode, Value) {
        self.put(&format!("/v1/tags/{reference}"), json!({"info_hash": torrent.info_hash(), "pusher": "me"})).await
    }

    /// The body that the announce listener answers to a query.
    pub async fn ask(&self, path: &str) -> Vec<u8> {
        let answer = reqwest::get(format!("http://{}{path}", self.announce)).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap().to_vec()
    }

    pub async fn announce(&self, request: &AnnounceRequest) -> Result<AnnounceReply, ReplyError> {
        AnnounceReply::parse(&self.ask(&format!("/announce?{}", request.to_query())).await)
    }
}

/// A torrent of nine bytes.
pub fn torrent(name: &str) -> Metainfo {
    let info = format!("d6:lengthi9e4:name{}:{name}12:piece lengthi65536e6:pieces20:{}e", name.len(), "x".repeat(20));
    Metainfo::from_info(info.as_bytes(), &[vec!["http://elsewhere.example/announce".into()]], &[]).unwrap()
}

pub fn at(torrent: &Metainfo) -> String {
    format!("/v1/torrents/{}", torrent.info_hash())
}

/// A leecher that listens on `port`.
pub fn leecher(torrent: &Metainfo, port: u16) -> AnnounceRequest {
    let mut peer_id = *b"-XX0000-............";
    write_port(&mut peer_id, port);
    AnnounceRequest {
        info_hash: torrent.info_hash(),
        peer_id: peer_id.into(),
        port,
        uploaded: 0,
        downloaded: 0,
        left: 9,
        event: Event::Started,
        num_want: None,
        compact: true,
        no_peer_id: false,
        key: None,
        ip: None,
        ipv4: None,
        ipv6: None,
    }
}

fn write_port(peer_id: &mut [u8; 20], port: u16) {
    let mut text = String::new();
    write!(text, "{port:012}").unwrap();
    peer_id[8..].copy_from_slice(text.as_bytes());
}

/// What a server answers to these very bytes, until it closes.
pub async fn raw(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // A server that refuses may close before everything is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Waits until a condition holds, for ten seconds at most.
pub async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "what should happen did not, within ten seconds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

pub fn message(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap_or_default()
}
