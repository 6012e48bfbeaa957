use std::time::{Duration, Instant};

use nova_protocol::{
    Metainfo,
    api::{AgentLease, MoveTag, PullReport, PullState, ReplicaReport, ReplicaState},
};
use nova_tracker::{Config, Tracker};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Running, code, message, torrent};

fn lease(pulls: &Value) -> Value {
    json!({"peer_addr": "0.0.0.0:16001", "host": "web1", "pulls": pulls})
}

fn pull(torrent: &Metainfo, state: &str, have: u64) -> Value {
    json!({"info_hash": torrent.info_hash(), "state": state, "have": have, "length": 9})
}

async fn renew(tracker: &Running, id: &str, pulls: Value) {
    let (status, answer) = tracker.put(&format!("/v1/agents/{id}"), lease(&pulls)).await;
    assert_eq!(status, 200, "{answer}");
}

/// A tag whose version 1 is a torrent and whose version 2 is another.
async fn moved(tracker: &Running) -> (Metainfo, Metainfo) {
    let (old, new) = (tracker.replicated("old").await, tracker.replicated("new").await);
    for torrent in [&old, &new] {
        assert_eq!(tracker.move_tag("demo:v1", torrent).await.0, 200);
    }
    (old, new)
}

#[tokio::test]
async fn an_agent_that_renews_is_listed_and_one_that_says_goodbye_is_not() {
    let tracker = Running::start();
    let content = torrent("a");
    let (status, granted) = tracker.put("/v1/agents/b", lease(&json!([pull(&content, "seeding", 9)]))).await;
    assert_eq!((status.as_u16(), granted), (200, json!({"lease_seconds": 30, "progress_seconds": 1})));
    renew(&tracker, "a", json!([pull(&content, "fetching", 3)])).await;

    let (_, page) = tracker.get("/v1/agents?limit=1").await;
    assert_eq!((&page["live"], &page["next"]), (&json!(2), &json!("a")));
    assert_eq!(page["pulls"], json!({"complete": 1, "fetching": 1, "failed": 0}));
    let (_, page) = tracker.get("/v1/agents?after=a").await;
    assert_eq!((&page["agents"][0]["id"], &page["next"]), (&json!("b"), &Value::Null));
    assert_eq!(
        page["agents"][0]["peer_addr"], "127.0.0.1:16001",
        "an unspecified address is the one that it comes from"
    );

    let (_, agent) = tracker.get("/v1/agents/a").await;
    assert_eq!((&agent["host"], &agent["pulls"][0]["have"]), (&json!("web1"), &json!(3)));
    assert_eq!(tracker.delete("/v1/agents/a").await.0, 204);
    for answer in [tracker.delete("/v1/agents/a").await, tracker.get("/v1/agents/a").await] {
        assert_eq!((answer.0.as_u16(), code(&answer.1)), (404, "not_found"));
    }
    assert_eq!(tracker.get("/v1/agents").await.1["live"], 1);
}

#[tokio::test]
async fn a_rollout_says_who_has_the_current_version_who_fetches_it_and_who_does_not() {
    let tracker = Running::start();
    let (old, new) = moved(&tracker).await;
    let failed =
        json!({"info_hash": new.info_hash(), "state": "failed", "have": 2, "length": 9, "reason": "disk full"});
    renew(&tracker, "a-has-it", json!([pull(&new, "seeding", 9)])).await;
    renew(&tracker, "b-fetches", json!([pull(&old, "seeding", 9), pull(&new, "fetching", 4)])).await;
    renew(&tracker, "c-failed", json!([failed])).await;
    renew(&tracker, "d-has-the-old-one", json!([pull(&old, "seeding", 9)])).await;
    renew(&tracker, "e-has-other-things", json!([pull(&torrent("other"), "seeding", 9)])).await;
    let mut follower = lease(&json!([]));
    follower["follows"] = json!(["demo:v1"]);
    tracker.put("/v1/agents/f-follows", follower).await;

    let (status, rollout) = tracker.get("/v1/rollout/demo:v1").await;
    assert_eq!((status.as_u16(), &rollout["tag"]["version"], &rollout["settled"]), (200, &json!(2), &json!(true)));
    let counts = json!({"agents": 5, "complete": 1, "fetching": 1, "failed": 1, "waiting": 2, "have": 15});
    assert_eq!((&rollout["counts"], &rollout["percent"]), (&counts, &json!(20)));
    let told = |agent: &Value| format!("{} {} {}", agent["id"], agent["state"], agent["version"]).replace('"', "");
    let agents: Vec<_> = rollout["agents"].as_array().unwrap().iter().map(told).collect();
    let expected = [
        "a-has-it complete 2",
        "b-fetches fetching 1",
        "c-failed failed null",
        "d-has-the-old-one waiting 1",
        "f-follows waiting null",
    ];
    assert_eq!(agents, expected);
    assert_eq!(rollout["agents"][2]["reason"], "disk full");

    let (_, page) = tracker.get("/v1/rollout/demo:v1?after=b-fetches&limit=1").await;
    assert_eq!((&page["agents"][0]["id"], &page["next"]), (&json!("c-failed"), &json!("c-failed")));
    assert_eq!(page["counts"], counts, "a page counts all agents");
    let (_, counted) = tracker.get("/v1/rollout/demo:v1?limit=0").await;
    assert_eq!((&counted["agents"], &counted["counts"]), (&json!([]), &counts));
}

