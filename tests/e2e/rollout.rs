//! How far a fleet is with a tag, as its operator sees it.

#![allow(clippy::unwrap_used)]

use std::{fs, time::Duration};

use nova_protocol::api::{RolloutCounts, TagVersion};
use nova_seeder::agent_client::AgentClient;
use nova_tests::{Process, Signal, Stack, Tree, eventually};
use serde_json::Value;

const MINUTE: Duration = Duration::from_mins(1);
const LENGTH: usize = 4 << 20;

/// A tracker, an origin and agents whose lease is short; `demo` is pushed and every agent has it.
fn fleet(agents: &[&str]) -> (Stack, Vec<AgentClient>) {
    let mut stack = Stack::tracker_alone(&[("agent_lease_seconds", "9".to_owned())]);
    stack.add_origin("origin");
    let agents: Vec<_> = agents.iter().map(|name| stack.add_agent(name)).collect();
    let tag = push(&stack, "one");
    for agent in &agents {
        pull(&stack, agent, &tag);
    }
    (stack, agents)
}

/// Pushes another tree as `demo`.
fn push(stack: &Stack, tree: &str) -> TagVersion {
    stack.push(&Tree::of_everything(&stack.path(tree), LENGTH), "demo")
}

fn pull(stack: &Stack, agent: &AgentClient, tag: &TagVersion) {
    stack.block_on(agent.start("demo", &[])).unwrap();
    stack.pulled(agent, tag.info_hash, MINUTE);
}

fn counts(stack: &Stack) -> RolloutCounts {
    stack.block_on(stack.tracker.rollout(&"demo".parse().unwrap(), None, 0)).unwrap().counts
}

fn counted(stack: &Stack, agents: u64, complete: u64) {
    let what = format!("{complete} of {agents} agents have it");
    eventually(&what, MINUTE, || match counts(stack) {
        found if (found.agents, found.complete) == (agents, complete) => Ok(()),
        found => Err(found),
    });
}

#[test]
fn a_rollout_ends_when_the_share_is_reached() {
    let (stack, agents) = fleet(&["a", "b", "c"]);
    let tag = push(&stack, "two");
    counted(&stack, 3, 0);
    let arguments = ["rollout", "demo", "--wait", "100%", "--timeout", "60"];
    let mut waiting = stack.cli().spawn(stack.home.path(), arguments);
    for (agent, complete) in agents.iter().zip(1..) {
        assert_eq!(waiting.try_wait().unwrap(), None, "{complete} of 3 agents lack it");
        pull(&stack, agent, &tag);
        counted(&stack, 3, complete);
    }
    let output = waiting.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.ends_with("3 of 3 agents have demo:latest version 2 (100%)\n"), "{stdout}");
    assert!(stderr.contains("rollout"), "progress is told in lines: {stderr}");
}

#[test]
fn a_rollout_that_takes_too_long_says_who_is_missing() {
    let (stack, agents) = fleet(&["quick", "slow"]);
    let tag = push(&stack, "two");
    pull(&stack, &agents[0], &tag);
    counted(&stack, 2, 1);
    let rollout = |more: &[&str]| stack.cli().run(stack.home.path(), [&["rollout", "demo"], more].concat());
    let late = rollout(&["--wait", "100%", "--timeout", "1"]);
    assert_eq!((late.code, late.stdout.as_str()), (Some(2), ""), "{}", late.stderr);
    let expected = "1 of 2 agents have demo:latest version 2 (50%), 1 waiting, expected 100%; \
                    missing: slow (has version 1)";
    assert!(late.stderr.contains(expected), "{}", late.stderr);
    for enough in ["50%", "1"] {
        rollout(&["--wait", enough, "--timeout", "20", "--quiet"]).success();
    }
    let quiet = rollout(&["--wait", "1", "--quiet"]).success();
    assert_eq!(quiet.stderr, "");

    let shown = rollout(&[]).success().stdout;
    let rows: Vec<_> = shown.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(rows, ["AGENT", "slow", "quick", "1"], "{shown}");
    let json = rollout(&["--agents", "4", "--json"]).success().json();
    assert_eq!((&json["expected"], &json["percent"]), (&Value::from(4), &Value::from(25)));
    assert_eq!(json["agents"][0]["id"], "slow");
    let unknown = stack.cli().run(stack.home.path(), ["rollout", "none"]);
    assert_eq!(unknown.code, Some(1), "{}", unknown.stderr);
}

#[test]
fn an_agent_that_fetches_shows_how_far_it_is_and_how_fast() {
    let mut stack = Stack::start();
    stack.set("slow", "NOVA_AGENT_DOWNLOAD_LIMIT", "131072");
    let [quick, slow] = ["quick", "slow"].map(|name| stack.add_agent(name));
    let tag = push(&stack, "one");
    pull(&stack, &quick, &tag);
    stack.block_on(slow.start("demo", &[])).unwrap();
    let mut have = tag.length;
    // More often than leases are renewed.
    for _ in 0..4 {
        have = eventually("there is more than before", MINUTE, || match counts(&stack) {
            now if (now.complete, now.fetching) == (1, 1) && now.have > have => Ok(now.have),
            now => Err(now),
        });
    }
    eventually("the table shows it", MINUTE, || {
        let shown = stack.cli().run(stack.home.path(), ["rollout", "demo"]).success().stdout;
        let row: Vec<_> = shown.lines().find(|line| line.starts_with("slow")).unwrap().split_whitespace().collect();
        match row[..] {
            ["slow", _, "-", "fetching", share, _, unit] if share != "0%" && unit.ends_with("/s") => Ok(()),
            _ => Err(shown),
        }
    });
}

