use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Running, at, code, message, torrent};

#[tokio::test]
async fn a_tag_moves_and_keeps_its_history() {
    let tracker = Running::start();
    let (old, new) = (tracker.replicated("old").await, tracker.replicated("new").await);
    let (status, first) = tracker.move_tag("models/demo:v1", &old).await;
    assert_eq!((status.as_u16(), &first["version"], &first["torrent_name"]), (200, &json!(1), &json!("old")));
    assert_eq!(tracker.move_tag("models/demo:v1", &new).await.1["version"], 2);
    let (_, now) = tracker.get("/v1/tags/models/demo:v1").await;
    assert_eq!((&now["info_hash"], &now["pusher"]), (&json!(new.info_hash()), &json!("me")));
    let (_, history) = tracker.get("/v1/history/models/demo:v1").await;
    let versions: Vec<_> = history["versions"].as_array().unwrap().iter().map(|tag| tag["version"].clone()).collect();
    assert_eq!(versions, [2, 1]);
    let (_, status) = tracker.get(&at(&new)).await;
    assert_eq!(status["tags"], json!(["models/demo:v1"]));
}

#[tokio::test]
async fn moving_a_tag_to_where_it_is_changes_nothing() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    for _ in 0..2 {
        assert_eq!(tracker.move_tag("a:v1", &content).await.1["version"], 1);
    }
}

#[tokio::test]
async fn a_reference_may_be_percent_encoded_and_may_lack_a_tag() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    tracker.move_tag("%D0%BC/a:latest", &content).await;
    for path in ["/v1/tags/м/a:latest", "/v1/tags/%d0%bc%2Fa%3alatest", "/v1/tags/%D0%BC/a"] {
        let (status, tag) = tracker.get(path).await;
        assert_eq!((status.as_u16(), &tag["reference"]), (200, &json!("м/a:latest")), "{path}");
    }
}

#[tokio::test]
async fn a_tag_does_not_move_before_the_content_is_replicated() {
    let tracker = Running::with(|config| config.min_replicas = 2);
    let content = tracker.replicated("a").await;
    let (status, answer) = tracker.move_tag("a:v1", &content).await;
    assert_eq!((status.as_u16(), code(&answer)), (409, "not_replicated"));
    assert!(message(&answer).contains("1 of 2"), "{answer}");
    assert_eq!(tracker.get("/v1/tags/a:v1").await.0, 404);
}

#[tokio::test]
async fn an_unknown_torrent_cannot_be_tagged() {
    let tracker = Running::start();
    let (status, answer) = tracker.move_tag("a:v1", &torrent("a")).await;
    assert_eq!((status.as_u16(), code(&answer)), (404, "not_found"));
}

#[tokio::test]
async fn compare_and_set_says_what_is_there() {
    let tracker = Running::start();
    let (old, new) = (tracker.replicated("old").await, tracker.replicated("new").await);
    let set = async |info_hash, expected: u64| {
        tracker.put("/v1/tags/a:v1", json!({"info_hash": info_hash, "expected_version": expected})).await
    };
    assert_eq!(set(old.info_hash(), 0).await.0, 200);
    let (status, answer) = set(new.info_hash(), 0).await;
    assert_eq!((status.as_u16(), code(&answer)), (409, "version_mismatch"));
    assert!(message(&answer).contains("version 1") && message(&answer).contains(&old.info_hash().to_string()));
    assert_eq!(set(new.info_hash(), 1).await.1["version"], 2);
    let (_, answer) = tracker.put("/v1/tags/b:v1", json!({"info_hash": new.info_hash(), "expected_version": 7})).await;
    assert!(message(&answer).contains("version 0 (not there), expected version 7"), "{answer}");
}

#[tokio::test]
async fn an_immutable_tag_is_set_once() {
    let tracker = Running::with(|config| config.immutable_tags = vec!["release/*".into()]);
    let (old, new) = (tracker.replicated("old").await, tracker.replicated("new").await);
    assert_eq!(tracker.move_tag("release/a/b:v1", &old).await.0, 200);
    let (status, answer) = tracker.move_tag("release/a/b:v1", &new).await;
    assert_eq!((status.as_u16(), code(&answer)), (409, "immutable"));
    assert_eq!(tracker.move_tag("release/a/b:v1", &old).await.0, 200);
}

