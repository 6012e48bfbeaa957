//! How fast an agent may go, and that this changes while it runs.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use nova_protocol::{
    InfoHash, Rate,
    api::{Pull, PullState, SetPullLimits},
};
use nova_seeder::agent_client::AgentClient;
use nova_tests::{Stack, Tree, eventually};

const MIB: u64 = 1 << 20;
const WITHIN: Duration = Duration::from_mins(1);

fn limits(stack: &Stack, arguments: &[&str]) -> serde_json::Value {
    let at = format!("http://{}", stack.agent_addr("agent"));
    let command = ["limits", "--json", "--agent", &at].into_iter().chain(arguments.iter().copied());
    stack.cli().run(stack.home.path(), command).success().json()
}

/// A stack with an agent, and one file of so many bytes that is pushed as `demo`.
fn pushed(length: u64) -> (Stack, AgentClient, InfoHash) {
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    let tree = Tree::new(&stack.path("demo")).file("file", usize::try_from(length).unwrap()).root();
    let info_hash = stack.push(&tree, "demo").info_hash;
    (stack, agent, info_hash)
}

fn reached(stack: &Stack, agent: &AgentClient, info_hash: InfoHash, have: u64) -> Pull {
    eventually("some of it is there", WITHIN, || match stack.block_on(agent.pull(info_hash)) {
        Ok(pull) if pull.have >= have && pull.state != PullState::Checking => Ok(pull),
        other => Err(format!("{other:?}")),
    })
}

#[test]
fn a_pull_takes_as_long_as_its_limit_says() {
    let (stack, agent, info_hash) = pushed(4 * MIB);
    let set = limits(&stack, &["--download", "1M"]);
    assert_eq!((&set["download_limit"], &set["upload_limit"]), (&MIB.into(), &0.into()));
    let start = Instant::now();
    stack.block_on(agent.start("demo", &[])).unwrap();
    stack.pulled(&agent, info_hash, WITHIN);
    // A second's worth comes at once.
    assert!(start.elapsed() >= Duration::from_millis(2900), "{:?}", start.elapsed());
}

#[test]
fn a_limit_that_is_lifted_is_lifted_for_pulls_on_their_way() {
    let (stack, agent, info_hash) = pushed(16 * MIB);
    limits(&stack, &["--download", "64K"]);
    stack.block_on(agent.start("demo", &[])).unwrap();
    let pull = reached(&stack, &agent, info_hash, 1);
    // It would take more than four minutes.
    assert!(pull.have < pull.length / 2, "{pull:?}");
    let reset = limits(&stack, &["--reset"]);
    assert_eq!((reset["set_by"].as_str(), &reset["download_limit"]), (Some("settings"), &0.into()));
    stack.pulled(&agent, info_hash, WITHIN);
}

#[test]
fn a_pull_whose_limits_change_keeps_what_it_has() {
    let (stack, agent, info_hash) = pushed(12 * MIB);
    limits(&stack, &["--download", "2M"]);
    stack.block_on(agent.start("demo", &[])).unwrap();
    let before = reached(&stack, &agent, info_hash, 5 * MIB);
    let set = limits(&stack, &[&info_hash.to_string(), "--download", "16K", "--peers", "9"]);
    assert_eq!((set["download_limit"].as_u64(), set["peers_max"].as_u64()), (Some(16 << 10), Some(9)));
    let after = reached(&stack, &agent, info_hash, before.have);
    assert_eq!(after.state, PullState::Fetching);
    // At 16 KiB a second, only what is noted can be there.
    let fetched: u64 = after.sources.iter().map(|source| source.bytes).sum();
    assert!(fetched < MIB, "{fetched} bytes came again: {after:?}");

    limits(&stack, &["--reset"]);
    let reset = limits(&stack, &[&info_hash.to_string(), "--reset"]);
    assert_eq!((reset["set_by"].as_str(), reset["peers_max"].as_u64()), (Some("settings"), Some(128)));
    let done = stack.pulled(&agent, info_hash, WITHIN);
    let fetched: u64 = done.sources.iter().map(|source| source.bytes).sum();
    assert!(fetched <= done.length - before.have, "{fetched} bytes came after {}", before.have);
}

#[test]
fn a_pull_is_there_all_the_time_while_its_limits_change() {
    let (stack, agent, info_hash) = pushed(MIB);
    stack.block_on(agent.start("demo", &[])).unwrap();
    stack.pulled(&agent, info_hash, WITHIN);
    let ask = || async { drop(agent.pull(info_hash).await.unwrap()) };
    stack.block_on(async {
        for upload in (1 << 20)..(1 << 20) + 20 {
            let set = SetPullLimits { upload_limit: Some(Rate::try_from(upload).unwrap()), ..SetPullLimits::default() };
            let change = async { agent.set_pull_limits(info_hash, Some(&set)).await.unwrap() };
            let mut change = std::pin::pin!(change);
            loop {
                tokio::select! {
                    biased;
                    set = &mut change => break assert_eq!(u32::from(set.upload_limit), upload),
                    _ = async { tokio::join!(ask(), ask(), ask(), ask()) } => {}
                }
            }
        }
    });
    stack.pulled(&agent, info_hash, WITHIN);
}

#[test]
fn the_schedule_holds_until_somebody_sets_limits_by_hand() {
    let mut stack = Stack::start();
    stack.set("agent", "NOVA_AGENT_SCHEDULE_CLOCK", "utc");
    stack.set("agent", "NOVA_AGENT_UPLOAD_LIMIT", "1000000");
    let always = r#"[{from="00:00",to="12:00",download_limit=500000},{from="12:00",to="00:00",download_limit=500000}]"#;
    stack.set("agent", "NOVA_AGENT_SCHEDULE", always);
    stack.add_agent("agent");
    let scheduled = limits(&stack, &[]);
    assert_eq!(scheduled["set_by"], "schedule", "{scheduled}");
    assert_eq!(
        (scheduled["upload_limit"].as_u64(), scheduled["download_limit"].as_u64()),
        (Some(1_000_000), Some(500_000))
    );
    let noon = scheduled["until"].as_u64().unwrap();
    assert_eq!(noon % (12 * 3600), 0);
    let set = limits(&stack, &["--upload", "none"]);
    assert_eq!(
        (set["set_by"].as_str(), set["upload_limit"].as_u64(), set["until"].as_u64()),
        (Some("hand"), Some(0), Some(noon))
    );
    assert_eq!(limits(&stack, &["--reset"]), scheduled);
}

#[test]
fn limits_that_let_nothing_pass_are_refused() {
    let mut stack = Stack::tracker_alone(&[]);
    stack.add_agent("agent");
    let (http, url) = (reqwest::Client::new(), format!("http://{}/v1/limits", stack.agent_addr("agent")));
    for body in
        [r#"{"upload_limit":16383}"#, "{}", r#"{"upload_limit":-1}"#, r#"{"up":0}"#, r#"{"upload_limit":5000000000}"#]
    {
        let set = http.put(&url).header("content-type", "application/json").body(body);
        let answer = stack.block_on(set.send()).unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        let message = stack.block_on(answer.text()).unwrap();
        assert!(message.contains("expected"), "{message}");
    }
}
