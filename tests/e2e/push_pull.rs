//! The main job, as a user does it.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::Path,
    process::Command,
    time::Duration,
};

use nova_tests::{Stack, Tree, assert_same};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_pushed_tree_is_pulled_byte_for_byte_without_an_agent() {
    let stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), 20 << 20);
    let tag = stack.push(&tree, "models/demo:v1");
    assert_eq!((tag.version, tag.torrent_name.as_str()), (1, "demo"));

    let out = stack.path("out");
    let arguments = ["--json", "pull", "models/demo:v1", "--no-agent", "--download-dir", "out"];
    let outcome = stack.cli().run(stack.home.path(), arguments).success().json();
    assert_eq!(outcome["reused"], 0, "{outcome}");
    assert_same(&tree, &out.join("demo"));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "nothing else is left in the destination");
}

#[test]
fn a_pull_through_an_agent_leaves_it_seeding() {
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    let tree = Tree::of_everything(&stack.path("demo"), 20 << 20);
    let tag = stack.push(&tree, "demo");

    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    stack.cli().run(stack.home.path(), ["pull", &port, "--tag=demo:latest", "--download-dir=out"]).success();
    assert_same(&tree, &stack.path("out/demo"));
    stack.pulled(&agent, tag.info_hash, MINUTE);
}

#[test]
fn where_files_start_depends_on_the_tree_and_not_on_what_was_pushed_before() {
    let stack = Stack::start();
    let run = |arguments: &[&str]| stack.cli().run(stack.home.path(), arguments).success().json();
    let push = |tree: &str, reference: &str, align: &str| {
        let pushed = run(&["--json", "push", tree, reference, "--piece-length=64KiB", "--name=demo", "--align", align]);
        pushed["info_hash"].as_str().unwrap().to_owned()
    };
    for (tree, large) in [("demo", 9), ("older", 8), ("oldest", 1)] {
        Tree::new(&stack.path(tree)).file("a", 1).file("b", 1).file("c", large << 16).root();
    }
    push("oldest", "y", "none");
    push("older", "y", "all");
    assert_eq!(run(&["--json", "rollback", "y"])["version"], 3);
    let mut found = BTreeSet::new();
    for align in ["auto", "none", "all"] {
        let first = push("demo", &format!("x:{align}"), align);
        assert_eq!(push("demo", "y", align), first, "--align {align}");
        found.insert(first);
    }
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_change_of_mode_bits_alone_is_a_version_that_moves_no_byte() {
    let mut stack = Stack::start();
    stack.add_agent("agent");
    let tree = Tree::of_everything(&stack.path("demo"), 4 << 20);
    fs::create_dir(tree.join("spool")).unwrap();
    let set_mode = |path: &str, mode| fs::set_permissions(tree.join(path), Permissions::from_mode(mode)).unwrap();
    let run = |arguments: &[&str]| stack.cli().run(stack.home.path(), arguments).success().json();
    let push = || run(&["--json", "push", "demo", "demo:v1", "--preserve", "mode,ownership"]);
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let pull = || run(&["--json", "pull", &port, "demo:v1", "--download-dir=out", "--replace"]);
    let modes = |root: &Path| {
        ["", "spool", "bin", "bin/run.sh"].map(|path| fs::metadata(root.join(path)).unwrap().mode() & 0o7777)
    };

    set_mode("spool", 0o1770);
    let first = push();
    pull();
    assert_eq!(modes(&stack.path("out/demo")), [0o755, 0o1770, 0o755, 0o755]);

    set_mode("bin/run.sh", 0o750);
    set_mode("bin", 0o550);
    set_mode("", 0o500);
    let second = push();
    assert_eq!((&second["version"], &second["sent"]), (&2.into(), &0.into()), "{second}");
    assert_ne!(first["info_hash"], second["info_hash"]);
    let pulled = pull();
    assert_eq!((&pulled["reused"], &pulled["was_there"]), (&pulled["length"], &false.into()), "{pulled}");
    assert_eq!(modes(&stack.path("out/demo")), [0o500, 0o1770, 0o550, 0o750]);
    assert_eq!(pull()["was_there"], true);
    run(&["--json", "verify", "out/demo", "demo:v1"]);
    assert_eq!(fs::read_dir(stack.path("out")).unwrap().count(), 1, "nothing else is left in the destination");
}

#[test]
fn a_root_without_other_users_is_told_before_anything_is_fetched() {
    let mut stack = Stack::start();
    let (home, file) = (stack.path("."), stack.path("demo"));
    fs::write(&file, "x".repeat(100_000)).unwrap();
    lchown(&file, Some(12_345), Some(0)).unwrap();
    let cli = stack.cli();
    cli.run(&home, ["push", "demo", "demo:v1", "--preserve", "ownership"]).success();
    // As in a container of a user's own, where nobody else has a number.
    let pull = |more: &[&str]| {
        let pull = ["pull", "--no-agent", "demo:v1", "--download-dir=out", "--json"];
        let pull = cli.command(&home, pull.iter().chain(more));
        let mut alone = Command::new("unshare");
        alone.args(["--user", "--map-root-user"]).arg(pull.get_program()).args(pull.get_args());
        alone.current_dir(pull.get_current_dir().unwrap());
        alone.envs(pull.get_envs().filter_map(|(key, value)| Some((key, value?))));
        alone.output().unwrap()
    };
    assert!(pull(&["--no-preserve", "ownership"]).status.success());
    assert_eq!(fs::metadata(stack.path("out/demo")).unwrap().uid(), 0);
    fs::remove_file(stack.path("out/demo")).unwrap();
    stack.kill("origin");
    let refused = pull(&["--timeout", "20"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("given to 12345:0") && error.contains("--no-preserve ownership"), "{error}");
    assert_eq!((refused.status.code(), fs::read_dir(stack.path("out")).unwrap().count()), (Some(2), 0));
}
