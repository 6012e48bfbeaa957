//! Who reaches an agent: by its address, its socket, its token.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    process::Command,
    time::Duration,
};

use nova_tests::{Output, Process, Stack, Tree, assert_same, eventually, free_addr, program};

const TOKEN: &str = "9f86d081884c7d659a2feaa0c55ad015";
const WITHIN: Duration = Duration::from_secs(20);

/// An agent of this stack's tracker, with these settings, in the directory `NAME`.
fn agent(stack: &Stack, name: &str, settings: &[(&str, &str)]) -> Process {
    let mut command = Command::new(program("nova-seeder"));
    command.arg("agent").arg("--data-dir").arg(stack.path(name));
    command.env("NOVA_AGENT_TRACKER", format!("http://{}", stack.http()));
    command.env("NOVA_AGENT_PEERS_LISTEN", free_addr().to_string());
    command.envs(settings.iter().map(|(setting, value)| (format!("NOVA_AGENT_{setting}"), value)));
    Process::start(name, &mut command, &stack.path(&format!("{name}.log")))
}

/// Runs a command with the agent at `at`, and with this token.
fn cli(stack: &Stack, at: &str, token: &str, arguments: &[&str]) -> Output {
    let mut command = stack.cli().command(stack.home.path(), arguments);
    let output = command.env("NOVA_CLI_AGENT", at).env("NOVA_CLI_AGENT_TOKEN", token).output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits until the agent at `at` is ready.
fn ready(stack: &Stack, at: &str, token: &str) {
    eventually("the agent is ready", WITHIN, || {
        let status = cli(stack, at, token, &["status", "--json"]).json();
        if status["agent"]["ready"] == true { Ok(()) } else { Err(status["agent"].clone()) }
    });
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_agent_on_a_socket_takes_pulls_from_those_who_may_write_to_it() {
    let stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), 1 << 20);
    stack.push(&tree, "demo");
    let path = stack.path("agent.sock");
    let at = format!("unix:{}", path.display());
    let mut agent = agent(&stack, "agent", &[("HTTP_LISTEN", &at)]);
    ready(&stack, &at, "");
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    assert_eq!(mode(&path), 0o660);
    let pulled = cli(&stack, "", "", &["pull", "demo", "--agent", &at, "-d", "out", "--json"]).success().json();
    assert_eq!(pulled["through"], "agent", "{pulled}");
    assert_same(&tree, &stack.path("out/demo"));
    let status = cli(&stack, &at, "", &["status"]).success().stdout;
    assert!(status.contains(&format!("{at}  ready")), "{status}");
    assert!(agent.terminate().success());
    assert!(!path.exists());
}

#[test]
fn a_socket_has_one_agent_and_a_dead_one_leaves_it_to_the_next() {
    let stack = Stack::tracker_alone(&[]);
    let path = stack.path("agent.sock");
    let at = format!("unix:{}", path.display());
    let settings = [("HTTP_LISTEN", at.as_str()), ("SOCKET_MODE", "0600")];
    let mut first = agent(&stack, "first", &settings);
    ready(&stack, &at, "");
    let mut second = agent(&stack, "second", &settings);
    let ended = eventually("the second agent ends", WITHIN, || second.ended().ok_or("it runs"));
    assert_eq!(ended.code(), Some(2));
    assert!(second.log().contains("is already in use"), "{}", second.log());
    ready(&stack, &at, "");
    first.kill();
    assert!(path.exists());
    let _third = agent(&stack, "second", &settings);
    ready(&stack, &at, "");
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn an_agent_that_other_hosts_reach_does_not_start_without_a_token() {
    let stack = Stack::tracker_alone(&[]);
    let at = format!("0.0.0.0:{}", free_addr().port());
    let mut open = agent(&stack, "open", &[("HTTP_LISTEN", &at)]);
    let ended = eventually("the agent ends", WITHIN, || open.ended().ok_or("it runs"));
    assert_eq!(ended.code(), Some(2));
    let log = open.log();
    assert!(log.contains(&at) && log.contains("token_file") && log.lines().count() == 1, "{log}");
    let mut guessed = agent(&stack, "guessed", &[("HTTP_LISTEN", &at), ("TOKEN", "sesame")]);
    eventually("the agent ends", WITHIN, || guessed.ended().ok_or("it runs"));
    assert!(
        guessed.log().contains("a token of 6 characters") && !guessed.log().contains("sesame"),
        "{}",
        guessed.log()
    );
}

#[test]
fn with_a_token_only_those_who_know_it_are_served() {
    let stack = Stack::tracker_alone(&[]);
    let (listen, token_file) = (free_addr(), stack.path("token"));
    fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
    let at = format!("http://{listen}");
    let open = format!("0.0.0.0:{}", listen.port());
    let settings = [("HTTP_LISTEN", open.as_str()), ("TOKEN_FILE", token_file.to_str().unwrap())];
    let agent = agent(&stack, "agent", &settings);
    ready(&stack, &at, TOKEN);
    for token in ["", "0123456789abcdef0123456789abcdef"] {
        let refused = cli(&stack, &at, token, &["limits"]);
        assert_eq!(refused.code, Some(2));
        assert!(refused.stderr.contains("NOVA_CLI_AGENT_TOKEN"), "{}", refused.stderr);
        let status = cli(&stack, &at, token, &["status"]).stdout;
        assert!(status.contains("not ready") && status.contains("token"), "{status}");
    }
    cli(&stack, &at, TOKEN, &["limits"]).success();
    let (http, url) = (reqwest::Client::new(), format!("{at}/metrics"));
    let refused = stack.block_on(http.get(&url).send()).unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
    for open in ["health", "readiness"] {
        assert!(stack.block_on(http.get(format!("{at}/{open}")).send()).unwrap().status().is_success());
    }
    assert!(!agent.log().contains(TOKEN), "{}", agent.log());
}

#[test]
fn an_agent_on_a_socket_or_with_a_token_reaches_itself_to_follow() {
    let stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), 1 << 20);
    stack.push(&tree, "demo");
    let (socket, token_file) = (format!("unix:{}", stack.path("agent.sock").display()), stack.path("token"));
    fs::write(&token_file, TOKEN).unwrap();
    let open = format!("0.0.0.0:{}", free_addr().port());
    let with_token = [("HTTP_LISTEN", open.as_str()), ("TOKEN_FILE", token_file.to_str().unwrap())];
    for (name, settings) in [("socket", &[("HTTP_LISTEN", socket.as_str())][..]), ("token-agent", &with_token[..])] {
        let (file, link) = (stack.path(&format!("{name}.toml")), stack.path(&format!("{name}.live")));
        fs::write(&file, format!("[[follow]]\nreference = 'demo'\nlink = '{}'\n", link.display())).unwrap();
        let _agent = agent(&stack, name, &[settings, &[("CONFIG", file.to_str().unwrap())]].concat());
        let content = eventually("the link leads to the content", WITHIN, || link.canonicalize());
        assert_same(&tree, &content);
    }
}

#[test]
fn a_host_without_certificates_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = format!("--data-dir={}", directory.path().display());
    let agent = ["agent", &data_dir, "--peers-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"];
    let origin = ["origin", &data_dir, "--peers-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"];
    for (name, arguments) in [("nova-cli", &["tags"][..]), ("nova-seeder", &agent), ("nova-seeder", &origin)] {
        let mut command = Command::new(program(name));
        let output =
            command.args(arguments).env("SSL_CERT_FILE", "/dev/null").env_remove("SSL_CERT_DIR").output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("No CA certificates") && error.contains("SSL_CERT_FILE"), "{error}");
    }
}
