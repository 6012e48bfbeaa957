use nova_protocol::announce::{AnnounceReply, AnnounceRequest, Event, ReplyError};

use crate::harness::{Running, leecher, raw, torrent};

#[tokio::test]
async fn two_leechers_find_each_other() {
    let tracker = Running::start().await;
    let content = torrent("a");
    tracker.put_torrent(&content).await;
    let first = tracker.announce(&leecher(&content, 1001)).await.unwrap();
    assert!(first.peers.is_empty());
    assert!(first.interval <= 2 && first.min_interval == Some(first.interval));
    let second = tracker.announce(&leecher(&content, 1002)).await.unwrap();
    assert_eq!(second.peers, ["127.0.0.1:1001".parse().unwrap()]);
    assert_eq!((second.seeders, second.leechers), (0, 2));
}

#[tokio::test]
async fn an_unknown_info_hash_is_refused_with_status_200() {
    let tracker = Running::start().await;
    let refused = tracker.announce(&leecher(&torrent("a"), 1001)).await;
    assert!(matches!(refused, Err(ReplyError::Refused(reason)) if reason.contains("does not know")));
}

#[tokio::test]
async fn an_open_tracker_takes_every_info_hash() {
    let tracker = Running::with(|config| config.open = true).await;
    let content = torrent("a");
    tracker.announce(&leecher(&content, 1001)).await.unwrap();
    assert_eq!(tracker.announce(&leecher(&content, 1002)).await.unwrap().peers.len(), 1);
}

#[tokio::test]
async fn stopped_takes_effect_at_once() {
    let tracker = Running::with(|config| config.open = true).await;
    let content = torrent("a");
    tracker.announce(&leecher(&content, 1001)).await.unwrap();
    let stopped = AnnounceRequest { event: Event::Stopped, ..leecher(&content, 1001) };
    assert!(tracker.announce(&stopped).await.unwrap().peers.is_empty());
    assert!(tracker.announce(&leecher(&content, 1002)).await.unwrap().peers.is_empty());
}

#[tokio::test]
async fn peers_come_as_dictionaries_when_asked_for() {
    let tracker = Running::with(|config| config.open = true).await;
    let content = torrent("a");
    tracker.announce(&leecher(&content, 1001)).await.unwrap();
    let asker = AnnounceRequest { compact: false, ..leecher(&content, 1002) };
    let answer = tracker.ask(&format!("/announce?{}", asker.to_query())).await;
    assert!(String::from_utf8_lossy(&answer).contains("d2:ip9:127.0.0.17:peer id20:-XX0000-0000000010014:porti1001ee"));
    assert_eq!(AnnounceReply::parse(&answer).unwrap().peers.len(), 1);
}

#[tokio::test]
async fn hostile_queries_get_a_failure_reason() {
    let tracker = Running::start().await;
    for query in
        ["", "?", "?&&&", "?info_hash=%", "?info_hash=short&port=1&left=1", "?%00=%ff&port=0x10", "?port=1&port"]
    {
        let answer = tracker.ask(&format!("/announce{query}")).await;
        assert!(matches!(AnnounceReply::parse(&answer), Err(ReplyError::Refused(_))), "{query}");
        let answer = tracker.ask(&format!("/scrape{query}")).await;
        assert!(answer.starts_with(b"d14:failure reason"), "{query}");
    }
}

#[tokio::test]
async fn a_claimed_address_counts_from_configured_proxies_alone() {
    let told = async |tracker: &Running| {
        let content = torrent("a");
        let claims = AnnounceRequest { ip: Some("2001:db8::7".parse().unwrap()), ..leecher(&content, 1001) };
        tracker.announce(&claims).await.unwrap();
        tracker.announce(&leecher(&content, 1002)).await.unwrap().peers[0].to_string()
    };
    let closed = Running::with(|config| config.open = true).await;
    assert_eq!(told(&closed).await, "127.0.0.1:1001");
    let behind_proxy = Running::with(|config| {
        config.open = true;
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    assert_eq!(told(&behind_proxy.await).await, "[2001:db8::7]:1001");
}

#[tokio::test]
async fn live_origins_are_handed_out_without_announcing() {
    let tracker = Running::start().await;
    let content = tracker.replicated("a").await;
    let answer = tracker.announce(&leecher(&content, 1001)).await.unwrap();
    assert_eq!(answer.peers, ["127.0.0.1:9".parse().unwrap()]);
    assert_eq!(answer.seeders, 1);
}

#[tokio::test]
async fn a_scrape_counts_listed_swarms_and_leaves_out_others() {
    let tracker = Running::start().await;
    let (known, unknown) = (torrent("a"), torrent("b"));
    tracker.put_torrent(&known).await;
    tracker.announce(&AnnounceRequest { left: 0, event: Event::Completed, ..leecher(&known, 1001) }).await.unwrap();
    tracker.announce(&leecher(&known, 1002)).await.unwrap();
    let field = |torrent| leecher(torrent, 1).to_query().split('&').next().unwrap().to_owned();
    let answer = tracker.ask(&format!("/scrape?{}&{}", field(&unknown), field(&known))).await;
    let counts = b"d8:completei1e10:downloadedi1e10:incompletei1eeee";
    assert_eq!(answer, [b"d5:filesd20:", &known.info_hash().as_bytes()[..], counts].concat());
}

#[tokio::test]
async fn a_connection_serves_one_announce_after_the_other() {
    let tracker = Running::with(|config| config.open = true).await;
    let one = format!("GET /announce?{} HTTP/1.1\r\nHost: x\r\n", leecher(&torrent("a"), 1001).to_query());
    let answers = raw(tracker.announce, format!("{one}\r\n{one}Connection: close\r\n\r\n").as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2);
    assert_eq!(answers.matches("8:interval").count(), 2);
    assert_eq!(answers.matches("connection: close").count(), 1);
}

#[tokio::test]
async fn requests_without_end_are_cut_off() {
    let tracker = Running::start().await;
    let long = [b"GET /announce?".to_vec(), vec![b'a'; 1 << 20]].concat();
    let answer = raw(tracker.announce, &long).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    let garbage = raw(tracker.announce, b"\x13BitTorrent protocol\r\n\r\n").await;
    assert!(garbage.starts_with("HTTP/1.1 400"), "{garbage}");
}

#[tokio::test]
async fn the_announce_listener_does_not_show_the_index() {
    let tracker = Running::start().await;
    let answer = reqwest::get(format!("http://{}/v1/tags", tracker.announce)).await.unwrap();
    assert_eq!(answer.status(), 404);
}
