//! An agent's cache keeps to its budget, and keeps what must be kept.

#![allow(clippy::unwrap_used)]

use std::{fs, fs::File, path::PathBuf, time::Duration};

use nova_protocol::{InfoHash, api::PullState};
use nova_seeder::{agent_client::AgentClient, service::ServiceError};
use nova_tests::{Peer, Process, Signal, Stack, Tree, assert_same, at_once, eventually};
use reqwest::StatusCode;

const MINUTE: Duration = Duration::from_mins(1);
/// How long the word of an agent that leaves a swarm may be on its way.
const AT_ONCE: Duration = Duration::from_secs(5);
const BUDGET: u64 = 5 << 20;
const LARGE: usize = 128 << 20;

/// A tracker, an origin with `a`, `b` and `c` of 2 MiB each, and an agent with room for two of them.
fn stack(pins: &str) -> (Stack, AgentClient, [InfoHash; 3]) {
    let mut stack = Stack::start();
    let pushed = ["a", "b", "c"].map(|name| {
        let tree = Tree::new(&stack.path(name)).file(&format!("{name}.bin"), 2 << 20).root();
        stack.push(&tree, &format!("{name}:v1")).info_hash
    });
    stack.set("agent", "NOVA_AGENT_CACHE_BUDGET", &BUDGET.to_string());
    stack.set("agent", "NOVA_AGENT_FREE_SPACE_FLOOR", "0");
    stack.set("agent", "NOVA_AGENT_PINS", pins);
    let agent = stack.add_agent("agent");
    (stack, agent, pushed)
}

fn pull(stack: &Stack, agent: &AgentClient, reference: &str) -> InfoHash {
    let info_hash = stack.block_on(agent.start(reference, &[])).unwrap().info_hash;
    eventually("the agent seeds", MINUTE, || match stack.block_on(agent.pull(info_hash)) {
        Ok(pull) if pull.state == PullState::Seeding => Ok(()),
        other => Err(format!("{other:?}")),
    });
    info_hash
}

fn held(stack: &Stack, agent: &AgentClient) -> Vec<String> {
    stack.block_on(agent.pulls()).unwrap().pulls.into_iter().map(|pull| pull.name).collect()
}

