//! `kill -9` in the middle of a transfer, a restart, and a correct end.

#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nova_protocol::{
    InfoHash, Rate,
    api::{PullState, ReplicaState, SetLimits},
};
use nova_seeder::create::{Options, create};
use nova_tests::{Process, Signal, Stack, Tree, assert_same, at_once, eventually};
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_mins(1);
const LENGTH: usize = 64 << 20;

/// A tree to be pushed, and the info hash that it will have.
fn tree(stack: &Stack) -> (PathBuf, InfoHash) {
    let tree = Tree::of_everything(&stack.path("demo"), LENGTH);
    let options = Options { private: true, ..Options::default() };
    let created = create(&tree, &options, |_, _| {}, &CancellationToken::new()).unwrap();
    (tree, created.metainfo.info_hash())
}

/// Waits until an origin has some of a torrent and not all of it; how much.
fn partly_replicated(stack: &Stack, info_hash: InfoHash) -> u64 {
    eventually("an origin has a part", MINUTE, || {
        let status = stack.torrent(info_hash).map_err(|error| error.to_string())?;
        let replica = status.replicas.first().ok_or("no replica")?;
        assert_ne!(replica.state, ReplicaState::Complete, "too late for this test");
        // The first piece may be of a file of a few bytes.
        if replica.have > 1 << 20 { Ok(replica.have) } else { Err("little yet".to_owned()) }
    })
}

/// A tree that has been pushed to an origin that sends 20 MiB in a second from now on.
fn pushed_to_a_slow_origin() -> (Stack, PathBuf, InfoHash) {
    let mut stack = Stack::start();
    let (tree, info_hash) = tree(&stack);
    stack.push(&tree, "demo");
    stack.kill("origin");
    stack.set("origin", "NOVA_ORIGIN_UPLOAD_LIMIT", "20971520");
    stack.start_origin("origin");
    (stack, tree, info_hash)
}

