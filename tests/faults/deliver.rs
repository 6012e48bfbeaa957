//! Pulls that are cut when all has come, while content gets its name.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nova_protocol::api::TagVersion;
use nova_seeder::{
    deliver::{Delivery, Replace},
    pull::{self, Progress, PullError, Request},
    source::Source,
};
use nova_tests::{Process, Stack, Tree, assert_same, at_once};
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_mins(1);

/// Pushes a tree `demo` of two files, the first of so many bytes.
fn pushed(stack: &Stack, version: &str, length: usize) -> (PathBuf, TagVersion) {
    let tree = Tree::new(&stack.path(&format!("{version}/demo"))).file("large", length).file("small", 1 << 20).root();
    let tag = stack.push(&tree, "demo");
    (tree, tag)
}

fn pulling(stack: &Stack, arguments: &[&str]) -> Process {
    let mut command = stack.cli().command(stack.home.path(), [&["pull", "demo"], arguments].concat());
    Process::start("pull", &mut command, &stack.path("pull.log"))
}

fn pull(stack: &Stack, arguments: &[&str]) -> serde_json::Value {
    stack.cli().run(stack.home.path(), [&["pull", "demo", "--json"], arguments].concat()).success().json()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn one_whose_time_is_over_while_it_delivers_keeps_what_has_come() {
    let stack = Stack::start();
    let (tree, tag) = pushed(&stack, "one", 8 << 20);
    let stop = CancellationToken::new();
    let request = Request {
        source: Source::Reference(tag.reference.clone()),
        directory: stack.path("out"),
        replace: Replace::Nothing,
        delivery: Delivery::Auto,
        is_durable: true,
        no_preserve: Vec::new(),
        reuse: Vec::new(),
        listen: ([127, 0, 0, 1], 0).into(),
        stall_after: MINUTE,
        deadline: Some(Instant::now()),
    };
    let over = stop.clone();
    let observe = move |progress| {
        if matches!(progress, Progress::Delivering { .. }) {
            over.cancel();
        }
    };
    let cut = stack.block_on(pull::pull(&stack.tracker, &request, observe, &stop));
    assert!(matches!(cut, Err(PullError::Cancelled(_))), "{cut:?}");
    assert_eq!(names(&stack.path("out")), [format!(".nova-{}", tag.info_hash)]);
    let again = pull(&stack, &["--no-agent", "--download-dir=out"]);
    assert_eq!((&again["reused"], &again["from_origins"]), (&again["length"], &0.into()), "{again}");
    assert_same(&tree, &stack.path("out/demo"));
    assert_eq!(names(&stack.path("out")), ["demo"]);
}

#[test]
fn one_that_is_killed_when_its_content_has_its_name_leaves_what_the_next_removes() {
    let stack = Stack::start();
    let (tree, _) = pushed(&stack, "one", 8 << 20);
    let mut killed = pulling(&stack, &["--no-agent", "--download-dir=out"]);
    at_once("it has its name", || stack.path("out/demo").exists());
    killed.kill();
    assert_same(&tree, &stack.path("out/demo"));
    assert_eq!(pull(&stack, &["--no-agent", "--download-dir=out"])["was_there"], true);
    assert_eq!(names(&stack.path("out")), ["demo"]);
}

#[test]
fn one_that_is_killed_while_it_replaces_a_tree_leaves_the_old_one_and_finishes_when_run_again() {
    let mut stack = Stack::start();
    stack.add_agent("agent");
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let arguments = [port.as_str(), "--replace", "--delivery=copy", "--download-dir=out"];
    let (first, _) = pushed(&stack, "one", 1 << 20);
    pull(&stack, &arguments);
    let (second, _) = pushed(&stack, "two", 192 << 20);
    let mut killed = pulling(&stack, &arguments);
    at_once("the delivery has begun", || names(&stack.path("out")).iter().any(|name| name.starts_with(".nova-stage-")));
    killed.kill();
    assert_same(&first, &stack.path("out/demo"));
    pull(&stack, &arguments);
    assert_same(&second, &stack.path("out/demo"));
    assert_eq!(names(&stack.path("out")), ["demo"]);
}

#[test]
fn one_that_is_killed_at_the_swap_of_a_symlink_leaves_it_at_a_whole_version() {
    let stack = Stack::start();
    let mut before = None;
    for (more, version) in ["one", "two", "three"].into_iter().enumerate() {
        let (tree, tag) = pushed(&stack, version, (1 << 20) + more);
        let mut killed = pulling(&stack, &["--no-agent", "--link=live"]);
        let hash = tag.info_hash.to_string();
        at_once("the symlink leads to it", || {
            fs::read_link(stack.path("live")).is_ok_and(|target| target.to_str().unwrap().contains(&hash))
        });
        killed.kill();
        assert_same(&tree, &stack.path("live").canonicalize().unwrap());
        pull(&stack, &["--no-agent", "--link=live"]);
        let mut left: Vec<_> = before.iter().chain([&hash]).cloned().collect();
        left.extend(before.is_some().then(|| "previous".to_owned()));
        left.sort();
        assert_eq!(names(&stack.path(".live.versions")), left);
        assert_eq!(names(&stack.path(".live.versions").join(&hash)), ["demo"]);
        before = Some(hash);
    }
}
