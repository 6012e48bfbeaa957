//! A pull that gets nothing says what it waits for, tries another way, and never hangs.

#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf, time::Duration};

use nova_protocol::api::WaitsFor;
use nova_tests::{Stack, Tree, assert_same, eventually};

const MINUTE: Duration = Duration::from_mins(1);

/// A tracker and an origin that no peer can connect to, which has `demo`.
fn deaf_origin() -> (Stack, PathBuf) {
    let mut stack = Stack::tracker_alone(&[]);
    stack.set("origin", "NOVA_ORIGIN_CONNECTIONS_MAX", "0");
    stack.add_origin("origin");
    let tree = Tree::of_everything(&stack.path("demo"), 8 << 20);
    stack.push(&tree, "demo");
    (stack, tree)
}

#[test]
fn an_agent_that_gets_nothing_from_peers_takes_it_from_an_origin_over_http() {
    let (mut stack, tree) = deaf_origin();
    stack.set("agent", "NOVA_AGENT_STALL_TIMEOUT", "1");
    stack.add_agent("agent");
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let pulled = stack.cli().run(stack.home.path(), ["--json", "pull", "demo", &port, "--download-dir=out"]).success();
    assert_same(&tree, &stack.path("out/demo"));
    let pulled = pulled.json();
    assert_eq!(pulled["from_origins"], pulled["length"], "{pulled}");
}

#[test]
fn a_pull_without_an_agent_takes_it_over_http_too() {
    let (stack, tree) = deaf_origin();
    fs::write(stack.path("cli.toml"), "stall_timeout = 1").unwrap();
    let arguments = ["--config=cli.toml", "pull", "demo", "--no-agent", "--download-dir=out"];
    stack.cli().run(stack.home.path(), arguments).success();
    assert_same(&tree, &stack.path("out/demo"));
}

#[test]
fn a_pull_says_what_it_waits_for() {
    let (mut stack, _) = deaf_origin();
    let agent = stack.add_agent("agent");
    let info_hash = stack.block_on(agent.start("demo", &[])).unwrap().info_hash;
    eventually("it waits for a peer", MINUTE, || match stack.block_on(agent.pull(info_hash)).unwrap().waits_for {
        Some(WaitsFor::Peers) => Ok(()),
        other => Err(other),
    });
}

#[test]
fn a_pull_whose_time_is_over_fails_with_code_2_and_the_next_goes_on_from_it() {
    let mut stack = Stack::tracker_alone(&[]);
    stack.set("origin", "NOVA_ORIGIN_UPLOAD_LIMIT", "1048576");
    stack.add_origin("origin");
    let tree = Tree::of_everything(&stack.path("demo"), 16 << 20);
    let info_hash = stack.push(&tree, "demo").info_hash;

    let arguments = ["pull", "demo", "--no-agent", "--download-dir=out", "--timeout=6"];
    let late = stack.cli().run(stack.home.path(), arguments);
    assert_eq!(late.code, Some(2), "{}", late.stderr);
    assert!(late.stderr.contains("gave up after 6 s") && late.stderr.contains("is kept"), "{}", late.stderr);
    assert!(stack.path(&format!("out/.nova-{info_hash}")).is_dir());

    stack.kill("origin");
    stack.set("origin", "NOVA_ORIGIN_UPLOAD_LIMIT", "0");
    stack.start_origin("origin");
    let again = ["--json", "pull", "demo", "--no-agent", "--download-dir=out"];
    let again = stack.cli().run(stack.home.path(), again).success().json();
    assert!(again["from_origins"].as_u64() < again["length"].as_u64(), "{again}");
    assert_same(&tree, &stack.path("out/demo"));
    assert_eq!(fs::read_dir(stack.path("out")).unwrap().count(), 1, "nothing else is left");
}
