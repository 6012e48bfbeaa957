//! A pull that gets nothing says what it waits for, tries another way, and never hangs.

#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use nova_protocol::{
    InfoHash,
    api::{Pull, WaitsFor},
};
use nova_seeder::agent_client::AgentClient;
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

/// Two agents, `a` and `b`: `a` has a part of `demo`, whose origin is gone, and `b` has some of that part.
fn two_with_a_part(stall_timeout: &str) -> (Stack, AgentClient, InfoHash) {
    let mut stack = Stack::start();
    let info_hash = stack.push(&Tree::of_everything(&stack.path("demo"), 16 << 20), "demo").info_hash;
    stack.set("a", "NOVA_AGENT_DOWNLOAD_LIMIT", "1048576");
    stack.set("b", "NOVA_AGENT_STALL_TIMEOUT", stall_timeout);
    let [a, b] = ["a", "b"].map(|name| stack.add_agent(name));
    has_a_part(&stack, &a);
    stack.kill("origin");
    has_a_part(&stack, &b);
    (stack, b, info_hash)
}

/// Starts to pull `demo`, and waits for the first bytes.
fn has_a_part(stack: &Stack, agent: &AgentClient) {
    let info_hash = stack.block_on(agent.start("demo", &[])).unwrap().info_hash;
    eventually("some of it is there", MINUTE, || match stack.block_on(agent.pull(info_hash)).unwrap() {
        pull if pull.have == pull.length => panic!("too late for this test: {pull:?}"),
        pull if pull.have > 0 => Ok(()),
        pull => Err(pull.state),
    });
}

fn waits_for(stack: &Stack, agent: &AgentClient, info_hash: InfoHash, what: WaitsFor) -> Pull {
    eventually(&format!("it waits for {what:?}"), MINUTE, || match stack.block_on(agent.pull(info_hash)) {
        Ok(pull) if pull.waits_for == Some(what) => Ok(pull),
        other => Err(format!("{other:?}")),
    })
}

/// A file system of its own, as long as this lives, which thaws before it goes.
struct Disk(PathBuf);

impl Disk {
    fn mount(image: &Path, at: &Path) -> Self {
        File::create(image).unwrap().set_len(320 << 20).unwrap();
        fs::create_dir_all(at).unwrap();
        let made = Command::new("mkfs.xfs").arg("-q").arg(image).status();
        assert!(made.is_ok_and(|status| status.success()), "no mkfs.xfs: apt-get install xfsprogs");
        let mounted = Command::new("mount").args(["-o", "loop"]).args([image, at]).status().unwrap();
        assert!(mounted.success(), "this test mounts an XFS, so it must run as root");
        Self(at.to_path_buf())
    }

