use std::time::{Duration, Instant};

use nova_protocol::api::{MoveTag, ReplicaReport, ReplicaState};
use nova_tracker::{Config, Tracker, index::IndexError};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Running, at, code, message, torrent};

fn lease(port: u16) -> nova_protocol::api::OriginLease {
    let addr = ([127, 0, 0, 1], port).into();
    nova_protocol::api::OriginLease { peer_addr: addr, fetch_addr: addr, http_addr: addr, free_bytes: 1 << 30 }
}

/// The ids of the origins that shall hold a torrent.
async fn holders(tracker: &Tracker, torrent: &nova_protocol::Metainfo) -> String {
    let status = tracker.torrent(torrent.info_hash()).await.unwrap();
    status.replicas.into_iter().map(|replica| replica.origin).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn unspecified_addresses_are_the_ones_that_the_lease_comes_from() {
    let tracker = Running::start();
    let said = json!({"peer_addr": "0.0.0.0:1", "fetch_addr": "[::]:2", "http_addr": "10.9.8.7:3", "free_bytes": 4});
    let (_, granted) = tracker.put("/v1/origins/o-1.a_b", said).await;
    assert_eq!(granted, json!({"lease_seconds": 10}));
    let (_, listed) = tracker.get("/v1/origins").await;
    let origin = &listed["origins"][0];
    assert_eq!((&origin["peer_addr"], &origin["fetch_addr"]), (&json!("127.0.0.1:1"), &json!("127.0.0.1:2")));
    assert_eq!((&origin["http_addr"], &origin["live"]), (&json!("10.9.8.7:3"), &json!(true)));
}

#[tokio::test]
async fn bad_origins_are_refused() {
    let tracker = Running::start();
    let good = json!({"peer_addr": "0.0.0.0:1", "fetch_addr": "0.0.0.0:2", "http_addr": "0.0.0.0:3", "free_bytes": 4});
    for id in ["a%20b", "a%2Fb", "%00", &"x".repeat(65), ""] {
        assert_eq!(tracker.put(&format!("/v1/origins/{id}"), good.clone()).await.0, 400, "{id}");
    }
    let mut bad = good.clone();
    bad["peer_addr"] = json!("0.0.0.0:0");
    assert_eq!(tracker.put("/v1/origins/o", bad.clone()).await.0, 400);
    bad["peer_addr"] = json!("nowhere");
    assert_eq!(tracker.put("/v1/origins/o", bad).await.0, 400);
}

#[tokio::test]
async fn a_long_poll_is_answered_as_soon_as_there_is_news() {
    let tracker = Running::start();
    tracker.lease("o", 9).await;
    let content = torrent("a");
    let poll = tracker.get("/v1/origins/o/assignments?after=0");
    let push = tracker.put_torrent(&content);
    let started = Instant::now();
    let ((_, news), _) = tokio::join!(poll, push);
    assert_eq!(news["assignments"], json!([{"info_hash": content.info_hash(), "hold": true}]));
    assert!(started.elapsed() < Duration::from_secs(10));
    let (_, none) = tracker.get(&format!("/v1/origins/o/assignments?after={}&wait=0", news["cursor"])).await;
    assert_eq!((&none["assignments"], &none["cursor"]), (&json!([]), &news["cursor"]));
}

#[tokio::test]
async fn a_long_poll_ends_at_shutdown() {
    let tracker = Running::start();
    tracker.lease("o", 9).await;
    let url = tracker.url("/v1/origins/o/assignments?after=0&wait=60");
    let poll = tokio::spawn(reqwest::get(url));
    tracker.get("/v1/origins").await;
    let started = Instant::now();
    tracker.stop().await;
    // Either it was answered, or it came too late to be accepted.
    if let Ok(answer) = poll.await.unwrap() {
        assert_eq!(answer.status(), 503);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_report_for_what_is_not_assigned_is_refused() {
    let tracker = Running::start();
    let content = torrent("a");
    tracker.put_torrent(&content).await;
    let (status, answer) = tracker.report("o", &content, "complete").await;
    assert_eq!((status.as_u16(), code(&answer)), (409, "not_assigned"));
    assert_eq!(tracker.report("o", &content, "excellent").await.0, 400);
}

#[tokio::test]
async fn progress_of_a_replica_is_told() {
    let tracker = Running::start();
    tracker.lease("o", 9).await;
    let content = torrent("a");
    tracker.put_torrent(&content).await;
    let path = format!("/v1/origins/o/replicas/{}", content.info_hash());
    tracker.put(&path, json!({"state": "failed", "have": 3, "reason": "disk full"})).await;
    let (_, status) = tracker.get(&at(&content)).await;
    let replica = &status["replicas"][0];
    assert_eq!(
        (&replica["state"], &replica["have"], &replica["reason"]),
        (&json!("failed"), &json!(3), &json!("disk full"))
    );
}

#[tokio::test]
async fn a_torrent_is_given_to_others_when_its_origin_goes() {
    let directory = TempDir::new().unwrap();
    let config = Config { data_dir: directory.path().into(), replicas: 1, ..Config::default() };
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let tracker = Tracker::open(config.clone(), start).await.unwrap();
    let content = torrent("a");
    tracker.renew("a", lease(1), start).await.unwrap();
    tracker.add_torrent(content.clone(), start).await.unwrap();
    tracker.renew("b", lease(2), after(5)).await.unwrap();
    tracker.tick(after(10)).await.unwrap();
    assert_eq!(holders(&tracker, &content).await, "a");
    tracker.tick(after(11)).await.unwrap();
    assert_eq!(holders(&tracker, &content).await, "a b");
    drop(tracker);

    let restarted = after(100);
    let tracker = Tracker::open(config, restarted).await.unwrap();
    tracker.renew("c", lease(3), restarted).await.unwrap();
    tracker.tick(after(105)).await.unwrap();
    assert_eq!(holders(&tracker, &content).await, "a b", "origins have a lease's time to say that they are still here");
    tracker.renew("c", lease(3), after(105)).await.unwrap();
    tracker.tick(after(110)).await.unwrap();
    assert_eq!(holders(&tracker, &content).await, "a b c");
}

#[tokio::test]
async fn a_new_origin_is_given_what_lacks_replicas() {
    let directory = TempDir::new().unwrap();
    let config = Config { data_dir: directory.path().into(), ..Config::default() };
    let start = Instant::now();
    let tracker = Tracker::open(config, start).await.unwrap();
    let content = torrent("a");
    tracker.add_torrent(content.clone(), start).await.unwrap();
    assert_eq!(holders(&tracker, &content).await, "");
    for (id, expected) in [("a", "a"), ("b", "a b"), ("c", "a b")] {
        tracker.renew(id, lease(1), start).await.unwrap();
        tracker.tick(start).await.unwrap();
        assert_eq!(holders(&tracker, &content).await, expected);
    }
}

#[tokio::test]
async fn space_that_was_freed_is_used_when_a_torrent_is_put_again() {
    let directory = TempDir::new().unwrap();
    let config = Config { data_dir: directory.path().into(), ..Config::default() };
    let start = Instant::now();
    let tracker = Tracker::open(config.clone(), start).await.unwrap();
    let content = torrent("a");
    let full = nova_protocol::api::OriginLease { free_bytes: content.info.length - 1, ..lease(1) };
    tracker.renew("a", full, start).await.unwrap();
    tracker.tick(start).await.unwrap();
    tracker.add_torrent(content.clone(), start).await.unwrap();
    assert_eq!(holders(&tracker, &content).await, "");
    tracker.renew("a", lease(1), start).await.unwrap();
    for _ in 0..2 {
        tracker.add_torrent(content.clone(), start).await.unwrap();
        assert_eq!(holders(&tracker, &content).await, "a");
    }
    drop(tracker);

    let tracker = Tracker::open(Config { replicas: 1, ..config }, start).await.unwrap();
    tracker.renew("b", lease(2), start).await.unwrap();
    tracker.add_torrent(content.clone(), start).await.unwrap();
    assert_eq!(holders(&tracker, &content).await, "a", "it may still be here");
}

#[tokio::test]
async fn a_tag_waits_for_origins_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let config = Config { data_dir: directory.path().into(), ..Config::default() };
    let start = Instant::now();
    let after = |milliseconds| start + Duration::from_millis(milliseconds);
    let tracker = Tracker::open(config.clone(), start).await.unwrap();
    let content = torrent("a");
    let wish = MoveTag { info_hash: content.info_hash(), expected_version: None, pusher: String::new() };
    let set = async |tracker: &Tracker, now| tracker.move_tag("a:v1".parse().unwrap(), wish.clone(), now).await;
    tracker.renew("a", lease(1), start).await.unwrap();
    tracker.add_torrent(content.clone(), start).await.unwrap();
    assert!(matches!(set(&tracker, start).await, Err(IndexError::NotReplicated { .. })), "nobody else may come back");
    let complete = ReplicaReport { state: ReplicaState::Complete, have: content.info.length, reason: None };
    tracker.report("a", content.info_hash(), complete).await.unwrap();
    drop(tracker);

    let tracker = Tracker::open(config, start).await.unwrap();
    assert!(matches!(set(&tracker, after(500)).await, Err(IndexError::Starting { seconds: 10 })));
    assert!(matches!(set(&tracker, after(10_000)).await, Err(IndexError::NotReplicated { .. })));
    tracker.renew("a", lease(1), after(500)).await.unwrap();
    assert_eq!(set(&tracker, after(500)).await.unwrap().version, 1);
}

#[tokio::test]
async fn a_tracker_that_starts_says_to_try_again() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    let directory = tracker.stop().await;
    let start = Instant::now();
    let tracker = Running::on(directory, |_| ());
    let (status, answer) = tracker.move_tag("a:v1", &content).await;
    assert_eq!((status.as_u16(), code(&answer)), (503, "starting"));
    // Ten, less what it took to come here, rounded up.
    let told =
        (10 - start.elapsed().as_secs()..=10).any(|left| message(&answer).ends_with(&format!("try again in {left} s")));
    assert!(told, "{answer}");
    tracker.lease("o", 9).await;
    assert_eq!(tracker.move_tag("a:v1", &content).await.0, 200);
}
