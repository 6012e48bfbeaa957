//! A directory that stays at a tag.

#![allow(clippy::unwrap_used)]

use std::{
    fmt::Write,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use nova_tests::{Process, Signal, Stack, Tree, assert_same, at_once, eventually};

const MINUTE: Duration = Duration::from_mins(1);

/// Moves the tag `demo` to a tree called `demo` whose two files both say `text`, `length` bytes long; where it is.
fn push_version(stack: &Stack, text: &str, length: usize) -> PathBuf {
    let tree = stack.path("source").join(text).join("demo");
    fs::create_dir_all(&tree).unwrap();
    let bytes: String = text.chars().cycle().take(length).collect();
    for file in ["one", "two"] {
        fs::write(tree.join(file), &bytes).unwrap();
    }
    stack.push(&tree, "demo");
    tree
}

/// `nova-cli pull demo --watch` in the stack's directory, with more arguments.
fn watch(stack: &Stack, arguments: &[&str]) -> Process {
    let arguments = ["pull", "demo", "--watch"].iter().chain(arguments);
    Process::start("watch", &mut stack.cli().command(stack.home.path(), arguments), &stack.path("watch.log"))
}

fn is_at(tree: &Path, place: &Path) {
    eventually("the place is at the tag", MINUTE, || match fs::read(place.join("two")) {
        Ok(found) if found == fs::read(tree.join("two")).unwrap() => Ok(()),
        other => Err(other.map(|found| String::from_utf8_lossy(&found[..found.len().min(20)]).into_owned())),
    });
    assert_same(tree, &place.canonicalize().unwrap());
}

fn logged(watch: &Process, what: &str) {
    eventually(what, MINUTE, || if watch.log().contains(what) { Ok(()) } else { Err(watch.log()) });
}

fn interrupt(watch: &mut Process) {
    watch.signal(Signal::INT);
    let ended = eventually("the watch ends", MINUTE, || watch.ended().ok_or("it goes on"));
    assert_eq!(ended.code(), Some(130), "{}", watch.log());
}

#[test]
fn a_directory_moves_with_its_tag_and_a_command_is_told() {
    let mut stack = Stack::start();
    stack.add_agent("agent");
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let exec = "echo $NOVA_REFERENCE $NOVA_VERSION $NOVA_INFO_HASH $NOVA_PATH $(cat $NOVA_PATH/one) >> told; exit 3";
    // The tag comes after the watch.
    let mut watch = watch(&stack, &[&port, "--download-dir=out", "--exec", exec]);
    logged(&watch, "there is no demo: waiting for it");
    let place = stack.path("out/demo");
    for text in ["first", "second"] {
        is_at(&push_version(&stack, text, text.len()), &place);
        logged(&watch, "ended with exit status: 3");
    }
    stack.cli().run(stack.home.path(), ["rollback", "demo"]).success();
    is_at(&stack.path("source/first/demo"), &place);
    let history = stack.block_on(stack.tracker.history(&"demo".parse().unwrap())).unwrap().versions;
    let place = place.canonicalize().unwrap();
    let mut expected = String::new();
    for (tag, text) in history.iter().rev().zip(["first", "second", "first"]) {
        let (version, info_hash) = (tag.version, tag.info_hash);
        writeln!(expected, "demo:latest {version} {info_hash} {} {text}", place.display()).unwrap();
    }
    eventually("every move is told", MINUTE, || match fs::read_to_string(stack.path("told")) {
        Ok(told) if told == expected => Ok(()),
        other => Err(other.map_err(|error| error.to_string())),
    });
    interrupt(&mut watch);
}

#[test]
fn a_tracker_that_is_killed_during_a_watch_is_waited_for() {
    let mut stack = Stack::start();
    let first = push_version(&stack, "first", 1000);
    let mut watch = watch(&stack, &["--no-agent", "--download-dir=out"]);
    let place = stack.path("out/demo");
    is_at(&first, &place);
    stack.kill("tracker");
    logged(&watch, "does not answer");
    assert_same(&first, &place);
    stack.start_tracker();
    logged(&watch, "the tracker is back");
    is_at(&push_version(&stack, "second", 1000), &place);
    assert_eq!(watch.log().matches("does not answer").count(), 1, "{}", watch.log());
    interrupt(&mut watch);
}

#[test]
fn what_somebody_changed_stays_and_an_earlier_version_does_not() {
    let stack = Stack::start();
    let first = push_version(&stack, "first", 1000);
    let place = stack.path("out/demo");
    let mut one = watch(&stack, &["--no-agent", "--download-dir=out"]);
    is_at(&first, &place);
    one.kill();
    // Another process knows from the tag's history that there is nothing to lose.
    let second = push_version(&stack, "second", 1000);
    let mut other = watch(&stack, &["--no-agent", "--download-dir=out"]);
    is_at(&second, &place);
    fs::write(place.join("mine"), "precious").unwrap();
    let third = push_version(&stack, "third", 1000);
    logged(&other, "already exists and differs; --replace replaces it");
    assert_eq!(fs::read(place.join("mine")).unwrap(), b"precious");
    interrupt(&mut other);
    let mut replacing = watch(&stack, &["--no-agent", "--download-dir=out", "--replace"]);
    is_at(&third, &place);
    interrupt(&mut replacing);
}

#[test]
fn readers_behind_a_symlink_never_see_a_mixture() {
    let mut stack = Stack::start();
    stack.add_agent("agent");
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let link = stack.path("live");
    let mut watch = watch(&stack, &[&port, "--link=live"]);
    is_at(&push_version(&stack, "first", 1 << 20), &link);
    let seen = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = Vec::new();
            while seen.load(Ordering::Relaxed) < 4 {
                let here = link.canonicalize().unwrap();
                // Two swaps remove what a reader holds; it fails then, and never mixes.
                if let (Ok(one), Ok(two)) = (fs::read(here.join("one")), fs::read(here.join("two"))) {
                    assert!(one == two);
                    if one != last {
                        last = one;
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        let reads = |version| {
            eventually("the reader has read it", MINUTE, || match seen.load(Ordering::Relaxed) {
                other if other < version && !reader.is_finished() => Err(other),
                _ => Ok(()),
            });
        };
        reads(1);
        for (version, text) in (2..).zip(["second", "third", "fourth"]) {
            is_at(&push_version(&stack, text, 1 << 20), &link);
            reads(version);
        }
        reader.join().unwrap();
    });
    eventually("this version, the one before, and which that is are kept", MINUTE, || {
        match fs::read_dir(stack.path(".live.versions")).unwrap().count() {
            3 => Ok(()),
            other => Err(other),
        }
    });
    interrupt(&mut watch);
}

#[test]
fn a_version_that_is_superseded_while_it_is_fetched_is_never_put_in_its_place() {
    let mut stack = Stack::tracker_alone(&[]);
    stack.set("origin", "NOVA_ORIGIN_UPLOAD_LIMIT", "1048576");
    stack.add_origin("origin");
    push_version(&stack, "first", 16 << 20);
    let exec = "echo $NOVA_VERSION >> told";
    let mut watch = watch(&stack, &["--no-agent", "--download-dir=out", "--exec", exec]);
    logged(&watch, "fetching");
    is_at(&push_version(&stack, "second", 1000), &stack.path("out/demo"));
    eventually("the second version is told, and no other", MINUTE, || match fs::read_to_string(stack.path("told")) {
        Ok(told) if told == "2\n" => Ok(()),
        other => Err(other.map_err(|error| error.to_string())),
    });
    assert_eq!(fs::read_dir(stack.path("out")).unwrap().count(), 1, "nothing of the first version is left");
    interrupt(&mut watch);
}

#[test]
fn what_a_watch_left_of_a_version_that_the_tag_has_left_is_removed() {
    let stack = Stack::start();
    push_version(&stack, "first", 1000);
    let left = stack
        .path(&format!("out/.nova-{}", stack.block_on(stack.tracker.tag(&"demo".parse().unwrap())).unwrap().info_hash));
    fs::create_dir_all(left.join("new")).unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o700)).unwrap();
    let second = push_version(&stack, "second", 1000);
    let mut watch = watch(&stack, &["--no-agent", "--download-dir=out"]);
    logged(&watch, "out/demo, ");
    assert_same(&second, &stack.path("out/demo"));
    assert_eq!(fs::read_dir(stack.path("out")).unwrap().count(), 1);
    interrupt(&mut watch);
}

