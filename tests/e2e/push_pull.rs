//! The main job, as a user does it.

#![allow(clippy::unwrap_used)]

use std::{fs, time::Duration};

use nova_tests::{Stack, Tree, assert_same};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_pushed_tree_is_pulled_byte_for_byte_without_an_agent() {
    let stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), 20 << 20);
    let tag = stack.push(&tree, "models/demo:v1");
    assert_eq!((tag.version, tag.torrent_name.as_str()), (1, "demo"));

    let out = stack.path("out");
    let arguments = ["--json", "pull", "models/demo:v1", "--no-agent", "--download-dir", "out"];
    let outcome = stack.cli().run(stack.home.path(), arguments).success().json();
    assert_eq!(outcome["had"], 0, "{outcome}");
    assert_same(&tree, &out.join("demo"));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "nothing else is left in the destination");
}

#[test]
fn a_pull_through_an_agent_leaves_it_seeding() {
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    let tree = Tree::of_everything(&stack.path("demo"), 20 << 20);
    let tag = stack.push(&tree, "demo");

    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    stack.cli().run(stack.home.path(), ["pull", &port, "--tag=demo:latest", "--download-dir=out"]).success();
    assert_same(&tree, &stack.path("out/demo"));
    stack.pulled(&agent, tag.info_hash, MINUTE);
}
