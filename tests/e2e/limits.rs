//! How fast an agent may go, and that this changes while it runs.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    time::{Duration, Instant},
};

use nova_protocol::{
    InfoHash, Rate,
    api::{Pull, PullState, SetPullLimits},
};
use nova_seeder::agent_client::AgentClient;
use nova_tests::{Peer, Stack, Tree, eventually};

const MIB: u64 = 1 << 20;
const WITHIN: Duration = Duration::from_mins(1);
/// What 4 MiB take at 1 MiB a second at least: a second's worth comes at once.
const AT_ONE_MIB: Duration = Duration::from_millis(2900);

fn limits(stack: &Stack, arguments: &[&str]) -> serde_json::Value {
    let at = format!("http://{}", stack.agent_addr("agent"));
    let command = ["limits", "--json", "--agent", &at].into_iter().chain(arguments.iter().copied());
    stack.cli().run(stack.home.path(), command).success().json()
}

/// A stack with an agent, and one file of so many bytes that is pushed as `demo`.
fn pushed(length: u64) -> (Stack, AgentClient, InfoHash) {
    pushed_with(length, &[])
}

/// The same with settings of the agent.
fn pushed_with(length: u64, settings: &[(&'static str, &str)]) -> (Stack, AgentClient, InfoHash) {
    let mut stack = Stack::start();
    for (setting, value) in settings {
        stack.set("agent", setting, value);
    }
    let agent = stack.add_agent("agent");
    let tree = Tree::new(&stack.path("demo")).file("file", usize::try_from(length).unwrap()).root();
    let info_hash = stack.push(&tree, "demo").info_hash;
    (stack, agent, info_hash)
}

/// How long the agent takes to pull everything.
fn pull(stack: &Stack, agent: &AgentClient) -> Duration {
    let start = Instant::now();
    let info_hash = stack.block_on(agent.start("demo", &[])).unwrap().info_hash;
    stack.pulled(agent, info_hash, WITHIN);
    start.elapsed()
}

/// How long a peer takes to get everything from the agent.
fn upload(stack: &Stack, info_hash: InfoHash) -> Duration {
    let addr = stack.agent_peers("agent");
    let mut peer = eventually("the agent serves it", WITHIN, || Peer::join(addr, info_hash).ok_or("no answer"));
    let info = stack.metainfo(info_hash, "").info;
    let start = Instant::now();
    let bytes = peer.fetch(&info);
    let took = start.elapsed();
    assert!(bytes == fs::read(stack.path("demo/file")).unwrap());
    took
}

fn reached(stack: &Stack, agent: &AgentClient, info_hash: InfoHash, have: u64) -> Pull {
    eventually("some of it is there", WITHIN, || match stack.block_on(agent.pull(info_hash)) {
        Ok(pull) if pull.have >= have && pull.state != PullState::Checking => Ok(pull),
        other => Err(format!("{other:?}")),
    })
}

#[test]
fn a_pull_takes_as_long_as_its_limit_says() {
    let (stack, agent, _) = pushed(4 * MIB);
    let set = limits(&stack, &["--download", "1M"]);
    assert_eq!((&set["download_limit"], &set["upload_limit"]), (&MIB.into(), &0.into()));
    let took = pull(&stack, &agent);
    assert!(took >= AT_ONE_MIB, "{took:?}");
}

#[test]
fn a_pull_takes_as_long_as_the_schedule_says_without_anybody_asking_for_limits() {
    let whole_day = r#"[{from="00:00",to="00:00",download_limit=1048576}]"#;
    let (stack, agent, _) = pushed_with(4 * MIB, &[("NOVA_AGENT_SCHEDULE", whole_day)]);
    let took = pull(&stack, &agent);
    assert!(took >= AT_ONE_MIB, "{took:?}");
}

#[test]
fn a_torrent_comes_and_goes_as_fast_as_the_settings_say_of_each() {
    let settings =
        ["NOVA_AGENT_TORRENT_DOWNLOAD_LIMIT", "NOVA_AGENT_TORRENT_UPLOAD_LIMIT"].map(|name| (name, "1048576"));
    let (stack, agent, info_hash) = pushed_with(4 * MIB, &settings);
    let took = [pull(&stack, &agent), upload(&stack, info_hash)];
    assert!(took.iter().min() >= Some(&AT_ONE_MIB), "{took:?}");
}

#[test]
fn an_upload_takes_as_long_as_the_limit_of_the_host_or_of_its_torrent_says() {
    let (stack, agent, info_hash) = pushed(4 * MIB);
    pull(&stack, &agent);
    limits(&stack, &["--upload", "1M"]);
    let by_host = upload(&stack, info_hash);
    limits(&stack, &["--reset"]);
    limits(&stack, &[&info_hash.to_string(), "--upload", "1M"]);
    let by_torrent = upload(&stack, info_hash);
    assert!(by_host.min(by_torrent) >= AT_ONE_MIB, "{by_host:?}, {by_torrent:?}");
}

#[test]
fn a_pull_has_no_more_peers_than_it_may_and_more_when_it_may() {
    let (mut stack, agent, info_hash) =
        pushed_with(8 * MIB, &[("NOVA_AGENT_PEERS_MAX", "1"), ("NOVA_AGENT_DOWNLOAD_LIMIT", "262144")]);
    for name in ["a", "b", "c"] {
        let other = stack.add_agent(name);
        pull(&stack, &other);
    }
    stack.block_on(agent.start("demo", &[])).unwrap();
    let look = |most: u32| {
        let pull = stack.block_on(agent.pull(info_hash)).unwrap();
        assert!(pull.peers <= most && pull.state != PullState::Seeding, "{pull:?}");
        pull
    };
    // Four seconds, in which all others would be met.
    eventually("it fetches", WITHIN, || Some(look(1)).filter(|pull| pull.have >= 5 * MIB / 4).ok_or("little yet"));
    limits(&stack, &[&info_hash.to_string(), "--peers", "3"]);
    eventually("it has several peers", WITHIN, || Some(look(3)).filter(|pull| pull.peers > 1).ok_or("too few"));
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
    let (stack, agent, info_hash) = pushed(24 * MIB);
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