#[tokio::test]
async fn a_rollout_to_nobody_is_at_0_percent_and_one_of_no_tag_is_not_there() {
    let tracker = Running::start();
    moved(&tracker).await;
    let (_, rollout) = tracker.get("/v1/rollout/demo:v1").await;
    assert_eq!((&rollout["percent"], &rollout["counts"]["agents"]), (&json!(0), &json!(0)));
    let (status, answer) = tracker.get("/v1/rollout/demo:v9").await;
    assert_eq!((status.as_u16(), code(&answer)), (404, "not_found"));
    assert_eq!(tracker.get("/v1/rollout/a%20b").await.0, 400);
    assert_eq!(tracker.send(Method::POST, "/v1/rollout/demo:v1", "").await.0, 405);
}

#[tokio::test]
async fn leases_that_cannot_be_are_refused() {
    let tracker = Running::start();
    let content = torrent("a");
    for id in ["a%20b", "a%2Fb", "%00", &"x".repeat(65), ""] {
        assert_eq!(tracker.put(&format!("/v1/agents/{id}"), lease(&json!([]))).await.0, 400, "{id}");
    }
    let good = lease(&json!([pull(&content, "seeding", 9)]));
    let wrong = [
        ("/peer_addr", json!("0.0.0.0:0"), "port 0"),
        ("/peer_addr", json!("nowhere"), "socket address"),
        ("/host", json!("x".repeat(201)), "201 bytes"),
        ("/host", json!("a\u{1b}[2J"), "control character"),
        ("/pulls", json!([{}]), "info_hash"),
        ("/pulls/0/state", json!("excellent"), "excellent"),
        ("/pulls/0/have", json!(-1), "-1"),
        ("/pulls/0/info_hash", json!("zz"), "zz"),
        ("/pulls", json!(vec![pull(&content, "seeding", 9); AgentLease::PULLS_MAX + 1]), "4097"),
    ];
    for (place, value, named) in wrong {
        let mut body = good.clone();
        *body.pointer_mut(place).unwrap() = value;
        let (status, answer) = tracker.put("/v1/agents/a", body).await;
        assert_eq!((status.as_u16(), code(&answer)), (400, "bad_request"), "{named}");
        assert!(message(&answer).contains(named), "{named}: {answer}");
    }
    for (key, value) in [("more", json!(1)), ("follows", json!(vec!["a:b"; AgentLease::FOLLOWS_MAX + 1]))] {
        let mut body = good.clone();
        body[key] = value;
        assert_eq!(tracker.put("/v1/agents/a", body).await.0, 400, "{key}");
    }
    let long = vec![b' '; AgentLease::BYTES_MAX + 1];
    assert_eq!(tracker.json(Method::PUT, "/v1/agents/a", long).await.0, 413);
    assert_eq!(tracker.send_as("text/plain", Method::PUT, "/v1/agents/a", good.to_string()).await.0, 415);
    assert_eq!(tracker.get("/v1/agents").await.1["live"], 0, "nothing of all that is kept");
}

