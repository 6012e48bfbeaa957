//! Whole commands in this process, without a tracker.

#![allow(clippy::unwrap_used)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use nova_cli::{Env, Exit, run};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:9";

struct Ran {
    exit: Exit,
    stdout: String,
    stderr: String,
}

async fn nova(directory: &Path, arguments: &[&str]) -> Ran {
    let (mut env, stdout, stderr) = Env::captured(directory, arguments);
    env.variables.insert("NOVA_CLI_TRACKER".to_owned(), NOBODY.to_owned());
    env.variables.insert("NOVA_CLI_AGENT".to_owned(), NOBODY.to_owned());
    let exit = run(&env).await;
    Ran { exit, stdout: stdout.text(), stderr: stderr.text() }
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
}

fn tree() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("tree");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(root.join("sub/données"), vec![7; 200_000]).unwrap();
    std::os::unix::fs::symlink("run", root.join("link")).unwrap();
    directory
}

#[tokio::test]
async fn a_torrent_is_created_inspected_and_verified() {
    let directory = tree();
    let created = nova(directory.path(), &["create", "tree", "--public", "--json"]).await;
    assert_eq!(created.exit, Exit::Done, "{}", created.stderr);
    let created = json(&created);

    let inspected = json(&nova(directory.path(), &["inspect", "tree.torrent", "--json"]).await);
    assert_eq!(inspected["info_hash"], created["info_hash"]);
    assert_eq!(inspected["files"][1]["kind"], "executable");
    assert_eq!(inspected["files"][0]["target"], "run");
    assert!(inspected["magnet"].as_str().unwrap().starts_with("magnet:?xt=urn:btih:"));

    let verified = nova(directory.path(), &["verify", "tree", "tree.torrent"]).await;
    assert_eq!(verified.exit, Exit::Done, "{}", verified.stdout);
    fs::write(directory.path().join("tree/sub/données"), vec![8; 200_000]).unwrap();
    let verified = nova(directory.path(), &["verify", "tree", "tree.torrent"]).await;
    assert_eq!(verified.exit, Exit::Absent);
    assert!(verified.stdout.contains("sub/données: content differs"), "{}", verified.stdout);
}

