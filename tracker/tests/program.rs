//! `nova-tracker` as a process.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use nova_tracker::config::DEFAULT_FILE;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nova-tracker"));
    command.args(arguments).env_remove("NOVA_TRACKER_CONFIG");
    command
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_defaults_can_be_printed() {
    let output = program(&["--print-config"]).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), DEFAULT_FILE);
}

#[test]
fn help_teaches() {
    let help = String::from_utf8(program(&["--help"]).output().unwrap().stdout).unwrap();
    for part in ["--config", "--data-dir", "Examples:", "NOVA_TRACKER_", "/announce"] {
        assert!(help.contains(part), "{part}");
    }
}

#[test]
fn the_environment_sets_what_flags_do_not() {
    let run = |flags: &[&str]| program(flags).env("NOVA_TRACKER_MIN_REPLICAS", "7").output().unwrap();
    assert!(refusal(&run(&[])).contains("replicas is 2, expected at least min_replicas, which is 7"));
    assert!(refusal(&run(&["--replicas", "6"])).contains("replicas is 6"));
    assert!(refusal(&run(&["--min-replicas", "3"])).contains("which is 3"));
}

#[test]
fn bad_settings_are_refused_by_name() {
    let unknown = program(&[]).env("NOVA_TRACKER_COLOUR", "red").output().unwrap();
    assert!(refusal(&unknown).contains("colour"));
    let file = program(&["--config", "/nowhere/tracker.toml"]).output().unwrap();
    assert!(refusal(&file).contains("/nowhere/tracker.toml"));
    let flag = program(&["--http-listen", "here"]).output().unwrap();
    assert!(refusal(&flag).contains("here"));
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    assert!(
        refusal(&program(&["--http-listen", "127.0.0.1:0", "--announce-listen", &addr]).output().unwrap())
            .contains(&addr)
    );
}

#[test]
fn sigterm_ends_it_cleanly() {
    let directory = tempfile::TempDir::new().unwrap();
    let data = directory.path().to_str().unwrap();
    let listen = ["--announce-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data-dir", data];
    let mut child = program(&listen).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listening"), "{line}");
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(child.wait().unwrap().success());
}