#[tokio::test]
async fn the_largest_lease_is_taken() {
    let tracker = Running::start();
    let pulls = (0..AgentLease::PULLS_MAX).map(|number| {
        let reason = "\"".repeat(200);
        let info_hash = format!("{number:040x}");
        json!({"info_hash": info_hash, "state": "fetching", "have": u64::MAX, "length": u64::MAX,
               "download_rate": u64::MAX, "reason": reason})
    });
    let mut body = lease(&pulls.collect());
    let reference = format!("{}:{}", "n".repeat(255), "t".repeat(128));
    body["follows"] = json!(vec![reference; AgentLease::FOLLOWS_MAX]);
    assert_eq!(tracker.put("/v1/agents/a", body).await.0, 200);
    assert_eq!(tracker.get("/v1/agents").await.1["pulls"]["fetching"], AgentLease::PULLS_MAX);
}

#[tokio::test]
async fn agents_beyond_the_limit_are_told_to_come_later() {
    let tracker = Running::with(|config| config.agents_max = 1);
    renew(&tracker, "a", json!([])).await;
    let (status, answer) = tracker.put("/v1/agents/b", lease(&json!([]))).await;
    assert_eq!((status.as_u16(), code(&answer)), (503, "full"));
    assert!(message(&answer).contains("agents_max"), "{answer}");
    renew(&tracker, "a", json!([])).await;
}

#[tokio::test]
async fn metrics_and_the_dashboard_show_agents() {
    let tracker = Running::start();
    let (_, new) = moved(&tracker).await;
    let mut said = lease(&json!([pull(&new, "seeding", 9)]));
    said["host"] = json!("<b>web1");
    tracker.put("/v1/agents/agent-1", said).await;
    let text = reqwest::get(tracker.url("/metrics")).await.unwrap().text().await.unwrap();
    for line in ["nova_tracker_agents 1\n", "nova_tracker_agent_pulls{state=\"complete\"} 1\n"] {
        assert!(text.contains(line), "{line}{text}");
    }
    let page = reqwest::get(tracker.url("/")).await.unwrap().text().await.unwrap();
    for part in ["<h2>Agents</h2>", "agent-1", "&lt;b&gt;web1", "1 of 1<td class=number>1<td"] {
        assert!(page.contains(part), "{part}\n{page}");
    }
}

#[tokio::test]
async fn a_rollout_settles_once_agents_have_had_a_lease_to_come_back_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let config = Config { data_dir: directory.path().into(), ..Config::default() };
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let content = torrent("a");
    let said = AgentLease {
        peer_addr: ([127, 0, 0, 1], 1).into(),
        host: "web1".parse().unwrap(),
        pulls: vec![PullReport {
            info_hash: content.info_hash(),
            state: PullState::Seeding,
            have: 9,
            length: 9,
            download_rate: 0,
            reason: None,
        }],
        follows: Vec::new(),
    };
    let rollout = async |tracker: &Tracker, now| {
        let rollout = tracker.rollout("demo:v1".parse().unwrap(), None, 10, now).await.unwrap();
        (rollout.counts.complete, rollout.settled)
    };
    let tracker = Tracker::open(config.clone(), start).await.unwrap();
    let addr = ([127, 0, 0, 1], 9).into();
    let origin = nova_protocol::api::OriginLease { peer_addr: addr, fetch_addr: addr, http_addr: addr, free_bytes: 99 };
    tracker.renew("o", origin, start).await.unwrap();
    tracker.add_torrent(content.clone(), start).await.unwrap();
    let complete = ReplicaReport { state: ReplicaState::Complete, have: 9, reason: None };
    tracker.report("o", content.info_hash(), complete).await.unwrap();
    let wish = MoveTag { info_hash: content.info_hash(), expected_version: None, pusher: String::new() };
    tracker.move_tag("demo:v1".parse().unwrap(), wish, start).await.unwrap();
    tracker.renew_agent("a".parse().unwrap(), said.clone(), start).unwrap();
    assert_eq!(rollout(&tracker, start).await, (1, true), "nobody was here before the first start");
    tracker.tick(after(30)).await.unwrap();
    assert_eq!(rollout(&tracker, after(30)).await, (1, true));
    tracker.tick(after(31)).await.unwrap();
    assert_eq!(rollout(&tracker, after(31)).await, (0, true), "its lease has run out");
    drop(tracker);

    let tracker = Tracker::open(config, after(40)).await.unwrap();
    assert_eq!(rollout(&tracker, after(41)).await, (0, false));
    tracker.renew_agent("a".parse().unwrap(), said, after(50)).unwrap();
    assert_eq!(rollout(&tracker, after(69)).await, (1, false));
    assert_eq!(rollout(&tracker, after(70)).await, (1, true));
}
