use nova_protocol::announce::{AnnounceReply, AnnounceRequest, Event, ReplyError, Retry};

use crate::harness::{Running, eventually, leecher, raw, torrent};

#[tokio::test]
async fn two_leechers_find_each_other() {
    let tracker = Running::start();
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
    let tracker = Running::start();
    let refused = tracker.announce(&leecher(&torrent("a"), 1001)).await;
    assert!(matches!(refused, Err(ReplyError::Refused { reason, .. }) if reason.contains("does not know")));
}

#[tokio::test]
async fn an_open_tracker_takes_every_info_hash() {
    let tracker = Running::with(|config| config.open = true);
    let content = torrent("a");
    tracker.announce(&leecher(&content, 1001)).await.unwrap();
    assert_eq!(tracker.announce(&leecher(&content, 1002)).await.unwrap().peers.len(), 1);
}

#[tokio::test]
async fn stopped_takes_effect_at_once() {
    let tracker = Running::with(|config| config.open = true);
    let content = torrent("a");
    tracker.announce(&leecher(&content, 1001)).await.unwrap();
    let stopped = AnnounceRequest { event: Event::Stopped, ..leecher(&content, 1001) };
    assert!(tracker.announce(&stopped).await.unwrap().peers.is_empty());
    assert!(tracker.announce(&leecher(&content, 1002)).await.unwrap().peers.is_empty());
}

#[tokio::test]
async fn peers_come_as_dictionaries_when_asked_for() {
    let tracker = Running::with(|config| config.open = true);
    let content = torrent("a");
    let asker = AnnounceRequest { compact: false, ..leecher(&content, 1002) };
    let ask = async || tracker.ask(&format!("/announce?{}", asker.to_query())).await;
    tracker.announce(&leecher(&content, 1001)).await.unwrap();
    assert_eq!(AnnounceReply::parse(&ask().await).unwrap().peers.len(), 1);
    tracker.announce(&leecher(&content, 1001)).await.unwrap();
    let answer = ask().await;
    assert!(String::from_utf8_lossy(&answer).contains("d2:ip9:127.0.0.17:peer id20:-XX0000-0000000010014:porti1001ee"));
}

