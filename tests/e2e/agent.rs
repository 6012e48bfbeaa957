//! The agent's HTTP face.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use nova_tests::{Stack, Tree};
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HOST},
};

#[test]
fn thirty_who_ask_for_one_thing_at_once_get_one_download() {
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    let tag = stack.push(&Tree::of_everything(&stack.path("demo"), 8 << 20), "demo");
    let started = stack.block_on(async {
        let asked: Vec<_> = (0..30)
            .map(|_| {
                let agent = agent.clone();
                tokio::spawn(async move { agent.start("demo", &[]).await })
            })
            .collect();
        let mut started = Vec::new();
        for pull in asked {
            started.push(pull.await.unwrap());
        }
        started
    });
    for pull in started {
        assert_eq!(pull.unwrap().info_hash, tag.info_hash);
    }
    let pull = stack.pulled(&agent, tag.info_hash, Duration::from_mins(1));
    let fetched: u64 = pull.sources.iter().map(|source| source.bytes).sum();
    assert!(fetched < 2 * pull.length, "{fetched} bytes were fetched for {}", pull.length);
}

#[test]
fn a_web_page_cannot_drive_the_agent() {
    let mut stack = Stack::start();
    stack.add_agent("agent");
    let url = format!("http://{}/v1/pulls", stack.agent_addr("agent"));
    let http = reqwest::Client::new();
    let body = r#"{"source":"demo"}"#;
    let simple = http.post(&url).header(CONTENT_TYPE, "text/plain").body(body);
    assert_eq!(stack.block_on(simple.send()).unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let rebound = http.get(&url).header(HOST, "evil.example:16002");
    assert_eq!(stack.block_on(rebound.send()).unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(stack.block_on(http.get(&url).send()).unwrap().status(), StatusCode::OK);
}

#[test]
fn what_an_agent_is_asked_wrongly_is_answered_with_a_reason() {
    let mut stack = Stack::start();
    stack.add_agent("agent");
    let url = format!("http://{}/v1/pulls", stack.agent_addr("agent"));
    let http = reqwest::Client::new();
    let torrent = "application/x-bittorrent";
    for (kind, body, status) in [
        ("application/json", "{", StatusCode::BAD_REQUEST),
        ("application/json", r#"{"source":"a b"}"#, StatusCode::BAD_REQUEST),
        ("application/json", r#"{"source":"none"}"#, StatusCode::NOT_FOUND),
        ("application/json", r#"{"source":"x","more":1}"#, StatusCode::BAD_REQUEST),
        (torrent, "d4:infoe", StatusCode::BAD_REQUEST),
    ] {
        let answer = stack.block_on(http.post(&url).header(CONTENT_TYPE, kind).body(body).send()).unwrap();
        assert_eq!(answer.status(), status, "{body}");
        let reason: serde_json::Value = stack.block_on(answer.json()).unwrap();
        assert!(reason["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{reason}");
    }
}
