//! Full disks: a clear error, and nothing partial left.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nova_tests::{Stack, Tree, eventually};

/// A file system of 8 MiB, as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(path).status().unwrap();
        assert!(mounted.success(), "this test mounts a tmpfs, so it must run as root");
        Self(path.to_path_buf())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _left_to_the_test_to_notice = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn assert_refused_and_empty(stack: &Stack, disk: &SmallDisk, agent: &str) {
    let output = stack.cli().run(stack.home.path(), ["pull", "demo", agent, "--download-dir=small"]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.to_lowercase().contains("no space left"), "{}", output.stderr);
    let left: Vec<_> = fs::read_dir(&disk.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_pull_to_a_full_disk_says_so_and_leaves_nothing() {
    let stack = Stack::start();
    stack.push(&Tree::of_everything(&stack.path("demo"), 32 << 20), "demo");
    let disk = SmallDisk::mount(&stack.path("small"));
    assert_refused_and_empty(&stack, &disk, "--no-agent");
}

#[test]
fn a_pull_through_an_agent_to_a_full_disk_says_so_and_leaves_nothing() {
    let mut stack = Stack::start();
    stack.push(&Tree::of_everything(&stack.path("demo"), 32 << 20), "demo");
    stack.add_agent("agent");
    let disk = SmallDisk::mount(&stack.path("small"));
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    assert_refused_and_empty(&stack, &disk, &port);
}

#[test]
fn a_push_that_no_origin_has_space_for_says_so() {
    let mut stack = Stack::tracker_alone(&[]);
    let _disk = SmallDisk::mount(&stack.path("origin"));
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
    let _disk = SmallDisk::mount(&stack.path("agent"));
    let agent = stack.add_agent("agent");
    let refused = stack.block_on(agent.start("demo", &[])).unwrap_err().to_string();
    assert!(refused.contains("no space left"), "{refused}");
    let shown = eventually("the agent shows as failed", Duration::from_mins(1), || {
        let shown = stack.cli().run(stack.home.path(), ["rollout", "demo"]).success().stdout;
        if shown.contains("(0%), 1 failed") { Ok(shown) } else { Err(shown) }
    });
    assert!(shown.contains("failed") && shown.contains("no space left"), "{shown}");
    let late = stack.cli().run(stack.home.path(), ["rollout", "demo", "--wait=1", "--timeout=1"]);
    assert!(late.code == Some(2) && late.stderr.contains("missing: agent (failed: no space left"), "{}", late.stderr);
}