#[tokio::test]
async fn hostile_queries_get_a_failure_reason() {
    let tracker = Running::start();
    for query in
        ["", "?", "?&&&", "?info_hash=%", "?info_hash=short&port=1&left=1", "?%00=%ff&port=0x10", "?port=1&port"]
    {
        let answer = tracker.ask(&format!("/announce{query}")).await;
        assert!(matches!(AnnounceReply::parse(&answer), Err(ReplyError::Refused { .. })), "{query}");
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
    let closed = Running::with(|config| config.open = true);
    assert_eq!(told(&closed).await, "127.0.0.1:1001");
    let behind_proxy = Running::with(|config| {
        config.open = true;
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    assert_eq!(told(&behind_proxy).await, "[2001:db8::7]:1001");
}

#[tokio::test]
async fn live_origins_are_handed_out_without_announcing() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    let answer = tracker.announce(&leecher(&content, 1001)).await.unwrap();
    assert_eq!(answer.peers, ["127.0.0.1:9".parse().unwrap()]);
    assert_eq!(answer.seeders, 1);
}

#[tokio::test]
async fn a_scrape_counts_listed_swarms_and_leaves_out_others() {
    let tracker = Running::start();
    let (known, unknown) = (torrent("a"), torrent("b"));
    tracker.put_torrent(&known).await;
    tracker.announce(&AnnounceRequest { left: 0, event: Event::Completed, ..leecher(&known, 1001) }).await.unwrap();
    tracker.announce(&leecher(&known, 1002)).await.unwrap();
    let field = |torrent| leecher(torrent, 1).to_query().split('&').next().unwrap().to_owned();
    let answer = tracker.ask(&format!("/scrape?{}&{}", field(&unknown), field(&known))).await;
    let counts = b"d8:completei1e10:downloadedi1e11:downloadersi1e10:incompletei1eeee";
    assert_eq!(answer, [b"d5:filesd20:", &known.info_hash().as_bytes()[..], counts].concat());
}

#[tokio::test]
async fn a_connection_serves_one_announce_after_the_other() {
    let tracker = Running::with(|config| config.open = true);
    let one = format!("GET /announce?{} HTTP/1.1\r\nHost: x\r\n", leecher(&torrent("a"), 1001).to_query());
    let answers = raw(tracker.announce, format!("{one}\r\n{one}Connection: close\r\n\r\n").as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2);
    assert_eq!(answers.matches("8:interval").count(), 2);
    assert_eq!(answers.matches("Connection: close").count(), 1);
}

#[tokio::test]
async fn requests_without_end_are_cut_off() {
    let tracker = Running::start();
    let long = [b"GET /announce?".to_vec(), vec![b'a'; 1 << 20]].concat();
    let answer = raw(tracker.announce, &long).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    let garbage = raw(tracker.announce, b"\x13BitTorrent protocol\r\n\r\n").await;
    assert!(garbage.starts_with("HTTP/1.1 400"), "{garbage}");
}

#[tokio::test]
async fn the_announce_listener_does_not_show_the_index() {
    let tracker = Running::start();
    let answer = reqwest::get(format!("http://{}/v1/tags", tracker.announce)).await.unwrap();
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn a_refusal_says_when_to_come_again() {
    let tracker = Running::start();
    let retry = async |query: &str| match AnnounceReply::parse(&tracker.ask(&format!("/announce?{query}")).await) {
        Err(ReplyError::Refused { retry, .. }) => retry,
        other => panic!("{other:?}"),
    };
    assert_eq!(retry(&leecher(&torrent("a"), 1001).to_query()).await, Some(Retry::InMinutes(5)));
    assert_eq!(retry("nothing").await, Some(Retry::Never));
}

#[tokio::test]
async fn new_settings_hold_at_once_and_swarms_stay() {
    let tracker = Running::start();
    let (listed, allowed) = (torrent("a"), torrent("b"));
    tracker.put_torrent(&listed).await;
    tracker.announce(&leecher(&listed, 1001)).await.unwrap();
    assert!(tracker.announce(&leecher(&allowed, 1001)).await.is_err());
    tracker.settings.send_modify(|config| {
        config.allow = vec![allowed.info_hash()];
        config.warning = "moving on Friday".to_owned();
        (config.interval_min_seconds, config.num_want_max) = (77, 1);
    });
    eventually(async || tracker.announce(&leecher(&allowed, 1001)).await.is_ok()).await;
    tracker.announce(&leecher(&listed, 1002)).await.unwrap();
    let answer = tracker.announce(&leecher(&listed, 1003)).await.unwrap();
    assert_eq!((answer.interval, answer.peers.len(), answer.leechers), (77, 1, 3));
    assert_eq!(answer.warning.as_deref(), Some("moving on Friday"));
    tracker.settings.send_modify(|config| (config.allow.clear(), config.lease_seconds = 0).0);
    tracker.settings.send_modify(|config| config.lease_seconds = 10);
    eventually(async || tracker.announce(&leecher(&allowed, 1001)).await.is_err()).await;
}

#[tokio::test]
async fn a_full_scrape_is_answered_where_the_settings_allow_it() {
    let tracker = Running::with(|config| (config.open, config.full_scrape) = (true, true));
    for name in ["a", "b"] {
        tracker.announce(&leecher(&torrent(name), 1001)).await.unwrap();
    }
    let answer = String::from_utf8_lossy(&tracker.ask("/scrape").await).into_owned();
    assert_eq!(answer.matches("10:incompletei1e").count(), 2);
    let closed = Running::start();
    assert!(String::from_utf8_lossy(&closed.ask("/scrape").await).contains("failure reason"));
}

#[tokio::test]
async fn a_partial_seed_is_no_downloader() {
    let tracker = Running::with(|config| (config.open, config.full_scrape) = (true, true));
    let content = torrent("a");
    tracker.announce(&AnnounceRequest { event: Event::Paused, ..leecher(&content, 1001) }).await.unwrap();
    let answer = tracker.announce(&leecher(&content, 1002)).await.unwrap();
    assert_eq!((answer.seeders, answer.leechers, answer.peers.len()), (0, 2, 1));
    let scraped = String::from_utf8_lossy(&tracker.ask("/scrape").await).into_owned();
    assert!(scraped.contains("11:downloadersi1e10:incompletei2e"), "{scraped}");
}

#[tokio::test]
async fn a_proxy_may_name_the_other_family_too() {
    let tracker = Running::with(|config| {
        config.open = true;
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    let content = torrent("a");
    let both = AnnounceRequest { ipv6: Some("[2001:db8::7]:1001".parse().unwrap()), ..leecher(&content, 1001) };
    tracker.announce(&both).await.unwrap();
    let peers = tracker.announce(&leecher(&content, 1002)).await.unwrap().peers;
    assert_eq!(peers, ["127.0.0.1:1001".parse().unwrap(), "[2001:db8::7]:1001".parse().unwrap()]);
}