#[test]
fn a_watch_that_is_killed_while_it_delivers_leaves_the_old_version_and_goes_on() {
    let mut stack = Stack::start();
    stack.add_agent("agent");
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let link = stack.path("live");
    let first = push_version(&stack, "first", 1000);
    let mut one = watch(&stack, &[&port, "--link=live"]);
    is_at(&first, &link);
    let second = Tree::new(&stack.path("large/demo")).file("one", 192 << 20).file("two", 1 << 20).root();
    let tag = stack.push(&second, "demo");
    let versions = stack.path(".live.versions");
    let version = versions.join(tag.info_hash.to_string());
    at_once("the delivery has begun", || {
        let mut names = fs::read_dir(&version).into_iter().flatten().map(|entry| entry.unwrap().file_name());
        names.any(|name| name.to_string_lossy().starts_with(".nova-stage-"))
    });
    one.kill();
    assert_same(&first, &link.canonicalize().unwrap());
    let mut other = watch(&stack, &[&port, "--link=live"]);
    is_at(&second, &link);
    logged(&other, "live, ");
    eventually("what was left is swept", MINUTE, || {
        let names: Vec<_> = fs::read_dir(&version).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        if names == ["demo"] { Ok(()) } else { Err(names) }
    });
    interrupt(&mut other);
}

