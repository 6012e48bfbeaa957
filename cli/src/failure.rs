use std::{io, process::ExitCode};

use nova_protocol::api::{ErrorBody, ErrorDetail};
use nova_seeder::{create::CreateError, pull::PullError, push::PushError, service::ServiceError, source::ResolveError};

use crate::{env::Env, escape, interrupt::INTERRUPTED};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked for.
    Done,
    /// What was named is not there, or does not verify.
    Absent,
    /// Anything else went wrong.
    Failed,
    /// The user wanted no more.
    Interrupted,
}

/// The user wanted no more.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("cancelled")]
pub struct Interrupted;

impl Exit {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Absent => 1,
            Self::Failed => 2,
            Self::Interrupted => INTERRUPTED,
        }
    }

    /// The word by which programs tell the error.
    const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Absent => "not_found",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Prints an error, to stderr and for programs to stdout too.
pub fn print(env: &Env, json: bool, error: &anyhow::Error) -> Exit {
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        // Whoever read our output has seen enough, as in `nova-cli tags | head`.
        return Exit::Done;
    }
    let exit = exit(env, error);
    let message = describe(error);
    let label = if env.stderr.colored { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
    env.stderr.say(&format!("{label} {}", escape::lines(&message)));
    if json {
        let code = service(error).and_then(code).unwrap_or_else(|| exit.word().to_owned());
        let body = ErrorBody { error: ErrorDetail { code, message } };
        env.stdout.say(&serde_json::to_string(&body).expect("two texts"));
    }
    exit
}

/// Prints what clap has to say: help and the version on stdout, a wrong command line on stderr.
pub fn print_usage(env: &Env, refusal: &clap::Error) -> Exit {
    let (output, exit) = if refusal.use_stderr() { (&env.stderr, Exit::Failed) } else { (&env.stdout, Exit::Done) };
    let text = refusal.render();
    let text = if output.colored { text.ansi().to_string() } else { text.to_string() };
    output.say(text.trim_end());
    exit
}

/// The error and its causes in one line, without causes that the text before them has said already.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn exit(env: &Env, error: &anyhow::Error) -> Exit {
    let absent_file = |kind: &io::Error| kind.kind() == io::ErrorKind::NotFound;
    if env.stop.is_cancelled() {
        return Exit::Interrupted;
    }
    let created = match error.downcast_ref() {
        Some(PushError::Create(error)) => Some(error),
        _ => error.downcast_ref::<CreateError>(),
    };
    let absent = service(error).is_some_and(ServiceError::is_not_found)
        || matches!(resolved(error), Some(ResolveError::Read { source, .. }) if absent_file(source))
        || matches!(created, Some(CreateError::Read { source, .. }) if absent_file(source));
    if absent { Exit::Absent } else { Exit::Failed }
}

/// What a tracker or an agent said, wherever in the error it is.
fn service(error: &anyhow::Error) -> Option<&ServiceError> {
    if let Some(PullError::Agent(error)) = error.downcast_ref() {
        return Some(error);
    }
    if let Some(PushError::Tracker(error)) = error.downcast_ref() {
        return Some(error);
    }
    if let Some(ResolveError::Tracker(error)) = resolved(error) {
        return Some(error);
    }
    error.downcast_ref()
}

fn resolved(error: &anyhow::Error) -> Option<&ResolveError> {
    match error.downcast_ref() {
        Some(PullError::Resolve(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

fn code(error: &ServiceError) -> Option<String> {
    match error {
        ServiceError::Refused { code, .. } => Some(code.clone()),
        ServiceError::Unreachable { .. } => Some("unreachable".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let inner = anyhow::anyhow!("no such file").context("cannot read x: no such file").context("cannot push");
        assert_eq!(describe(&inner), "cannot push: cannot read x: no such file");
    }
}
