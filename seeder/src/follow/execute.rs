//! The command that is run when content is in its place.

use std::{
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nova_protocol::api::TagVersion;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// A command that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExecuteError {
    #[error("cannot run `{0}`: {1}")]
    Start(String, io::Error),
    #[error("`{0}` ended with {1}")]
    Failed(String, ExitStatus),
    #[error("`{0}` was killed: it went on for {1:?} after the end")]
    Killed(String, Duration),
}

/// Runs `command` through the shell until it ends, and kills it when it goes on for longer than `end_within` after
/// `stop`. What it prints goes to stderr.
pub(super) async fn execute(
    command: &str,
    tag: &TagVersion,
    path: PathBuf,
    stop: &CancellationToken,
    end_within: Duration,
) -> Result<(), ExecuteError> {
    let named = |error| ExecuteError::Start(command.to_owned(), error);
    let path = std::path::absolute(path).map_err(named)?;
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("NOVA_REFERENCE", tag.reference.to_string())
        .env("NOVA_VERSION", tag.version.to_string())
        .env("NOVA_INFO_HASH", tag.info_hash.to_string())
        .env("NOVA_PATH", path)
        .stdin(Stdio::null())
        .stdout(io::stderr())
        // So that Ctrl-C does not cut it short, and what it has started can be killed with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(named)?;
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(end_within).await;
    };
    let ended = tokio::select! {
        ended = child.wait() => Some(ended.map_err(named)?),
        () = overdue => None,
    };
    match ended {
        None => {
            kill(&child);
            Err(ExecuteError::Killed(command.to_owned(), end_within))
        }
        Some(ended) if ended.success() => Ok(()),
        Some(ended) => Err(ExecuteError::Failed(command.to_owned(), ended)),
    }
}

/// Kills a command and what it has started.
fn kill(child: &Child) {
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    // It may have ended in the same moment.
    let _ = group.map(|group| kill_process_group(group, Signal::KILL));
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Duration = Duration::from_mins(1);

    fn tag() -> TagVersion {
        TagVersion {
            reference: "models/demo:v1".parse().unwrap(),
            version: 7,
            info_hash: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            torrent_name: "demo".to_owned(),
            length: 1,
            files: 1,
            moved_at: 0,
            pusher: String::new(),
        }
    }

    #[tokio::test]
    async fn a_command_is_told_what_has_moved_where() {
        let home = tempfile::tempdir().unwrap();
        let said = home.path().join("said");
        let command = format!("echo $NOVA_REFERENCE $NOVA_VERSION $NOVA_INFO_HASH $NOVA_PATH > {}", said.display());
        execute(&command, &tag(), PathBuf::from("/srv/demo"), &CancellationToken::new(), END).await.unwrap();
        let expected = "models/demo:v1 7 0123456789abcdef0123456789abcdef01234567 /srv/demo\n";
        assert_eq!(std::fs::read_to_string(said).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_command_that_fails_says_how() {
        let failed = execute("exit 3", &tag(), PathBuf::from("x"), &CancellationToken::new(), END).await.unwrap_err();
        assert_eq!(failed.to_string(), "`exit 3` ended with exit status: 3");
    }

    #[tokio::test]
    async fn a_command_that_goes_on_after_the_end_is_killed() {
        let stop = CancellationToken::new();
        stop.cancel();
        let killed =
            execute("sleep 3600", &tag(), PathBuf::from("x"), &stop, Duration::from_millis(10)).await.unwrap_err();
        assert!(matches!(killed, ExecuteError::Killed(..)), "{killed}");
    }
}
