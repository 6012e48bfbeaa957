//! How content gets from an agent to its place, as the user demands.

#![allow(clippy::unwrap_used)]

use std::{fs, os::unix::fs::MetadataExt};

use nova_protocol::InfoHash;
use nova_tests::{Output, SmallDisk, Stack, Tree, assert_same};

/// A stack with an agent; a directory with one file is pushed as `demo`.
fn pushed() -> (Stack, InfoHash) {
    let mut stack = Stack::start();
    stack.add_agent("agent");
    let tree = Tree::new(&stack.path("demo")).file("file", 100_000).root();
    let info_hash = stack.push(&tree, "demo").info_hash;
    (stack, info_hash)
}

fn pull(stack: &Stack, out: &str, delivery: &str) -> Output {
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let pull = ["pull", "demo", &port, "--download-dir", out, "--delivery", delivery];
    stack.cli().run(stack.home.path(), pull)
}

#[test]
fn content_is_the_agents_own_or_a_copy_as_the_user_demands() {
    let (stack, info_hash) = pushed();
    pull(&stack, "linked", "hardlink").success();
    pull(&stack, "copied", "copy").success();
    let found = |path: &str| fs::metadata(stack.path(path)).unwrap();
    let kept = found(&format!("agent/store/content/{info_hash}/demo/file"));
    let (linked, copied) = (found("linked/demo/file"), found("copied/demo/file"));
    assert_eq!((linked.dev(), linked.ino(), linked.mode() & 0o7777), (kept.dev(), kept.ino(), 0o444));
    assert_ne!((copied.dev(), copied.ino()), (kept.dev(), kept.ino()));
    assert_eq!(copied.mode() & 0o600, 0o600);
    for out in ["linked/demo", "copied/demo"] {
        assert_same(&stack.path("demo"), &stack.path(out));
    }
}

#[test]
fn what_cannot_be_as_the_user_demands_is_an_error_and_no_copy() {
    let (stack, _) = pushed();
    let disk = SmallDisk::mount(&stack.path("small"), 8);
    let refused = pull(&stack, "small", "reflink");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("cannot reflink") && refused.stderr.contains("--delivery=copy"), "{refused:?}");
    assert!(disk.listing().is_empty(), "{:?}", disk.listing());

    let alone = ["pull", "demo", "--no-agent", "--download-dir=alone", "--delivery=hardlink"];
    let refused = stack.cli().run(stack.home.path(), alone);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--delivery=hardlink needs an agent"), "{}", refused.stderr);
    assert!(!stack.path("alone").exists());
}
