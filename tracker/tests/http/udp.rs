use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use nova_protocol::{
    announce::{AnnounceRequest, Event},
    udp::{Reply, Request},
};

use crate::harness::{Running, eventually, leecher, torrent};

/// A client of the datagram face.
struct Client(UdpSocket);

impl Client {
    fn of(tracker: &Running) -> Self {
        let socket = UdpSocket::bind((tracker.announce.ip(), 0)).unwrap();
        socket.connect(tracker.announce).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(socket)
    }

    fn send(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.send(bytes).unwrap();
        let mut answer = vec![0; 4096];
        let length = self.0.recv(&mut answer).unwrap();
        answer.truncate(length);
        answer
    }

    fn ask(&self, request: &Request<'_>) -> Reply {
        let mut bytes = Vec::new();
        request.write(&mut bytes);
        Reply::parse(&self.send(&bytes), self.0.local_addr().unwrap().is_ipv6()).unwrap()
    }

    fn connect(&self) -> u64 {
        match self.ask(&Request::Connect { transaction_id: 1 }) {
            Reply::Connect { transaction_id: 1, connection_id } => connection_id,
            other => panic!("{other:?}"),
        }
    }

    fn announce(&self, announce: AnnounceRequest) -> Reply {
        self.ask(&Request::Announce { connection_id: self.connect(), transaction_id: 2, announce })
    }

    fn peers(&self, announce: AnnounceRequest) -> Vec<SocketAddr> {
        match self.announce(announce) {
            Reply::Announce { transaction_id: 2, peers, .. } => peers,
            other => panic!("{other:?}"),
        }
    }
}

fn on(addr: &str) -> Running {
    let addr = addr.parse().unwrap();
    Running::with(|config| (config.announce_listen, config.open) = (addr, true))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn clients_of_both_faces_find_each_other_at_one_port() {
    for (listen, host) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]")] {
        let tracker = on(listen);
        let content = torrent("a");
        let client = Client::of(&tracker);
        assert!(client.peers(leecher(&content, 1001)).is_empty());
        let over_http = tracker.announce(&leecher(&content, 1002)).await.unwrap();
        assert_eq!(over_http.peers, [format!("{host}:1001").parse().unwrap()]);
        assert_eq!(over_http.external_ip, Some(tracker.announce.ip()));
        assert_eq!(client.peers(leecher(&content, 1001)), [format!("{host}:1002").parse().unwrap()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_that_calls_both_families_one_name_is_found_in_both() {
    let tracker = Running::with(|config| (config.announce_listen, config.open) = ("[::]:0".parse().unwrap(), true));
    let port = tracker.announce.port();
    let content = torrent("a");
    let from = |local: &str, peer| {
        let socket = UdpSocket::bind((local, 0)).unwrap();
        socket.connect((local, port)).unwrap();
        Client(socket).peers(leecher(&content, peer))
    };
    assert!(from("127.0.0.1", 1001).is_empty());
    assert!(from("::1", 1001).is_empty(), "nobody is handed himself");
    assert_eq!(from("127.0.0.1", 1002), ["127.0.0.1:1001".parse().unwrap()]);
    assert_eq!(from("::1", 1003), ["[::1]:1001".parse().unwrap()]);
    let query = leecher(&content, 1004).to_query();
    let answer = reqwest::get(format!("http://[::1]:{port}/announce?{query}")).await.unwrap().bytes().await.unwrap();
    let peers = nova_protocol::announce::AnnounceReply::parse(&answer).unwrap().peers;
    assert_eq!(peers.iter().filter(|peer| peer.is_ipv4()).count(), 2);
    assert_eq!(peers.iter().filter(|peer| peer.is_ipv6()).count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn datagrams_count_completions_and_are_counted_in_scrapes() {
    let tracker = on("127.0.0.1:0");
    let (known, unknown) = (torrent("a"), torrent("b"));
    let client = Client::of(&tracker);
    client.announce(AnnounceRequest { left: 0, event: Event::Completed, ..leecher(&known, 1001) });
    client.announce(leecher(&known, 1002));
    let info_hashes = [*unknown.info_hash().as_bytes(), *known.info_hash().as_bytes()];
    let connection_id = client.connect();
    let scraped = client.ask(&Request::Scrape { connection_id, transaction_id: 3, info_hashes: &info_hashes });
    let Reply::Scrape { transaction_id: 3, swarms } = scraped else { panic!("{scraped:?}") };
    let counts: Vec<_> = swarms.iter().map(|swarm| (swarm.complete, swarm.downloaded, swarm.incomplete)).collect();
    assert_eq!(counts, [(0, 0, 0), (1, 1, 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_unlisted_info_hash_is_an_error() {
    let tracker = Running::start();
    let refused = Client::of(&tracker).announce(leecher(&torrent("a"), 1001));
    assert!(matches!(refused, Reply::Error { transaction_id: 2, message } if message.contains("does not know")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_has_not_proved_his_address_is_never_sent_more_than_he_sent() {
    let tracker = on("127.0.0.1:0");
    let client = Client::of(&tracker);
    let content = torrent("a");
    let stolen = Client::of(&tracker).connect() ^ 1;
    let mut announce = Vec::new();
    Request::Announce { connection_id: stolen, transaction_id: 9, announce: leecher(&content, 1001) }
        .write(&mut announce);
    let refused = client.send(&announce);
    assert!(refused.len() <= announce.len());
    assert!(matches!(Reply::parse(&refused, false), Ok(Reply::Error { transaction_id: 9, .. })));
    let mut connect = Vec::new();
    Request::Connect { transaction_id: 1 }.write(&mut connect);
    assert_eq!(client.send(&connect).len(), connect.len());
    let is_empty = client.peers(AnnounceRequest { port: 1002, ..leecher(&content, 1002) }).is_empty();
    assert!(is_empty, "the forged announce was not taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn malformed_datagrams_are_dropped_and_counted() {
    let tracker = on("127.0.0.1:0");
    let client = Client::of(&tracker);
    let garbage = [&b""[..], b"x", &[0xff; 16], &[0; 2000], &[0; 98]];
    for bytes in garbage {
        client.0.send(bytes).unwrap();
    }
    // The answer to this one is the first that comes.
    client.connect();
    eventually(async || {
        let text = reqwest::get(tracker.url("/metrics")).await.unwrap().text().await.unwrap();
        text.contains("refusals_total{reason=\"malformed\"} 5\n")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn peers_of_the_trackers_machine_are_named_as_the_client_reaches_them() {
    let Some(own) = own_address() else { panic!("this machine has no address but loopback") };
    let tracker = Running::with(|config| (config.announce_listen, config.open) = ("0.0.0.0:0".parse().unwrap(), true));
    let (port, content) = (tracker.announce.port(), torrent("a"));
    let from = |local: std::net::IpAddr, peer| {
        let socket = UdpSocket::bind((local, 0)).unwrap();
        socket.connect((local, port)).unwrap();
        Client(socket).peers(leecher(&content, peer))
    };
    assert!(from([127, 0, 0, 1].into(), 1001).is_empty());
    assert_eq!(from(own, 1002), [SocketAddr::new(own, 1001)]);
}

/// The address from which this machine would reach others; nothing is sent.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}
