//! The upload engine as peers see it: raw bytes over loopback.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{net::SocketAddr, num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use nova_protocol::{
    BLOCK_LENGTH, Metainfo, PeerId,
    peer_wire::{Block, HANDSHAKE_LENGTH, Handshake, Message},
};
use nova_seeder::{
    content::Content,
    create::{Options, create},
    upload::{Limits, PeerError, Uploader},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const LENGTH: usize = 200_000;
const UNLIMITED: Limits = Limits { connections: 8, bytes_per_second: None };

/// An engine that serves one file.
struct Scene {
    uploader: Uploader,
    metainfo: Arc<Metainfo>,
    bytes: Vec<u8>,
    shutdown: CancellationToken,
    _home: TempDir,
}

impl Scene {
    async fn new(limits: Limits) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (metainfo, bytes) = file(home.path());
        let shutdown = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uploader = Uploader::start(listener, PeerId::nova([1; 12]), limits, shutdown.clone()).unwrap();
        uploader.add(&metainfo, Content::new(metainfo.info.clone(), &home.path().join("file")));
        Self { uploader, metainfo, bytes, shutdown, _home: home }
    }

    /// Dials the engine and shakes hands.
    async fn join(&self, peer_id: u8) -> Option<Peer> {
        let stream = TcpStream::connect(self.uploader.addr()).await.unwrap();
        Peer::shake(stream, &self.handshake(peer_id)).await
    }

    fn handshake(&self, peer_id: u8) -> Handshake {
        let info_hash = self.metainfo.info_hash();
        Handshake { info_hash, peer_id: PeerId::nova([peer_id; 12]), fast: true, extended: false }
    }
}

/// A peer that has shaken hands.
struct Peer(TcpStream);

impl Peer {
    async fn shake(mut stream: TcpStream, ours: &Handshake) -> Option<Self> {
        stream.write_all(&ours.encode()).await.ok()?;
        let mut theirs = [0; HANDSHAKE_LENGTH];
        stream.read_exact(&mut theirs).await.ok()?;
        assert_eq!(Handshake::decode(&theirs).unwrap().info_hash, ours.info_hash);
        Some(Self(stream))
    }

    async fn say(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.0.write_all(&bytes).await.unwrap();
    }

    /// The next message; `None` once the engine has closed.
    async fn hear(&mut self) -> Option<Message> {
        let length = timeout(Duration::from_secs(20), self.0.read_u32()).await.unwrap().ok()?;
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Message::decode(&payload).unwrap())
    }

    /// Fetches everything, all requests at once.
    async fn fetch(&mut self, metainfo: &Metainfo) -> Vec<u8> {
        let info = &metainfo.info;
        for piece in 0..info.piece_count() {
            for offset in (0..info.piece_size(piece)).step_by(BLOCK_LENGTH as usize) {
                let length = BLOCK_LENGTH.min(info.piece_size(piece) - offset);
                self.say(&Message::Request(Block { piece, offset, length })).await;
            }
        }
        let mut bytes = Vec::new();
        while bytes.len() < LENGTH {
            if let Message::Piece { data, .. } = self.hear().await.unwrap() {
                bytes.extend(data);
            }
        }
        bytes
    }

    async fn is_closed(&mut self) -> bool {
        while let Some(message) = self.hear().await {
            let is_talk = matches!(message, Message::HaveNone | Message::Have(_) | Message::Unchoke);
            assert!(is_talk, "{message:?}");
        }
        true
    }
}

fn file(home: &Path) -> (Arc<Metainfo>, Vec<u8>) {
    let bytes: Vec<u8> = (0..=250).cycle().take(LENGTH).collect();
    std::fs::write(home.join("file"), &bytes).unwrap();
    let options = Options { private: true, ..Options::default() };
    let created = create(&home.join("file"), &options, |_, _| {}, &CancellationToken::new()).unwrap();
    (Arc::new(created.metainfo), bytes)
}

#[tokio::test]
async fn a_peer_that_dials_gets_everything_it_asks_for() {
    let scene = Scene::new(UNLIMITED).await;
    let mut peer = scene.join(2).await.unwrap();
    assert_eq!(peer.fetch(&scene.metainfo).await, scene.bytes);
    assert_eq!(scene.uploader.status(scene.metainfo.info_hash()).unwrap().uploaded, LENGTH as u64);
}

