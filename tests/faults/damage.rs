//! Content that was damaged or lost on a disk, and words that were lost on the way.

#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::PathBuf,
    time::Duration,
};

use nova_protocol::InfoHash;
use nova_tests::{Signal, Stack, Tree, assert_same, eventually};

const MINUTE: Duration = Duration::from_mins(1);

fn content(stack: &Stack, part: &str, info_hash: InfoHash) -> PathBuf {
    stack.path(part).join("store/content").join(info_hash.to_string()).join("demo")
}

fn damage(stack: &Stack, part: &str, info_hash: InfoHash) {
    let file = File::options().write(true).open(content(stack, part, info_hash).join("weights.bin")).unwrap();
    file.write_all_at(b"damage", 1_000_000).unwrap();
}

#[test]
fn an_agent_never_delivers_damaged_content() {
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    let tree = Tree::of_everything(&stack.path("demo"), 8 << 20);
    let tag = stack.push(&tree, "demo");
    stack.block_on(agent.start("demo", &[])).unwrap();
    stack.pulled(&agent, tag.info_hash, MINUTE);
    let mark = stack.path("agent").join("store/complete").join(tag.info_hash.to_string());
    eventually("it is marked as intact", MINUTE, || mark.exists().then_some(()).ok_or("no mark"));
    damage(&stack, "agent", tag.info_hash);

    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    stack.cli().run(stack.home.path(), ["pull", "demo", &port, "--download-dir", "out"]).success();
    assert_same(&tree, &stack.path("out/demo"));
}

#[test]
fn an_origin_that_lost_content_says_so_and_gets_it_from_the_next_push() {
    let mut stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), 8 << 20);
    let tag = stack.push(&tree, "demo");
    assert!(stack.part("origin").terminate().success());
    fs::remove_dir_all(content(&stack, "origin", tag.info_hash)).unwrap();
    stack.start_origin("origin");
    eventually("the origin takes its word back", MINUTE, || match stack.torrent(tag.info_hash).unwrap() {
        status if status.complete_replicas() == 0 => Ok(()),
        status => Err(status.replicas),
    });
    stack.push(&tree, "demo");
    stack.cli().run(stack.home.path(), ["pull", "demo", "--no-agent", "--download-dir", "out"]).success();
    assert_same(&tree, &stack.path("out/demo"));
}

#[test]
fn an_origin_that_cannot_read_its_content_fetches_it_again() {
    let mut stack = Stack::start();
    stack.add_origin("other");
    let tree = Tree::of_everything(&stack.path("demo"), 8 << 20);
    let tag = stack.push(&tree, "demo");
    eventually("both have it", MINUTE, || match stack.torrent(tag.info_hash).unwrap() {
        status if status.complete_replicas() == 2 => Ok(()),
        status => Err(status.replicas),
    });
    let lost = content(&stack, "origin", tag.info_hash).join("weights.bin");
    File::options().write(true).open(&lost).unwrap().set_len(1).unwrap();
    let whole = fs::metadata(tree.join("weights.bin")).unwrap().len();
    let mut pulls = 0;
    // A pull begins with one of the two, and the other is not asked when that one is fast.
    eventually("the origin has it again", MINUTE, || {
        pulls += 1;
        let out = format!("out{pulls}");
        stack.cli().run(stack.home.path(), ["pull", "demo", "--no-agent", "--download-dir", &out]).success();
        assert_same(&tree, &stack.path(&out).join("demo"));
        let length = fs::metadata(&lost).unwrap().len();
        if length == whole { Ok(()) } else { Err(length) }
    });
}

#[test]
fn content_that_was_released_and_is_wanted_again_at_once_is_held() {
    let mut stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), 8 << 20);
    let tag = stack.push(&tree, "demo:v1");
    let other = stack.push(&Tree::new(&stack.path("other")).file("x", 1000).root(), "other");
    stack.part("origin").signal(Signal::STOP);
    for what in ["other", &other.info_hash.to_string(), "demo:v1", &tag.info_hash.to_string()] {
        stack.cli().run(stack.home.path(), ["rm", what]).success();
    }
    let push = stack.cli().spawn(stack.home.path(), ["push", "demo", "demo:v2"]);
    eventually("the tracker has it again", MINUTE, || stack.torrent(tag.info_hash));
    stack.part("origin").signal(Signal::CONT);
    assert!(push.wait_with_output().unwrap().status.success());
}