#[test]
fn an_agent_follows_what_its_settings_say() {
    let mut stack = Stack::start();
    let settings = format!(
        "[[follow]]\nreference = 'demo'\nlink = '{}'\ndelivery = 'hardlink'\nexec = 'echo $NOVA_VERSION >> {}'\n",
        stack.path("live").display(),
        stack.path("told").display(),
    );
    fs::write(stack.path("agent.toml"), settings).unwrap();
    let file = stack.path("agent.toml").display().to_string();
    stack.set("agent", "NOVA_AGENT_CONFIG", &file);
    let first = push_version(&stack, "first", 1000);
    stack.add_agent("agent");
    is_at(&first, &stack.path("live"));
    is_at(&push_version(&stack, "second", 1000), &stack.path("live"));
    eventually("both moves are told", MINUTE, || match fs::read_to_string(stack.path("told")) {
        Ok(told) if told == "1\n2\n" => Ok(()),
        other => Err(other.map_err(|error| error.to_string())),
    });
    assert!(stack.part("agent").terminate().success());
}

#[test]
fn an_agent_that_is_told_wrongly_what_to_follow_says_which_entry() {
    let stack = Stack::tracker_alone(&[]);
    let file = stack.path("agent.toml");
    fs::write(&file, "[[follow]]\nreference = 'demo'\n").unwrap();
    let agent = Command::new(nova_tests::program("nova-seeder"))
        .args(["agent", "--http-listen=127.0.0.1:0", "--peers-listen=127.0.0.1:0", "--config"])
        .arg(&file)
        .current_dir(stack.home.path())
        .output()
        .unwrap();
    assert_eq!(agent.status.code(), Some(2));
    let error = String::from_utf8(agent.stderr).unwrap();
    assert!(error.contains("entry 1 of follow (demo): none of directory and link are given"), "{error}");
}
