use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::{Running, code, eventually, leecher, message, raw};

#[tokio::test]
async fn health_and_readiness_answer() {
    let tracker = Running::start();
    for path in ["/health", "/readiness"] {
        assert_eq!(reqwest::get(tracker.url(path)).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    tracker.announce(&leecher(&content, 1001)).await.unwrap();
    tracker.ask("/announce?nothing").await;
    let text = reqwest::get(tracker.url("/metrics")).await.unwrap().text().await.unwrap();
    for line in [
        "nova_tracker_announces_total{face=\"http\",family=\"ipv4\",event=\"started\"} 1\n",
        "nova_tracker_refusals_total{reason=\"malformed\"} 1\n",
        "nova_tracker_announce_duration_seconds_count 1\n",
        "nova_tracker_swarms 1\n",
        "nova_tracker_peers{kind=\"leecher\"} 1\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[tokio::test]
async fn events_tell_of_a_moved_tag() {
    let tracker = Running::start();
    let content = tracker.replicated("a").await;
    let mut events = reqwest::get(tracker.url("/v1/events")).await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    tracker.move_tag("a:v1", &content).await;
    let mut seen = String::new();
    while !seen.ends_with("\n\n") || !seen.contains("tag_moved") {
        let part = tokio::time::timeout(Duration::from_secs(10), events.chunk()).await.unwrap().unwrap().unwrap();
        seen.push_str(std::str::from_utf8(&part).unwrap());
    }
    assert!(seen.contains("event:tag_moved\n") && seen.contains("\"reference\":\"a:v1\""), "{seen}");
}

#[tokio::test]
async fn the_dashboard_lists_tags_and_origins() {
    let tracker = Running::start();
    let content = tracker.replicated("<b>&").await;
    tracker.move_tag("models/demo:v1", &content).await;
    let page = reqwest::get(tracker.url("/")).await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    let link = format!("/v1/torrents/{}.torrent", content.info_hash());
    for part in ["models/demo:v1", &link, "magnet:?xt=urn:btih:", "class=live", "1 of 1"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<b>"));
}

#[tokio::test]
async fn other_paths_and_methods_have_their_own_status() {
    let tracker = Running::start();
    for path in ["/nothing", "/v1", "/v1/torrents", "/v1/origins/a/b/c", "/v2/tags"] {
        let (status, answer) = tracker.get(path).await;
        assert_eq!((status.as_u16(), code(&answer)), (404, "not_found"), "{path}");
    }
    let (status, answer) = tracker.send(Method::POST, "/v1/tags/a:v1", "").await;
    assert_eq!((status.as_u16(), code(&answer)), (405, "method_not_allowed"));
    let options = reqwest::Client::new().request(Method::OPTIONS, tracker.url("/v1/tags/a:v1")).send().await.unwrap();
    assert_eq!(options.headers()["allow"], "GET, PUT, DELETE");
    assert_eq!(tracker.get("/v1/torrents/zz").await.0, 400);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let tracker = Running::start();
    let answer = raw(tracker.http, b"HEAD /v1/tags HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let tracker = Running::with(|config| config.connections_max = 2);
    let idle = [TcpStream::connect(tracker.http).await.unwrap(), TcpStream::connect(tracker.http).await.unwrap()];
    let get = |path: &str| reqwest::get(tracker.url(path));
    let waiting = tokio::time::timeout(Duration::from_millis(300), get("/health")).await;
    assert!(waiting.is_err(), "a third connection was served");
    drop(idle);
    eventually(async || get("/health").await.is_ok_and(|answer| answer.status() == 200)).await;
}

#[tokio::test]
async fn shutdown_refuses_new_connections_and_ends() {
    let tracker = Running::start();
    assert_eq!(tracker.put("/v1/origins/o", json!({})).await.0, 400);
    let http = tracker.http;
    let idle = TcpStream::connect(http).await.unwrap();
    tokio::time::timeout(Duration::from_secs(6), tracker.stop()).await.unwrap();
    assert!(TcpStream::connect(http).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn several_trackers_live_in_one_process() {
    let (one, other) = (Running::start(), Running::start());
    let content = one.replicated("a").await;
    one.move_tag("a:v1", &content).await;
    assert_eq!(other.get("/v1/tags/a:v1").await.0, 404);
}

#[tokio::test]
async fn json_that_a_page_of_another_site_could_send_is_refused() {
    let tracker = Running::start();
    let (old, new) = (tracker.replicated("old").await, tracker.replicated("new").await);
    tracker.move_tag("a:v1", &old).await;
    tracker.move_tag("a:v1", &new).await;
    let rollback = async |content_type| tracker.send_as(content_type, Method::POST, "/v1/rollback/a:v1", "{}").await;
    for forged in ["", "text/plain", "application/x-www-form-urlencoded", "text/plain; application/json"] {
        let (status, answer) = rollback(forged).await;
        assert_eq!((status.as_u16(), code(&answer)), (415, "unsupported_media_type"), "{forged}");
        assert!(message(&answer).contains("Content-Type: application/json"), "{answer}");
    }
    for path in ["/v1/tags/a:v1", "/v1/origins/o", &format!("/v1/origins/o/replicas/{}", new.info_hash())] {
        assert_eq!(tracker.send_as("text/plain", Method::PUT, path, "{}").await.0, 415, "{path}");
    }
    assert_eq!(rollback("Application/JSON; charset=utf-8").await.1["version"], 3);
}