#[tokio::test]
async fn a_rollback_is_a_new_version() {
    let tracker = Running::start();
    let (old, new) = (tracker.replicated("old").await, tracker.replicated("new").await);
    let rollback = async |body: Value| tracker.json(Method::POST, "/v1/rollback/a:v1", body.to_string()).await;
    assert_eq!(rollback(json!({})).await.0, 404);
    tracker.move_tag("a:v1", &old).await;
    assert_eq!(code(&rollback(json!({})).await.1), "nothing_before");
    tracker.move_tag("a:v1", &new).await;
    let (_, back) = rollback(json!({"pusher": "you"})).await;
    assert_eq!((&back["version"], &back["info_hash"]), (&json!(3), &json!(old.info_hash())));
    let (_, forth) = rollback(json!({"version": 2})).await;
    assert_eq!((&forth["version"], &forth["info_hash"]), (&json!(4), &json!(new.info_hash())));
    assert_eq!(rollback(json!({"version": 9})).await.0, 404);
}

#[tokio::test]
async fn a_deleted_tag_takes_its_history_along() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    tracker.move_tag("a:v1", &content).await;
    assert_eq!(tracker.delete("/v1/tags/a:v1").await.0, 204);
    for path in ["/v1/tags/a:v1", "/v1/history/a:v1"] {
        assert_eq!(tracker.get(path).await.0, 404);
    }
    assert_eq!(tracker.delete("/v1/tags/a:v1").await.0, 404);
    assert_eq!(tracker.get(&at(&content)).await.0, 200);
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    for reference in ["m/a:1", "m/a:2", "m/b:1", "n:1"] {
        tracker.move_tag(reference, &content).await;
    }
    let (_, page) = tracker.get("/v1/tags?prefix=m%2F&limit=2").await;
    assert_eq!(page["next"], "m/a:2");
    let (_, page) = tracker.get("/v1/tags?prefix=m/&limit=2&after=m/a:2").await;
    assert_eq!((page["tags"].as_array().unwrap().len(), &page["next"]), (1, &Value::Null));
    for query in ["limit=x", "after=a:-"] {
        assert_eq!(tracker.get(&format!("/v1/tags?{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_restart() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    tracker.move_tag("a:v1", &content).await;
    let tracker = Running::on(tracker.stop().await, |_| ());
    assert_eq!(tracker.get("/v1/tags/a:v1").await.1["info_hash"], json!(content.info_hash()));
    let (_, status) = tracker.get(&at(&content)).await;
    assert_eq!(status["replicas"][0]["live"], false);
    tracker.lease("o", 9).await;
    let (_, status) = tracker.get(&at(&content)).await;
    assert_eq!((&status["replicas"][0]["live"], &status["seeders"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn bad_references_and_bodies_are_refused() {
    let tracker = Running::start();
    for path in ["/v1/tags/a//b:v1", "/v1/tags/..:v1", "/v1/tags/a:%20", "/v1/tags/%ff:v1", "/v1/history/a:-"] {
        let (status, answer) = tracker.get(path).await;
        assert_eq!((status.as_u16(), code(&answer)), (400, "bad_request"), "{path}");
    }
    for body in ["", "{", "[]", "{\"info_hash\":\"zz\"}", "{\"info_hash\":\"00\",\"x\":1}"] {
        let (status, answer) = tracker.json(Method::PUT, "/v1/tags/a:v1", body).await;
        assert_eq!((status.as_u16(), code(&answer)), (400, "bad_request"), "{body}");
    }
    let (status, answer) = tracker.json(Method::PUT, "/v1/tags/a:v1", vec![b' '; 100_000]).await;
    assert_eq!((status.as_u16(), code(&answer)), (413, "too_large"));
}

#[tokio::test]
async fn a_pusher_that_a_terminal_would_obey_is_refused() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    let hash = content.info_hash();
    for bad in ["\u{1b}[2J", "a\nb", "\u{9b}31m", "\u{7f}", &"é".repeat(101)] {
        for (method, path, body) in [
            (Method::PUT, "/v1/tags/a:v1", json!({"info_hash": hash, "pusher": bad})),
            (Method::POST, "/v1/rollback/a:v1", json!({"pusher": bad})),
        ] {
            let (status, answer) = tracker.json(method, path, body.to_string()).await;
            assert_eq!((status.as_u16(), code(&answer)), (400, "bad_request"), "{bad:?}");
            assert!(message(&answer).starts_with("pusher ") && !message(&answer).contains(bad), "{answer}");
        }
    }
    let longest = "é".repeat(100);
    let (status, tag) = tracker.put("/v1/tags/a:v1", json!({"info_hash": hash, "pusher": longest})).await;
    assert_eq!((status.as_u16(), &tag["pusher"]), (200, &json!(longest)));
}
