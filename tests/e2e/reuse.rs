//! A new version costs what changed.

#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nova_protocol::{InfoHash, api::Pull};
use nova_tests::{Stack, Tree, assert_same};
use serde_json::Value;

const MIB: u64 = 1 << 20;
const PIECE: u64 = 64 << 10;

#[test]
fn version_two_of_a_tree_moves_the_files_that_changed_on_push_and_on_pull() {
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    let tree = (0..40).fold(Tree::new(&stack.path("demo")), |tree, n| tree.file(&format!("{n}.bin"), (1 << 20) + 7));
    let tree = tree.root();
    pushed(&stack, &tree);
    pull(&stack, "agent", "out");
    assert_same(&tree, &stack.path("out/demo"));

    // One grows at its start, one is rewritten in part.
    let grown = [b"new".to_vec(), fs::read(tree.join("3.bin")).unwrap()].concat();
    fs::write(tree.join("3.bin"), grown).unwrap();
    File::options().write(true).open(tree.join("30.bin")).unwrap().write_all_at(b"other", 100).unwrap();
    let second = pushed(&stack, &tree);
    let changed = MIB + 10 + PIECE;
    assert_moved("pushed", second["sent"].as_u64().unwrap(), changed);
    pull(&stack, "agent", "again");
    assert_same(&tree, &stack.path("again/demo"));
    let info_hash: InfoHash = second["info_hash"].as_str().unwrap().parse().unwrap();
    let pull = stack.pulled(&agent, info_hash, Duration::from_secs(5));
    assert_moved("pulled", fetched(&pull), changed);
    assert!(pull.reused >= pull.length - 2 * changed, "{pull:?}");
}

#[test]
fn a_file_that_is_overwritten_in_places_moves_the_pieces_that_were_touched() {
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    let file = Tree::new(&stack.path("images")).file("disk.img", 32 << 20).root().join("disk.img");
    pushed(&stack, &file);
    pull(&stack, "agent", "out");
    let disk = File::options().write(true).open(&file).unwrap();
    for spot in 0..5 {
        disk.write_all_at(b"overwritten", spot * 6 * MIB + 12_345).unwrap();
    }
    let second = pushed(&stack, &file);
    assert_moved("pushed", second["sent"].as_u64().unwrap(), 5 * PIECE);
    pull(&stack, "agent", "again");
    let info_hash = second["info_hash"].as_str().unwrap().parse().unwrap();
    assert_moved("pulled", fetched(&stack.pulled(&agent, info_hash, Duration::from_secs(5))), 5 * PIECE);
    assert_same(&file, &stack.path("again/disk.img"));
}

#[test]
fn a_pull_without_an_agent_reuses_what_it_replaces_and_what_it_is_shown() {
    let stack = Stack::start();
    let tree = Tree::new(&stack.path("demo")).file("a.bin", 4 << 20).file("b.bin", 4 << 20).root();
    pushed(&stack, &tree);
    fs::create_dir(stack.path("old")).unwrap();
    fs::copy(tree.join("a.bin"), stack.path("old/a.bin")).unwrap();

    let shown = cli(&stack, &["pull", "demo", "--no-agent", "--reuse", "old", "--download-dir=out"]);
    assert_moved("pulled", moved(&shown), 4 * MIB);
    assert_eq!(shown["reused"], 4 * MIB, "{shown}");
    fs::write(stack.path("out/demo/b.bin"), "changed").unwrap();
    let replaced = cli(&stack, &["pull", "demo", "--no-agent", "--replace", "--download-dir=out"]);
    assert_moved("pulled", moved(&replaced), 4 * MIB);
    assert_same(&tree, &stack.path("out/demo"));
}

#[test]
fn a_version_behind_a_symlink_takes_from_the_one_before_what_did_not_change() {
    let stack = Stack::start();
    let tree = Tree::new(&stack.path("demo")).file("a.bin", 4 << 20).file("b.bin", 4 << 20).root();
    pushed(&stack, &tree);
    let pull = ["pull", "demo", "--no-agent", "--link=live"];
    cli(&stack, &pull);
    File::options().write(true).open(tree.join("b.bin")).unwrap().write_all_at(b"other", 100).unwrap();
    pushed(&stack, &tree);
    assert_moved("pulled", moved(&cli(&stack, &pull)), PIECE);
    assert_same(&tree, &stack.path("live").canonicalize().unwrap());
}

#[test]
fn a_push_names_the_version_before_as_similar() {
    let stack = Stack::start();
    let tree = Tree::new(&stack.path("demo")).file("a.bin", 100_000).root();
    let first = stack.push(&tree, "demo").info_hash;
    fs::write(tree.join("b"), "more").unwrap();
    let second = stack.push(&tree, "demo").info_hash;
    assert_eq!(stack.metainfo(first, "").similar, []);
    assert_eq!(stack.metainfo(second, "").similar, [first]);
}

/// Not more than a tenth above what changed, and something.
fn assert_moved(what: &str, bytes: u64, changed: u64) {
    assert!(bytes > 0 && bytes * 10 <= changed * 11, "{bytes} bytes were {what} for {changed} that changed");
}

fn fetched(pull: &Pull) -> u64 {
    pull.sources.iter().map(|source| source.bytes).sum()
}

fn moved(outcome: &Value) -> u64 {
    outcome["from_origins"].as_u64().unwrap() + outcome["from_peers"].as_u64().unwrap()
}

fn pushed(stack: &Stack, path: &Path) -> Value {
    cli(stack, &["push", path.to_str().unwrap(), "demo", "--piece-length=64KiB"])
}

fn pull(stack: &Stack, agent: &str, out: &str) -> Value {
    let port = format!("--agent-server-port={}", stack.agent_addr(agent).port());
    let out: PathBuf = stack.path(out);
    cli(stack, &["pull", &port, "demo", "--download-dir", out.to_str().unwrap()])
}

fn cli(stack: &Stack, arguments: &[&str]) -> Value {
    stack.cli().run(stack.home.path(), ["--json"].iter().chain(arguments)).success().json()
}
