//! Full disks: a clear error, and nothing partial left.

#![allow(clippy::unwrap_used)]

use std::{fs, time::Duration};

use nova_seeder::agent_client::AgentClient;
use nova_tests::{SmallDisk, Stack, Tree, eventually};

const MINUTE: Duration = Duration::from_mins(1);

fn assert_refused_and_empty(stack: &Stack, disk: &SmallDisk, agent: &str) {
    let output = stack.cli().run(stack.home.path(), ["pull", "demo", agent, "--download-dir=small"]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.to_lowercase().contains("no space left"), "{}", output.stderr);
    assert!(disk.listing().is_empty(), "{:?}", disk.listing());
}

#[test]
fn a_pull_to_a_full_disk_says_so_and_leaves_nothing() {
    let stack = Stack::start();
    stack.push(&Tree::of_everything(&stack.path("demo"), 32 << 20), "demo");
    let disk = SmallDisk::mount(&stack.path("small"), 8);
    assert_refused_and_empty(&stack, &disk, "--no-agent");
}

#[test]
fn a_version_that_has_no_room_is_named_by_where_it_would_have_been() {
    let stack = Stack::start();
    let tag = stack.push(&Tree::of_everything(&stack.path("demo"), 32 << 20), "demo");
    let _disk = SmallDisk::mount(&stack.path("small"), 8);
    let output = stack.cli().run(stack.home.path(), ["pull", "demo", "--no-agent", "--link=small/live"]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    let place = format!("small/.live.versions/{}", tag.info_hash);
    assert!(output.stderr.contains(&format!(" {place}/")), "{}", output.stderr);
    assert!(fs::read_dir(stack.path(&place)).unwrap().next().is_none() && !stack.path("small/live").exists());
}

#[test]
fn a_pull_through_an_agent_to_a_full_disk_says_so_and_leaves_nothing() {
    let mut stack = Stack::start();
    stack.push(&Tree::of_everything(&stack.path("demo"), 32 << 20), "demo");
    stack.add_agent("agent");
    let disk = SmallDisk::mount(&stack.path("small"), 8);
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    assert_refused_and_empty(&stack, &disk, &port);
}

#[test]
fn a_push_that_no_origin_has_space_for_says_so() {
    let mut stack = Stack::tracker_alone(&[]);
    let _disk = SmallDisk::mount(&stack.path("origin"), 8);
    stack.set("origin", "NOVA_ORIGIN_FREE_SPACE_FLOOR", "0");
    stack.add_origin("origin");
    Tree::of_everything(&stack.path("demo"), 32 << 20);
    let output = stack.cli().run(stack.home.path(), ["push", "demo"]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("no origin has room"), "{}", output.stderr);
}

#[test]
fn an_agent_without_space_shows_as_failed_in_a_rollout() {
    let mut stack = Stack::start();
    stack.push(&Tree::of_everything(&stack.path("demo"), 32 << 20), "demo");
    let _disk = SmallDisk::mount(&stack.path("agent"), 8);
    let agent = stack.add_agent("agent");
    let refused = stack.block_on(agent.start("demo", &[])).unwrap_err().to_string();
    assert!(refused.contains("no space left"), "{refused}");
    let shown = eventually("the agent shows as failed", MINUTE, || {
        let shown = stack.cli().run(stack.home.path(), ["rollout", "demo"]).success().stdout;
        if shown.contains("(0%), 1 failed") { Ok(shown) } else { Err(shown) }
    });
    assert!(shown.contains("failed") && shown.contains("no space left"), "{shown}");
    let late = stack.cli().run(stack.home.path(), ["rollout", "demo", "--wait=1", "--timeout=1"]);
    assert!(late.code == Some(2) && late.stderr.contains("missing: agent (failed: no space left"), "{}", late.stderr);
}

fn held(stack: &Stack, agent: &AgentClient) -> Vec<String> {
    stack.block_on(agent.pulls()).unwrap().pulls.into_iter().map(|pull| pull.name).collect()
}

#[test]
fn what_else_fills_the_disk_of_an_agent_leaves_less_to_its_cache() {
    let mut stack = Stack::start();
    let pushed = ["a", "b", "c"].map(|name| {
        let tree = Tree::new(&stack.path(name)).file("file", 4 << 20).root();
        stack.push(&tree, name).info_hash
    });
    let _disk = SmallDisk::mount(&stack.path("agent"), 24);
    stack.set("agent", "NOVA_AGENT_FREE_SPACE_FLOOR", &(8 << 20).to_string());
    let agent = stack.add_agent("agent");
    let pull = |name: &str| {
        let info_hash = stack.block_on(agent.start(name, &[])).unwrap().info_hash;
        stack.pulled(&agent, info_hash, MINUTE);
    };
    let fill = |mib: usize| fs::write(stack.path("agent/filler"), vec![1; mib << 20]).unwrap();
    let is_there = || pushed.map(|info_hash| stack.path(&format!("agent/store/content/{info_hash}")).exists());
    pull("a");
    pull("b");
    assert_eq!(held(&stack, &agent), ["a", "b"]);

    fill(5);
    pull("c");
    assert_eq!(held(&stack, &agent), ["b", "c"]);
    assert_eq!(is_there(), [false, true, true]);

    fill(9);
    eventually("one makes way by itself", MINUTE, || match is_there() {
        [false, false, true] => Ok(()),
        other => Err(other),
    });
    assert_eq!(held(&stack, &agent), ["c"]);
}