#[tokio::test]
async fn create_refuses_to_overwrite_and_leaves_nothing_partial() {
    let directory = tree();
    fs::write(directory.path().join("tree.torrent"), "mine").unwrap();
    let refused = nova(directory.path(), &["create", "tree"]).await;
    assert_eq!(refused.exit, Exit::Failed);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(fs::read(directory.path().join("tree.torrent")).unwrap(), b"mine");
    assert_eq!(nova(directory.path(), &["create", "tree", "--force"]).await.exit, Exit::Done);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn create_writes_to_stdout_when_it_is_asked_to() {
    let directory = tree();
    let (env, stdout, _) = Env::captured(directory.path(), ["create", "tree", "-o", "-", "-q"]);
    assert_eq!(run(&env).await, Exit::Done);
    assert!(stdout.bytes().starts_with(b"d4:info"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_is_not_there_is_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["inspect", "none.torrent"][..], &["create", "none"], &["push", "none"]] {
        let ran = nova(directory.path(), arguments).await;
        assert_eq!(ran.exit.code(), 1, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("error: cannot read") && ran.stderr.contains("none"), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn a_tracker_that_does_not_answer_is_exit_code_2_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["tags"][..],
        &["history", "a:b"],
        &["rollback", "a"],
        &["rm", "a:b"],
        &["inspect", "a:b"],
        &["rollout", "a:b"],
    ] {
        let ran = nova(directory.path(), arguments).await;
        assert_eq!((ran.exit.code(), ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.starts_with("error: the tracker at") && ran.stderr.contains("--tracker"), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}

#[tokio::test]
async fn an_agent_that_was_asked_for_must_be_there() {
    let directory = tempfile::tempdir().unwrap();
    let ran = nova(directory.path(), &["pull", "--agent-server-port=9", "--tag=a/b:v1", "--download-dir=out"]).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.stderr.contains("the agent at http://127.0.0.1:9/ does not answer"), "{}", ran.stderr);
}

#[tokio::test]
async fn with_json_an_error_is_an_object_too() {
    let directory = tempfile::tempdir().unwrap();
    let ran = nova(directory.path(), &["tags", "--json"]).await;
    assert_eq!(json(&ran)["error"]["code"], "unreachable");
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
}

#[tokio::test]
async fn status_of_nothing_is_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let ran = nova(directory.path(), &["status", "--json"]).await;
    assert_eq!(ran.exit, Exit::Absent);
    let status = json(&ran);
    assert_eq!((&status["tracker"]["ready"], &status["agent"]["ready"]), (&Value::Bool(false), &Value::Bool(false)));
}

#[tokio::test]
async fn a_wrong_command_line_is_exit_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let wrong: [&[&str]; 15] = [
        &[],
        &["pushh"],
        &["push"],
        &["pull"],
        &["pull", "a:b", "--no-agent", "--agent=x"],
        &["push", "x", "--piece-length=100KiB"],
        &["push", "x", "a:v1", "--tag=v2"],
        &["pull", "a b"],
        &["history", "../x"],
        &["rollout", "a:b", "--wait=101%"],
        &["rollout", "a:b", "--timeout=5"],
        &["limits", "--upload=1k"],
        &["limits", "--upload=fast"],
        &["limits", "--peers=5"],
        &["limits", "--reset", "--upload=1M"],
    ];
    for arguments in wrong {
        let ran = nova(directory.path(), arguments).await;
        assert_eq!((ran.exit.code(), ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(!ran.stderr.is_empty());
    }
}

#[tokio::test]
async fn a_wrong_setting_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("cli.toml"), "trakcer = 'http://x'").unwrap();
    let ran = nova(directory.path(), &["tags", "--config=cli.toml"]).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.stderr.contains("trakcer"), "{}", ran.stderr);
    let ran = nova(directory.path(), &["tags", "--config=none.toml"]).await;
    assert!(ran.exit == Exit::Failed && ran.stderr.contains("cannot read the settings in none.toml"), "{}", ran.stderr);
}

#[tokio::test]
async fn every_command_has_examples_in_its_help() {
    let directory = tempfile::tempdir().unwrap();
    let commands = "push pull tags history rollback rollout rm inspect verify create status limits up demo completions";
    for command in commands.split(' ') {
        let help = nova(directory.path(), &[command, "--help"]).await;
        assert_eq!((help.exit, help.stderr.as_str()), (Exit::Done, ""));
        assert!(help.stdout.contains(&format!("nova-cli {command}")) && help.stdout.contains("Examples:"), "{command}");
    }
    assert!(nova(directory.path(), &["--help"]).await.stdout.contains("Exit codes: 0 done, 1 not there"));
}

#[tokio::test]
async fn completions_name_every_command() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = nova(directory.path(), &["completions", shell]).await.stdout;
        assert!(script.contains("rollback") && script.contains("agent-server-port"), "{shell}");
    }
}

#[tokio::test]
async fn a_cancelled_command_ends_with_130() {
    let directory = tree();
    let (env, _, stderr) = Env::captured(directory.path(), ["create", "tree"]);
    env.stop.cancel();
    assert_eq!(run(&env).await.code(), 130, "{}", stderr.text());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_pull_that_waits_too_long_says_for_what() {
    let directory = tempfile::tempdir().unwrap();
    // It accepts, and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let ran = nova(directory.path(), &["pull", "a:b", "--no-agent", "--timeout=1", "--tracker", &url]).await;
    assert_eq!(ran.exit.code(), 2);
    assert!(ran.stderr.contains("gave up after 1 s") && ran.stderr.contains("the tracker at"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_timeout_counts_from_the_start_whoever_does_not_answer() {
    let directory = tempfile::tempdir().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for (whom, arguments) in [("the agent", ["--agent", &url]), ("the tracker at", ["--no-agent", "--link=live"])] {
        let started = std::time::Instant::now();
        let pull = [&["pull", "a:b", "--timeout=1", "--tracker", &url], &arguments[..]].concat();
        let ran = nova(directory.path(), &pull).await;
        assert_eq!(ran.exit.code(), 2);
        assert!(ran.stderr.contains("gave up after 1 s") && ran.stderr.contains(whom), "{}", ran.stderr);
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "others wait for half a minute");
    }
}

#[tokio::test]
async fn a_rollout_waits_for_a_tracker_that_is_away_until_the_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let ran = nova(directory.path(), &["rollout", "a:b", "--wait=95%", "--timeout=3"]).await;
    assert_eq!((ran.exit.code(), ran.stdout.as_str()), (2, ""));
    let (waiting, error) = ran.stderr.split_once('\n').unwrap();
    assert!(waiting.starts_with("waiting for the tracker: the tracker at"), "{waiting}");
    assert!(error.starts_with("error: gave up after 3 s (--timeout): the tracker at"), "{error}");
}