/// Bytes that a part has read since it started, of files and of what librqbit got from peers.
fn bytes_read(stack: &mut Stack, part: &str) -> u64 {
    let io = fs::read_to_string(format!("/proc/{}/io", stack.part(part).id())).unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

/// Pulls without an agent, and compares.
fn assert_pulled(stack: &Stack, tree: &Path) {
    stack.cli().run(stack.home.path(), ["pull", "demo", "--no-agent", "--download-dir", "out"]).success();
    assert_same(tree, &stack.path("out/demo"));
}

#[test]
fn a_pusher_that_is_killed_and_run_again_sends_only_the_rest() {
    let stack = Stack::start();
    let (tree, info_hash) = tree(&stack);
    let mut pusher = stack.cli().spawn(stack.home.path(), ["push", "demo", "--upload-limit", "15MiB"]);
    partly_replicated(&stack, info_hash);
    pusher.kill().unwrap();
    pusher.wait().unwrap();

    let again = stack.cli().run(stack.home.path(), ["push", "demo", "--json"]).success().json();
    let sent = again["sent"].as_u64().unwrap();
    assert!(sent < LENGTH as u64, "{sent} of {LENGTH} bytes were sent again");
    assert_pulled(&stack, &tree);
}

/// Pushes slowly, does something to the stack in the middle of it, and sees the push end well.
fn assert_push_survives(blow: impl FnOnce(&mut Stack)) {
    let mut stack = Stack::start();
    let (tree, info_hash) = tree(&stack);
    let pusher = stack.cli().spawn(stack.home.path(), ["push", "demo", "--upload-limit", "15MiB"]);
    partly_replicated(&stack, info_hash);
    blow(&mut stack);

    let output = pusher.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_pulled(&stack, &tree);
}

#[test]
fn an_origin_that_is_killed_during_a_push_goes_on_from_what_it_has() {
    assert_push_survives(|stack| {
        stack.kill("origin");
        stack.start_origin("origin");
    });
}

#[test]
fn a_tracker_that_is_killed_during_a_push_is_waited_for() {
    assert_push_survives(|stack| {
        stack.kill("tracker");
        stack.start_tracker();
    });
}

#[test]
fn an_agent_that_is_killed_resumes_without_hashing_and_finishes() {
    let mut stack = Stack::start();
    let (tree, info_hash) = tree(&stack);
    stack.push(&tree, "demo");
    stack.set("agent", "NOVA_AGENT_DOWNLOAD_LIMIT", "10485760");
    let agent = stack.add_agent("agent");
    stack.block_on(agent.start("demo", &[])).unwrap();
    let before = eventually("the agent has a part", MINUTE, || {
        let pull = stack.block_on(agent.pull(info_hash)).unwrap();
        assert_ne!(pull.state, PullState::Seeding, "too late for this test");
        // librqbit notes what it has every 16 MiB.
        if pull.have > 40 << 20 { Ok(pull.have) } else { Err(pull.have) }
    });
    stack.kill("agent");
    // What comes in is read, too.
    stack.set("agent", "NOVA_AGENT_DOWNLOAD_LIMIT", "1048576");
    let agent = stack.start_agent("agent");

    let after = eventually("the agent has looked at its disk", MINUTE, || {
        let pull = stack.block_on(agent.pull(info_hash)).map_err(|error| error.to_string())?;
        if pull.state == PullState::Checking { Err("checking".to_owned()) } else { Ok(pull.have) }
    });
    let read = bytes_read(&mut stack, "agent");
    assert!(after > before / 3, "{after} bytes are left of {before}");
    assert!(read < before / 4, "{read} bytes were read of {before} that were there");
    let unlimited = SetLimits { download_limit: Some(Rate::UNLIMITED), ..SetLimits::default() };
    stack.block_on(agent.set_limits(Some(&unlimited))).unwrap();
    let pull = stack.pulled(&agent, info_hash, MINUTE);
    assert_same(&tree.join("weights.bin"), &pull.path.join("weights.bin"));
}

#[test]
fn an_agent_that_is_killed_with_everything_seeds_again_without_hashing() {
    let mut stack = Stack::start();
    let (tree, info_hash) = tree(&stack);
    stack.push(&tree, "demo");
    let agent = stack.add_agent("agent");
    stack.block_on(agent.start("demo", &[])).unwrap();
    let mark = stack.path("agent/store/complete").join(info_hash.to_string());
    eventually("it is marked as intact", MINUTE, || mark.exists().then_some(()).ok_or("no mark"));
    stack.kill("agent");
    let agent = stack.start_agent("agent");
    eventually("the agent seeds", MINUTE, || match stack.block_on(agent.pull(info_hash)) {
        Ok(pull) if pull.state == PullState::Seeding => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let read = bytes_read(&mut stack, "agent");
    // Had the last note been too late, a quarter would have come again.
    assert!(read < LENGTH as u64 / 2, "{read} bytes were read of {LENGTH} that were there");
}

#[test]
fn an_agent_that_is_killed_while_it_copies_from_another_version_fetches_only_what_changed() {
    let mut stack = Stack::start();
    let file = Tree::new(&stack.path("images")).file("disk.img", 4 * LENGTH).root().join("disk.img");
    let first = stack.push(&file, "demo");
    let agent = stack.add_agent("agent");
    stack.block_on(agent.start("demo", &[])).unwrap();
    stack.pulled(&agent, first.info_hash, MINUTE);
    File::options().write(true).open(&file).unwrap().write_all_at(b"other", 12_345).unwrap();
    let second = stack.push(&file, "demo").info_hash;
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let mut puller = stack.cli().spawn(stack.home.path(), ["pull", "demo", &port, "--download-dir", "out"]);
    let copy = stack.path(&format!("agent/store/content/{second}/disk.img"));
    // It has its place on the disk from the start, and holds zeros until then.
    let is_copied = |offset| {
        let mut bytes = [0; 64];
        File::open(&copy).is_ok_and(|copy| copy.read_exact_at(&mut bytes, offset).is_ok() && bytes != [0; 64])
    };
    at_once("a part is copied", || is_copied(1 << 20));
    stack.kill("agent");
    puller.kill().unwrap();
    puller.wait().unwrap();
    assert!(!is_copied(3 * LENGTH as u64), "too late for this test");

    let agent = stack.start_agent("agent");
    let pull = stack.pulled(&agent, second, MINUTE);
    let fetched: u64 = pull.sources.iter().map(|source| source.bytes).sum();
    assert!(fetched < 4 << 20, "{pull:?}");
    assert_same(&file, &copy);
}

#[test]
fn an_origin_that_is_killed_during_a_pull_serves_again_without_fetching() {
    let (mut stack, _, info_hash) = pushed_to_a_slow_origin();
    let agent = stack.add_agent("agent");
    stack.block_on(agent.start("demo", &[])).unwrap();
    eventually("the agent has a part", MINUTE, || {
        let pull = stack.block_on(agent.pull(info_hash)).unwrap();
        if pull.have > 10 << 20 { Ok(()) } else { Err(pull.have) }
    });
    stack.kill("origin");
    stack.start_origin("origin");
    stack.pulled(&agent, info_hash, MINUTE);
}

#[test]
fn a_tag_is_durable_before_the_push_ends() {
    let mut stack = Stack::start();
    let (tree, _) = tree(&stack);
    let tag = stack.push(&tree, "demo:v1");
    stack.kill("tracker");
    stack.start_tracker();
    assert_eq!(stack.block_on(stack.tracker.tag(&tag.reference)).unwrap(), tag);
}

#[test]
fn a_pull_that_is_killed_leaves_nothing_in_place_and_finishes_when_run_again() {
    let (stack, tree, info_hash) = pushed_to_a_slow_origin();
    let mut pull = stack.cli().spawn(stack.home.path(), ["pull", "demo", "--no-agent", "--download-dir", "out"]);
    let stage = stack.path("out").join(format!(".nova-{info_hash}/new"));
    eventually("something has come in", MINUTE, || fs::metadata(stage.join("demo/weights.bin")));
    pull.kill().unwrap();
    pull.wait().unwrap();
    assert!(!stack.path("out/demo").exists());

    assert_pulled(&stack, &tree);
    assert!(!stage.exists());
}

#[test]
fn a_second_pull_of_the_same_thing_to_the_same_place_is_told_to_wait() {
    let (stack, tree, info_hash) = pushed_to_a_slow_origin();
    let pull = ["pull", "demo", "--no-agent", "--download-dir", "out"];
    let mut first = stack.cli().command(stack.home.path(), pull);
    let mut first = Process::start("pull", &mut first, &stack.path("pull.log"));
    let stage = stack.path("out").join(format!(".nova-{info_hash}/new"));
    eventually("something has come in", MINUTE, || fs::metadata(stage.join("demo/weights.bin")));
    first.signal(Signal::STOP);
    let second = stack.cli().run(stack.home.path(), pull);
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("under way"), "{}", second.stderr);
    first.signal(Signal::CONT);
    let ended = eventually("the first ends", MINUTE, || first.ended().ok_or("it runs"));
    assert!(ended.success(), "{}", first.log());
    assert_same(&tree, &stack.path("out/demo"));
}