    /// Lets writes wait with `--freeze`, and go on with `--unfreeze`. Whether it was otherwise before.
    fn turn(&self, how: &str) -> bool {
        Command::new("fsfreeze").arg(how).arg(&self.0).stderr(Stdio::null()).status().unwrap().success()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.turn("--unfreeze");
        let _left_to_the_test_to_notice = Command::new("umount").arg("-l").arg(&self.0).status();
    }
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
fn a_pull_without_peers_says_that_it_waits_for_some() {
    let (mut stack, _) = deaf_origin();
    let agent = stack.add_agent("agent");
    let info_hash = stack.block_on(agent.start("demo", &[])).unwrap().info_hash;
    waits_for(&stack, &agent, info_hash, WaitsFor::Peers);
}

#[test]
fn a_pull_whose_peers_lack_what_it_lacks_says_that_it_waits_for_pieces() {
    let (stack, agent, info_hash) = two_with_a_part("30");
    let pull = waits_for(&stack, &agent, info_hash, WaitsFor::Pieces);
    assert!(pull.peers > 0 && pull.have > 0, "{pull:?}");
}

#[test]
fn a_pull_whose_peers_lack_what_it_lacks_takes_that_over_http() {
    let (mut stack, agent, info_hash) = two_with_a_part("1");
    stack.set("origin", "NOVA_ORIGIN_CONNECTIONS_MAX", "0");
    stack.start_origin("origin");
    let done = eventually("the rest is there", MINUTE, || match stack.block_on(agent.pull(info_hash)).unwrap() {
        pull if pull.have == pull.length => Ok(pull),
        pull if pull.peers == 0 => panic!("it goes without peers: {pull:?}"),
        pull => Err(format!("{pull:?}")),
    });
    for is_origin in [true, false] {
        assert!(done.sources.iter().any(|source| source.origin == is_origin), "{done:?}");
    }
}

#[test]
fn a_pull_that_is_as_fast_as_it_may_be_says_that_it_waits_for_its_limit() {
    let mut stack = Stack::start();
    stack.push(&Tree::of_everything(&stack.path("demo"), 16 << 20), "demo");
    stack.set("each", "NOVA_AGENT_TORRENT_DOWNLOAD_LIMIT", "65536");
    let [all, each] = ["all", "each"].map(|name| stack.add_agent(name));
    let at = format!("--agent=http://{}", stack.agent_addr("all"));
    stack.cli().run(stack.home.path(), ["limits", &at, "--download=64K"]).success();
    for agent in [all, each] {
        let info_hash = stack.block_on(agent.start("demo", &[])).unwrap().info_hash;
        waits_for(&stack, &agent, info_hash, WaitsFor::DownloadLimit);
    }
}

#[test]
fn a_pull_whose_disk_hangs_says_so_and_goes_on_when_the_disk_does() {
    let mut stack = Stack::start();
    let info_hash = stack.push(&Tree::of_everything(&stack.path("demo"), 16 << 20), "demo").info_hash;
    let disk = Disk::mount(&stack.path("image"), &stack.path("agent/store"));
    stack.set("agent", "NOVA_AGENT_FREE_SPACE_FLOOR", "0");
    stack.set("agent", "NOVA_AGENT_DOWNLOAD_LIMIT", "2097152");
    let agent = stack.add_agent("agent");
    has_a_part(&stack, &agent);
    assert!(disk.turn("--freeze"));
    let pull = waits_for(&stack, &agent, info_hash, WaitsFor::Disk);
    assert!(pull.have < pull.length, "{pull:?}");
    assert!(disk.turn("--unfreeze"));
    stack.pulled(&agent, info_hash, MINUTE);
}

#[test]
fn a_user_whose_time_is_over_is_told_what_the_pull_waited_for() {
    let (stack, _) = deaf_origin();
    let arguments = ["pull", "demo", "--no-agent", "--download-dir=out", "--timeout=20"];
    let late = stack.cli().run(stack.home.path(), arguments);
    assert_eq!(late.code, Some(2), "{}", late.stderr);
    for told in ["waits for a peer that has demo", "gave up after 20 s (--timeout): waited for a peer that has demo"] {
        assert!(late.stderr.contains(told), "{}", late.stderr);
    }
}

#[test]
fn a_pull_that_gets_nothing_asks_the_tracker_before_it_is_to() {
    let mut stack = Stack::tracker_alone(&[("interval_min_seconds", "600".to_owned())]);
    stack.add_origin("origin");
    stack.push(&Tree::of_everything(&stack.path("demo"), 1 << 20), "demo");
    stack.kill("origin");
    stack.set("agent", "NOVA_AGENT_STALL_TIMEOUT", "1");
    let agent = stack.add_agent("agent");
    let before = announces_again(&stack);
    stack.block_on(agent.start("demo", &[])).unwrap();
    eventually("it asks twice more", Duration::from_secs(30), || match announces_again(&stack) {
        now if now >= before + 2 => Ok(()),
        now => Err(now),
    });
}

/// Announces of those who neither come, complete nor leave.
fn announces_again(stack: &Stack) -> u64 {
    let metrics = stack.metrics();
    let lines = metrics.lines().filter(|line| line.starts_with("nova_tracker_announces_total{"));
    let again = lines.filter(|line| line.contains("event=\"none\""));
    again.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_pull_whose_time_is_over_fails_with_code_2_and_the_next_goes_on_from_it() {
    let mut stack = Stack::tracker_alone(&[]);
    stack.set("origin", "NOVA_ORIGIN_UPLOAD_LIMIT", "1048576");
    stack.add_origin("origin");
    let tree = Tree::of_everything(&stack.path("demo"), 16 << 20);
    let info_hash = stack.push(&tree, "demo").info_hash;

    let arguments = ["pull", "demo", "--no-agent", "--download-dir=out", "--timeout=10"];
    let late = stack.cli().run(stack.home.path(), arguments);
    assert_eq!(late.code, Some(2), "{}", late.stderr);
    assert!(late.stderr.contains("gave up after 10 s") && late.stderr.contains("is kept"), "{}", late.stderr);
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