#[test]
fn an_agent_that_follows_and_has_not_begun_is_waiting() {
    let mut stack = Stack::start();
    push(&stack, "one");
    let (link, settings) = (stack.path("live"), stack.path("agent.toml"));
    // What is in the way of the link keeps the agent from pulling.
    fs::write(&link, "precious").unwrap();
    fs::write(&settings, format!("[[follow]]\nreference = 'demo'\nlink = '{}'\n", link.display())).unwrap();
    stack.set("agent", "NOVA_AGENT_CONFIG", settings.to_str().unwrap());
    let agent = stack.add_agent("agent");
    eventually("the agent counts", MINUTE, || match counts(&stack) {
        now if (now.agents, now.waiting) == (1, 1) => Ok(()),
        now => Err(now),
    });
    assert!(stack.block_on(agent.pulls()).unwrap().pulls.is_empty());
    let late = stack.cli().run(stack.home.path(), ["rollout", "demo", "--wait=1", "--timeout=1"]);
    assert!(late.stderr.contains("1 waiting, expected 1; missing: agent (has no version)"), "{}", late.stderr);
}

/// `nova-cli rollout demo`, which waits for an agent where there is none, and has seen the tag.
fn waiting(stack: &Stack, name: &str) -> Process {
    let mut command = stack.cli().command(stack.home.path(), ["rollout", "demo", "--wait=1"]);
    let waiting = Process::start(name, &mut command, &stack.path(&format!("{name}.log")));
    logged(&waiting, "rollout");
    waiting
}

fn logged(process: &Process, what: &str) {
    eventually(what, MINUTE, || if process.log().contains(what) { Ok(()) } else { Err(process.log()) });
}

fn exit_code(process: &mut Process) -> Option<i32> {
    eventually("it ends", MINUTE, || process.ended().ok_or("it waits")).code()
}

#[test]
fn a_rollout_follows_a_tag_that_moves_and_ends_with_one_that_is_removed_or_with_its_user() {
    let stack = Stack::start();
    push(&stack, "one");
    let [mut interrupted, mut left] = ["interrupted", "left"].map(|name| waiting(&stack, name));
    interrupted.signal(Signal::INT);
    assert_eq!(exit_code(&mut interrupted), Some(130), "{}", interrupted.log());
    push(&stack, "two");
    logged(&left, "demo:latest has moved to version 2");
    stack.cli().run(stack.home.path(), ["rm", "demo"]).success();
    assert_eq!(exit_code(&mut left), Some(1), "{}", left.log());
}

#[test]
fn a_first_rollout_waits_for_as_many_agents_as_it_is_told() {
    let mut stack = Stack::start();
    let tag = push(&stack, "one");
    let agents = ["a", "b"].map(|name| stack.add_agent(name));
    let arguments = ["rollout", "demo", "--wait", "100%", "--agents", "2", "--json"];
    let mut waiting = stack.cli().spawn(stack.home.path(), arguments);
    pull(&stack, &agents[0], &tag);
    counted(&stack, 1, 1);
    assert_eq!(waiting.try_wait().unwrap(), None, "one of two agents has it");
    pull(&stack, &agents[1], &tag);
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success());
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&outcome["percent"], &outcome["counts"]["complete"]), (&Value::from(100), &Value::from(2)));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_agent_that_is_killed_is_gone_after_its_lease_and_one_that_ends_in_order_is_gone_at_once() {
    let (mut stack, _) = fleet(&["a", "b", "c"]);
    counted(&stack, 3, 3);
    assert!(stack.part("c").terminate().success());
    assert_eq!(counts(&stack).agents, 2, "it said goodbye");
    stack.kill("b");
    counted(&stack, 1, 1);
    let status = stack.cli().run(stack.home.path(), ["status"]).success().stdout;
    assert!(status.contains("agents   1 live, with 1 complete, 0 fetching, 0 failed pulls"), "{status}");
    stack.start_agent("b");
    counted(&stack, 2, 2);
}

#[test]
fn a_rollout_outlives_a_tracker_that_is_killed() {
    let (mut stack, agents) = fleet(&["a", "b"]);
    let tag = push(&stack, "two");
    counted(&stack, 2, 0);
    let arguments = ["rollout", "demo", "--wait", "100%", "--timeout", "60"];
    let mut waiting = stack.cli().spawn(stack.home.path(), arguments);
    pull(&stack, &agents[0], &tag);
    counted(&stack, 2, 1);
    stack.kill("tracker");
    stack.start_tracker();
    counted(&stack, 2, 1);
    assert_eq!(waiting.try_wait().unwrap(), None, "one of two agents has it, whoever came back first");
    pull(&stack, &agents[1], &tag);
    let output = waiting.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 of 2 agents have demo:latest version 2 (100%)"));
}

#[test]
fn an_agent_keeps_its_id_and_refuses_one_that_is_none() {
    let mut stack = Stack::tracker_alone(&[]);
    stack.set("agent", "NOVA_AGENT_ID", "flags win");
    stack.add_agent("agent");
    eventually("the agent is live", MINUTE, || {
        let page = stack.block_on(stack.tracker.agents(None, 10)).unwrap();
        page.agents.first().map(|agent| agent.id.to_string()).filter(|id| id == "agent").ok_or(page.live)
    });
    let mut command = std::process::Command::new(nova_tests::program("nova-seeder"));
    command.args(["agent", "--id=a b", "--peers-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--data-dir"]);
    let refused = command.arg(stack.path("other")).output().unwrap();
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("\"a b\" is not an agent id: expected 1 to 64 letters"), "{stderr}");
}