fn refused(stack: &Stack, agent: &AgentClient, reference: &str) -> String {
    match stack.block_on(agent.start(reference, &[])) {
        Err(ServiceError::Refused { status: StatusCode::INSUFFICIENT_STORAGE, message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

fn content(stack: &Stack, info_hash: InfoHash) -> PathBuf {
    stack.path(&format!("agent/store/content/{info_hash}"))
}

#[test]
fn the_least_recently_used_makes_way_and_its_files_go() {
    let (stack, agent, [_, b, _]) = stack("[]");
    pull(&stack, &agent, "a:v1");
    pull(&stack, &agent, "b:v1");
    pull(&stack, &agent, "a:v1");
    pull(&stack, &agent, "c:v1");
    assert_eq!(held(&stack, &agent), ["a", "c"]);
    assert!(!content(&stack, b).exists());
    let cache = stack.block_on(agent.cache()).unwrap();
    assert_eq!((cache.torrents, cache.used, cache.budget), (2, 4 << 20, Some(BUDGET)));
}

#[test]
fn what_is_pinned_stays_and_the_user_is_told_when_nothing_may_go() {
    let (stack, agent, _) = stack("[\"a:*\", \"c:*\"]");
    pull(&stack, &agent, "a:v1");
    pull(&stack, &agent, "b:v1");
    pull(&stack, &agent, "c:v1");
    assert_eq!(held(&stack, &agent), ["a", "c"]);
    let message = refused(&stack, &agent, "b:v1");
    assert!(message.contains("2 pinned"), "{message}");
    assert_eq!(held(&stack, &agent), ["a", "c"]);
}

#[test]
fn what_is_being_read_stays_until_its_reader_is_gone() {
    let (stack, agent, [a, ..]) = stack("[\"b:*\"]");
    pull(&stack, &agent, "a:v1");
    pull(&stack, &agent, "b:v1");
    let reader = File::open(content(&stack, a)).unwrap();
    reader.lock_shared().unwrap();
    let message = refused(&stack, &agent, "c:v1");
    assert!(message.contains("1 being read"), "{message}");
    drop(reader);
    pull(&stack, &agent, "c:v1");
    assert_eq!(held(&stack, &agent), ["b", "c"]);
}

#[test]
fn what_is_being_delivered_stays_until_it_is_in_its_place() {
    let mut stack = Stack::start();
    let large = Tree::new(&stack.path("large")).file("large.bin", LARGE).root();
    stack.push(&large, "large");
    stack.push(&Tree::new(&stack.path("a")).file("a.bin", 2 << 20).root(), "a");
    stack.set("agent", "NOVA_AGENT_CACHE_BUDGET", &LARGE.to_string());
    stack.set("agent", "NOVA_AGENT_FREE_SPACE_FLOOR", "0");
    let agent = stack.add_agent("agent");
    pull(&stack, &agent, "large");

    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let command = ["pull", "large", &port, "--download-dir=out", "--delivery=copy"];
    let mut command = stack.cli().command(stack.home.path(), command);
    let mut delivery = Process::start("pull", &mut command, &stack.path("pull.log"));
    let out = stack.path("out");
    at_once("the delivery begins", || fs::read_dir(&out).is_ok_and(|staged| staged.count() > 0));
    delivery.signal(Signal::STOP);
    assert!(!out.join("large").exists(), "too late for this test");
    let message = refused(&stack, &agent, "a");
    assert!(message.contains("1 being read"), "{message}");

    delivery.signal(Signal::CONT);
    let ended = eventually("the delivery ends", MINUTE, || delivery.ended().ok_or("it runs"));
    assert!(ended.success(), "{}", delivery.log());
    assert_same(&large, &out.join("large"));
    pull(&stack, &agent, "a");
    assert_eq!(held(&stack, &agent), ["a"]);
}

#[test]
fn the_last_copy_stays_while_its_origin_is_down() {
    let (mut stack, agent, [a, ..]) = stack("[]");
    pull(&stack, &agent, "a:v1");
    pull(&stack, &agent, "b:v1");
    stack.kill("origin");
    eventually("the origin's lease ends", MINUTE, || match stack.torrent(a).unwrap().complete_replicas() {
        0 => Ok(()),
        live => Err(live),
    });
    let message = refused(&stack, &agent, "c:v1");
    assert!(message.contains("last copy"), "{message}");
    stack.start_origin("origin");
    eventually("the origin holds it again", MINUTE, || match stack.torrent(a).unwrap().complete_replicas() {
        0 => Err("no copy"),
        _ => Ok(()),
    });
    pull(&stack, &agent, "c:v1");
    assert_eq!(held(&stack, &agent), ["b", "c"]);
}

#[test]
fn of_two_agents_one_keeps_the_copy_for_the_other_while_the_origin_is_down_and_neither_while_nobody_can_say() {
    let (mut stack, agent, [a, _, c]) = stack("[]");
    stack.set("other", "NOVA_AGENT_CACHE_BUDGET", &BUDGET.to_string());
    stack.set("other", "NOVA_AGENT_FREE_SPACE_FLOOR", "0");
    let other = stack.add_agent("other");
    for agent in [&agent, &other] {
        pull(&stack, agent, "a:v1");
        pull(&stack, agent, "b:v1");
    }
    let missing = stack.metainfo(c, "");
    stack.kill("origin");
    eventually("both are known to have it, and the origin not to be there", MINUTE, || match stack.torrent(a) {
        Ok(status) if status.complete_replicas() == 0 && status.keeper == Some("agent".parse().unwrap()) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(refused(&stack, &agent, "c:v1").contains("last copy"));
    stack.block_on(other.start("c:v1", &[])).unwrap();
    assert_eq!(held(&stack, &other), ["b", "c"]);

    stack.kill("tracker");
    match stack.block_on(agent.start_metainfo(&missing, &[])) {
        Err(ServiceError::Refused { message, .. }) => assert!(message.contains("last copy"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_a_kill_the_cache_is_what_its_directory_has() {
    let (mut stack, agent, [a, b, _]) = stack("[]");
    pull(&stack, &agent, "a:v1");
    pull(&stack, &agent, "b:v1");
    let mark = stack.path(&format!("agent/store/complete/{b}"));
    eventually("what it has is noted", MINUTE, || mark.exists().then_some(()).ok_or("no mark"));
    stack.kill("agent");
    // As an eviction leaves it that was killed in its middle.
    fs::remove_file(stack.path(&format!("agent/store/metainfo/{a}.torrent"))).unwrap();
    let agent = stack.start_agent("agent");
    assert_eq!(held(&stack, &agent), ["b"]);
    assert!(!content(&stack, a).exists());
    let again = stack.pulled(&agent, b, MINUTE);
    assert!(again.sources.is_empty() && again.last_use.unwrap().references == ["b:v1".parse().unwrap()]);
    pull(&stack, &agent, "c:v1");
    assert_eq!(held(&stack, &agent), ["b", "c"]);
}

#[test]
fn an_eviction_that_is_killed_is_ended_at_the_next_start() {
    let (mut stack, mut agent, [_, b, _]) = stack("[]");
    let many = (0..3000).fold(Tree::new(&stack.path("many")), |tree, n| tree.file(&format!("{n}"), 700)).root();
    let many = stack.push(&many, "many").info_hash;
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let metainfo = stack.path(&format!("agent/store/metainfo/{many}.torrent"));
    // One that has ended before the kill came is tried again.
    loop {
        pull(&stack, &agent, "many");
        pull(&stack, &agent, "b:v1");
        let mut evicting = stack.cli().spawn(stack.home.path(), ["pull", "c:v1", &port, "--download-dir", "out"]);
        at_once("the eviction begins", || !metainfo.exists());
        stack.kill("agent");
        evicting.kill().unwrap();
        evicting.wait().unwrap();
        let is_cut = content(&stack, many).exists();
        agent = stack.start_agent("agent");
        if is_cut {
            break;
        }
    }
    assert!(!content(&stack, many).exists());
    assert_eq!(held(&stack, &agent), ["b"]);
    assert!(stack.block_on(agent.cache()).unwrap().used <= BUDGET);
    pull(&stack, &agent, "c:v1");
    pull(&stack, &agent, "many");
    assert_same(&stack.path("many"), &content(&stack, many).join("many"));
    assert!(!content(&stack, b).exists());
}

#[test]
fn a_file_that_was_removed_behind_the_agents_back_is_fetched_again() {
    let (mut stack, agent, [a, ..]) = stack("[]");
    pull(&stack, &agent, "a:v1");
    stack.kill("agent");
    fs::remove_file(content(&stack, a).join("a/a.bin")).unwrap();
    let agent = stack.start_agent("agent");
    pull(&stack, &agent, "a:v1");
    assert_same(&stack.path("a"), &content(&stack, a).join("a"));
}

#[test]
fn a_removed_torrent_stops_seeding_at_once_even_while_the_tracker_is_away() {
    let (mut stack, agent, [a, ..]) = stack("[]");
    pull(&stack, &agent, "a:v1");
    stack.kill("tracker");
    let at = stack.agent_peers("agent");
    let peer = Peer::join(at, a).unwrap();
    stack.block_on(agent.remove(a)).unwrap();
    assert!(peer.is_closed() && Peer::join(at, a).is_none());
    assert!(stack.block_on(agent.pull(a)).unwrap_err().is_not_found());
    assert!(!content(&stack, a).exists());
}

#[test]
fn what_is_removed_or_makes_way_leaves_its_swarm_at_once() {
    let (stack, agent, [a, b, _]) = stack("[]");
    pull(&stack, &agent, "a:v1");
    pull(&stack, &agent, "b:v1");
    let at = stack.agent_peers("agent");
    let leaves = |info_hash: InfoHash, remove: &dyn Fn()| {
        let is_listed = |expected: bool| {
            let peers = stack.peers(info_hash);
            if peers.iter().any(|peer| peer.addr.port() == at.port()) == expected { Ok(()) } else { Err(peers) }
        };
        eventually("the tracker lists the agent", MINUTE, || is_listed(true));
        let peer = Peer::join(at, info_hash).unwrap();
        remove();
        assert!(peer.is_closed() && Peer::join(at, info_hash).is_none());
        eventually("the tracker lists it no more", AT_ONCE, || is_listed(false));
    };
    leaves(a, &|| stack.block_on(agent.remove(a)).unwrap());
    pull(&stack, &agent, "c:v1");
    leaves(b, &|| assert_eq!(pull(&stack, &agent, "a:v1"), a));
    assert_eq!(held(&stack, &agent), ["a", "c"]);
}