#[tokio::test]
async fn a_peer_that_is_dialled_gets_everything_it_asks_for() {
    let scene = Scene::new(UNLIMITED).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (uploader, addr) = (scene.uploader.clone(), listener.local_addr().unwrap());
    let info_hash = scene.metainfo.info_hash();
    let dialled = tokio::spawn(async move { uploader.dial(info_hash, addr).await });
    let (stream, _) = listener.accept().await.unwrap();
    let mut peer = Peer::shake(stream, &scene.handshake(2)).await.unwrap();
    assert_eq!(peer.fetch(&scene.metainfo).await, scene.bytes);
    // Leaving with offers unread would be a reset.
    peer.0.shutdown().await.unwrap();
    assert!(peer.is_closed().await);
    assert!(dialled.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_peer_may_ask_only_once_it_knows_of_a_piece() {
    let scene = Scene::new(UNLIMITED).await;
    let mut peer = scene.join(2).await.unwrap();
    assert_eq!(peer.hear().await, Some(Message::HaveNone));
    for _ in 0..scene.metainfo.info.piece_count() {
        assert!(matches!(peer.hear().await, Some(Message::Have(_))));
    }
    assert_eq!(peer.hear().await, Some(Message::Unchoke));
}

#[tokio::test]
async fn a_peer_that_has_everything_is_let_go() {
    let scene = Scene::new(UNLIMITED).await;
    let mut peer = scene.join(2).await.unwrap();
    peer.say(&Message::HaveAll).await;
    assert!(peer.is_closed().await);
}

#[tokio::test]
async fn strangers_are_closed_and_others_are_still_served() {
    let scene = Scene::new(UNLIMITED).await;
    for garbage in [
        &[0; 400][..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 68],
        b"\x13BitTorrent protocol and nothing that makes sense after it, for 68",
    ] {
        let mut stream = TcpStream::connect(scene.uploader.addr()).await.unwrap();
        let _may_be_closed_already = stream.write_all(garbage).await;
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        let _closed_or_reset = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.is_empty(), "{garbage:?}");
    }
    let mut peer = scene.join(2).await.unwrap();
    assert_eq!(peer.fetch(&scene.metainfo).await, scene.bytes);
}

#[tokio::test]
async fn a_message_of_excessive_length_ends_the_connection() {
    let scene = Scene::new(UNLIMITED).await;
    let mut peer = scene.join(2).await.unwrap();
    peer.0.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    assert!(peer.is_closed().await);
}

#[tokio::test]
async fn a_torrent_that_is_not_served_is_refused() {
    let scene = Scene::new(UNLIMITED).await;
    let other = Handshake { info_hash: [9; 20].into(), ..scene.handshake(2) };
    let stream = TcpStream::connect(scene.uploader.addr()).await.unwrap();
    assert!(Peer::shake(stream, &other).await.is_none());
    let dialled = scene.uploader.dial([9; 20].into(), SocketAddr::from(([127, 0, 0, 1], 9))).await;
    assert!(matches!(dialled, Err(PeerError::UnknownTorrent(_))));
}

#[tokio::test]
async fn a_peer_has_one_connection_and_the_engine_none_to_itself() {
    let scene = Scene::new(UNLIMITED).await;
    let _first = scene.join(2).await.unwrap();
    assert!(scene.join(2).await.is_none());
    assert!(scene.join(1).await.is_none(), "that is the engine's own peer id");
    assert!(scene.join(3).await.is_some());
}

#[tokio::test]
async fn connections_are_limited() {
    let scene = Scene::new(Limits { connections: 2, ..UNLIMITED }).await;
    let kept = [scene.join(2).await.unwrap(), scene.join(3).await.unwrap()];
    assert!(scene.join(4).await.is_none());
    drop(kept);
    let mut again = None;
    while again.is_none() {
        again = scene.join(4).await;
    }
}

#[tokio::test]
async fn the_rate_is_limited() {
    let rate = NonZeroU32::new(100_000).unwrap();
    let scene = Scene::new(Limits { bytes_per_second: Some(rate), ..UNLIMITED }).await;
    let mut peer = scene.join(2).await.unwrap();
    let start = std::time::Instant::now();
    assert_eq!(peer.fetch(&scene.metainfo).await, scene.bytes);
    // Half of it may leave at once; the other half takes a second.
    assert!(start.elapsed() > Duration::from_millis(700), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_torrent_that_is_removed_loses_its_peers() {
    let scene = Scene::new(UNLIMITED).await;
    let mut peer = scene.join(2).await.unwrap();
    assert!(scene.uploader.remove(scene.metainfo.info_hash()));
    assert!(peer.is_closed().await);
    assert!(scene.join(3).await.is_none());
}

#[tokio::test]
async fn the_engine_stops_with_its_token() {
    let scene = Scene::new(UNLIMITED).await;
    let mut peer = scene.join(2).await.unwrap();
    scene.shutdown.cancel();
    assert!(peer.is_closed().await);
}
