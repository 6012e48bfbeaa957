//! Starting, stopping, and several of a kind.

#![allow(clippy::unwrap_used)]

use std::{fs, time::Duration};

use nova_tests::{Signal, Stack, Tree, assert_same, eventually};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn content_lands_on_as_many_origins_as_the_tracker_wants() {
    let mut stack = Stack::tracker_alone(&[("min_replicas", "2".to_owned())]);
    stack.add_origin("one");
    stack.add_origin("two");
    let tag = stack.push(&Tree::of_everything(&stack.path("demo"), 8 << 20), "demo");
    assert_eq!(stack.torrent(tag.info_hash).unwrap().complete_replicas(), 2);
}

#[test]
fn a_second_origin_takes_over_what_the_first_one_held() {
    let mut stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), 8 << 20);
    let tag = stack.push(&tree, "demo");
    stack.add_origin("late");
    eventually("the late origin has a copy", MINUTE, || {
        let status = stack.torrent(tag.info_hash).unwrap();
        if status.complete_replicas() == 2 { Ok(()) } else { Err(status.replicas) }
    });
    stack.kill("origin");
    stack.cli().run(stack.home.path(), ["pull", "demo", "--no-agent", "--download-dir", "out"]).success();
    assert_same(&tree, &stack.path("out/demo"));
}

#[test]
fn sigterm_ends_every_part_in_order_and_announces_stopped() {
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    let tag = stack.push(&Tree::of_everything(&stack.path("demo"), 8 << 20), "demo");
    stack.block_on(agent.start("demo", &[])).unwrap();
    stack.pulled(&agent, tag.info_hash, MINUTE);
    let seeders = |stack: &Stack| stack.torrent(tag.info_hash).unwrap().seeders;
    eventually("agent and origin are seeders", MINUTE, || match seeders(&stack) {
        2 => Ok(()),
        other => Err(other),
    });
    for (part, left) in [("agent", 1), ("origin", 0)] {
        assert!(stack.part(part).terminate().success(), "{}", stack.part(part).log());
        assert_eq!(seeders(&stack), left, "after {part} has stopped");
    }
    assert!(stack.part("tracker").terminate().success());
}

#[test]
fn an_interrupted_pull_leaves_nothing_in_the_destination() {
    let mut stack = Stack::tracker_alone(&[]);
    stack.set("origin", "NOVA_ORIGIN_UPLOAD_LIMIT", "4194304");
    stack.add_origin("origin");
    let tree = Tree::new(&stack.path("demo")).file("large", 32 << 20);
    // So many that some are still being made when the interrupt comes.
    let tree = (0..2000).fold(tree, |tree, number| tree.file(&format!("small/{number}"), 100));
    stack.push(&tree.root(), "demo");
    let pull = stack.cli().spawn(stack.home.path(), ["pull", "demo", "--no-agent", "--download-dir", "out"]);
    eventually("something has come in", MINUTE, || {
        let begun = fs::read_dir(stack.path("out")).map_err(|error| error.to_string())?.next().is_some();
        if begun { Ok(()) } else { Err("nothing yet".to_owned()) }
    });
    std::process::Command::new("kill").args(["-INT", &pull.id().to_string()]).status().unwrap();
    let output = pull.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_dir(stack.path("out")).unwrap().count(), 0);
}

#[test]
fn concurrent_pulls_of_one_thing_are_one_download() {
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    let tree = Tree::of_everything(&stack.path("demo"), 32 << 20);
    let tag = stack.push(&tree, "demo");
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let pulls: Vec<_> = ["a", "b", "c"]
        .map(|out| stack.cli().spawn(stack.home.path(), ["pull", "demo", &port, "--download-dir", out]))
        .into_iter()
        .collect();
    for pull in pulls {
        assert!(pull.wait_with_output().unwrap().status.success());
    }
    for out in ["a/demo", "b/demo", "c/demo"] {
        assert_same(&tree, &stack.path(out));
    }
    let pull = stack.pulled(&agent, tag.info_hash, MINUTE);
    let fetched: u64 = pull.sources.iter().map(|source| source.bytes).sum();
    assert!(fetched < 2 * pull.length, "{fetched} bytes were fetched for {}", pull.length);
}

#[test]
fn removed_content_leaves_the_origins() {
    let stack = Stack::start();
    let tag = stack.push(&Tree::of_everything(&stack.path("demo"), 1 << 20), "demo");
    let kept = stack.path("origin/store/content").join(tag.info_hash.to_string());
    assert!(kept.exists());
    stack.cli().run(stack.home.path(), ["rm", "demo"]).success();
    assert!(kept.exists(), "a tag that is removed leaves the content");
    stack.cli().run(stack.home.path(), ["rm", &tag.info_hash.to_string()]).success();
    eventually("the origin lets go", MINUTE, || if kept.exists() { Err("still there") } else { Ok(()) });
    let refused = stack.cli().run(stack.home.path(), ["pull", "demo", "--no-agent"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
}

#[test]
fn content_without_a_byte_is_pushed_and_pulled() {
    let mut stack = Stack::start();
    stack.add_agent("agent");
    let tree = Tree::new(&stack.path("empty")).file("a", 0).file("b/c", 0).root();
    stack.push(&tree, "empty");
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    for (agent, out) in [("--no-agent", "alone"), (port.as_str(), "through")] {
        stack.cli().run(stack.home.path(), ["pull", "empty", agent, "--download-dir", out]).success();
        assert_same(&tree, &stack.path(out).join("empty"));
    }
}

#[test]
fn sighup_changes_what_the_tracker_allows_and_loses_no_swarm() {
    let [known, added] = ["a".repeat(40), "b".repeat(40)];
    let mut stack = Stack::tracker_alone(&[("allow", format!("[\"{known}\"]"))]);
    let announce = |stack: &Stack, info_hash: &str, port: u16| {
        let bytes = info_hash.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
        let escaped = bytes.fold(String::new(), |escaped, byte| escaped + "%" + byte);
        let url = format!(
            "{}?info_hash={escaped}&peer_id=-XX0000-0000000{port}&port={port}&left=1&compact=0",
            stack.announce_url()
        );
        stack.block_on(async { reqwest::get(url).await?.text().await }).unwrap()
    };
    assert!(announce(&stack, &known, 10_001).contains("interval"));
    assert!(announce(&stack, &added, 10_001).contains("failure reason"));

    let settings = stack.path("tracker.toml");
    fs::write(&settings, "allow = 7").unwrap();
    stack.part("tracker").signal(Signal::HUP);
    eventually("the wrong setting is named", MINUTE, || {
        let log = stack.part("tracker").log();
        if log.contains("allow") { Ok(()) } else { Err(log) }
    });
    fs::write(&settings, format!("allow = [\"{known}\", \"{added}\"]")).unwrap();
    stack.part("tracker").signal(Signal::HUP);
    eventually("the new list is in force", MINUTE, || {
        let answer = announce(&stack, &added, 10_001);
        if answer.contains("interval") { Ok(()) } else { Err(answer) }
    });
    assert!(announce(&stack, &known, 10_002).contains("4:porti10001e"));
}
