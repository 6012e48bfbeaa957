use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::program;

/// `nova-cli` as a user runs it, away from any configuration of the machine.
#[derive(Debug, Clone)]
pub struct Cli {
    tracker: SocketAddr,
}

/// What a command printed, and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Cli {
    /// A user of the tracker whose HTTP face is at `tracker`.
    pub fn new(tracker: SocketAddr) -> Self {
        Self { tracker }
    }

    /// A command about to be started in `folder`.
    pub fn command<S: AsRef<OsStr>>(&self, folder: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program("nova-cli"));
        command.args(arguments).current_dir(folder).stdin(Stdio::null());
        command.env("NOVA_CLI_TRACKER", format!("http://{}", self.tracker));
        command
    }

    /// Runs a command to its end.
    pub fn run<S: AsRef<OsStr>>(&self, folder: &Path, arguments: impl IntoIterator<Item = S>) -> Output {
        let output = self.command(folder, arguments).output().unwrap();
        Output {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts a command that goes on beside the test.
    pub fn spawn<S: AsRef<OsStr>>(&self, folder: &Path, arguments: impl IntoIterator<Item = S>) -> Child {
        self.command(folder, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Output {
    /// The output of a command that must have succeeded.
    #[allow(clippy::must_use_candidate, clippy::return_self_not_must_use)]
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The one JSON object on standard output.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}
