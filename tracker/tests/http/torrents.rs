use nova_protocol::{Metainfo, announce::ReplyError};
use reqwest::Method;
use serde_json::json;

use crate::harness::{Running, at, code, leecher, message, raw, torrent};

#[tokio::test]
async fn a_torrent_is_put_once_and_told_of_every_time() {
    let tracker = Running::start();
    tracker.lease("o", 9).await;
    let content = torrent("a");
    for _ in 0..2 {
        let (status, told) = tracker.put_torrent(&content).await;
        assert_eq!((status.as_u16(), &told["name"], &told["length"]), (200, &json!("a"), &json!(9)));
        assert_eq!(told["replicas"].as_array().unwrap().len(), 1);
        assert_eq!(told["replicas"][0]["state"], "assigned");
    }
}

#[tokio::test]
async fn bad_metainfo_is_refused_with_the_reason_and_not_stored() {
    let tracker = Running::start();
    let good = torrent("a");
    let whole = good.as_bytes();
    let path = at(&good);
    for body in [&b""[..], b"de", &whole[..whole.len() - 1], &[whole, b"e"].concat(), &b"l".repeat(30_000)] {
        let (status, answer) = tracker.send(Method::PUT, &path, body.to_vec()).await;
        assert_eq!((status.as_u16(), code(&answer)), (400, "bad_metainfo"));
        assert!(message(&answer).starts_with("not a .torrent file: "), "{answer}");
    }
    let (status, answer) = tracker.send(Method::PUT, &path, torrent("b").as_bytes().to_vec()).await;
    assert_eq!((status.as_u16(), code(&answer)), (400, "bad_request"));
    assert!(message(&answer).contains(&torrent("b").info_hash().to_string()));
    assert_eq!(tracker.get(&path).await.0, 404);
}

#[tokio::test]
async fn a_huge_body_is_refused_before_it_is_read() {
    let tracker = Running::start();
    let head = format!("PUT {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", at(&torrent("a")));
    let answer = raw(tracker.http, format!("{head}Content-Length: 99999999999\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("too_large"), "{answer}");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(66));
    let answer = raw(tracker.http, chunked.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn the_file_carries_this_trackers_announce_url() {
    let tracker = Running::start();
    let content = torrent("ünï");
    tracker.put_torrent(&content).await;
    let answer = reqwest::get(tracker.url(&format!("{}.torrent", at(&content)))).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-bittorrent");
    let name = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert_eq!(name, "attachment; filename*=UTF-8''%C3%BCn%C3%AF.torrent");
    let read = Metainfo::parse(answer.bytes().await.unwrap().to_vec()).unwrap();
    assert_eq!(read.info_bytes(), content.info_bytes());
    assert_eq!(read.trackers, [[format!("http://127.0.0.1:{}/announce", tracker.announce.port())]]);
    assert!(read.web_seeds.is_empty());
}

#[tokio::test]
async fn the_announce_url_follows_the_host_that_is_called_or_the_settings() {
    let tracker = Running::start();
    let content = torrent("a");
    tracker.put_torrent(&content).await;
    let path = format!("{}.torrent", at(&content));
    let called = async |tracker: &Running, host: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        raw(tracker.http, request.as_bytes()).await
    };
    let port = tracker.announce.port();
    assert!(called(&tracker, "t.example:15004").await.contains(&format!("http://t.example:{port}/announce")));
    assert!(called(&tracker, "[::1]:15004").await.contains(&format!("http://[::1]:{port}/announce")));
    assert!(called(&tracker, "a b<>\"").await.contains(&format!("http://127.0.0.1:{port}/announce")));
    let fixed = |config: &mut nova_tracker::Config| config.announce_url = "http://fixed.example/announce".into();
    let tracker = Running::on(tracker.stop().await, fixed);
    assert!(called(&tracker, "t.example").await.contains("29:http://fixed.example/announce"));
}

#[tokio::test]
async fn web_seeds_are_live_complete_origins() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    tracker.lease("other", 10).await;
    let path = format!("{}.torrent?web_seeds=true", at(&content));
    let answer = reqwest::get(tracker.url(&path)).await.unwrap();
    let read = Metainfo::parse(answer.bytes().await.unwrap().to_vec()).unwrap();
    assert_eq!(read.web_seeds, [format!("http://127.0.0.1:9/v1/content/{}/", content.info_hash())]);
}

#[tokio::test]
async fn a_tagged_torrent_is_not_deleted() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    tracker.move_tag("a:v1", &content).await;
    let (status, answer) = tracker.delete(&at(&content)).await;
    assert_eq!((status.as_u16(), code(&answer)), (409, "tagged"));
    assert!(message(&answer).contains("a:v1"));
}

#[tokio::test]
async fn a_deleted_torrent_is_let_go_and_no_longer_announced() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    let other = tracker.replicated("b").await;
    tracker.move_tag("a:v1", &content).await;
    tracker.move_tag("a:v1", &other).await;
    let cursor = tracker.get("/v1/origins/o/assignments?after=0").await.1["cursor"].clone();
    assert_eq!(tracker.delete(&at(&content)).await.0, 204);
    let (_, news) = tracker.get(&format!("/v1/origins/o/assignments?after={cursor}")).await;
    assert_eq!(news["assignments"], json!([{"info_hash": content.info_hash(), "hold": false}]));
    let refused = tracker.announce(&leecher(&content, 1001)).await;
    assert!(matches!(refused, Err(ReplyError::Refused { .. })));
    assert_eq!(tracker.delete(&at(&content)).await.0, 404);
    let (_, history) = tracker.get("/v1/history/a:v1").await;
    assert_eq!(history["versions"][1]["torrent_name"], "a", "history outlives the torrent");
}

#[tokio::test]
async fn peers_are_listed() {
    let tracker = Running::start();
    let content = torrent("a");
    tracker.put_torrent(&content).await;
    tracker.announce(&leecher(&content, 1001)).await.unwrap();
    let (_, peers) = tracker.get(&format!("{}/peers", at(&content))).await;
    let peer = json!({"addr": "127.0.0.1:1001", "complete": false});
    assert_eq!(peers, json!({"peers": [peer]}));
    assert_eq!(tracker.get(&format!("{}/peers", at(&torrent("b")))).await.0, 404);
}
