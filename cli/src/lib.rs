//! The user's commands: push a tree, pull it anywhere, and everything around that.
//!
//! A command is a struct in its own file under `command/`, with `run(self, context)`. [`Env`] holds all that a command
//! touches of its process, so that whole commands run in tests.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod arguments;
mod command;
mod config;
mod context;
mod env;
mod escape;
mod failure;
mod interrupt;
mod log;
mod progress;
mod servers;
mod table;
mod target;
mod units;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

pub use config::{Config, DEFAULT_FILE};
pub use env::{Captured, Env, Output};
pub use failure::Exit;

use crate::{arguments::Arguments, context::Context};

/// How long threads that still read or write may take to end after the command has.
const LINGER: Duration = Duration::from_secs(2);

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    let env = Env::of_process();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::print(&env, false, &anyhow::Error::new(error).context("cannot start")).into(),
    };
    let exit = runtime.block_on(async {
        interrupt::listen(env.stop.clone());
        run(&env).await
    });
    runtime.shutdown_timeout(LINGER);
    exit.into()
}

/// Runs a command, prints what comes of it, and says how it ended.
pub async fn run(env: &Env) -> Exit {
    let Arguments { options, command } = match Arguments::try_parse_from(&env.arguments) {
        Ok(arguments) => arguments,
        Err(refusal) => return failure::print_usage(env, &refusal),
    };
    let json = options.json;
    let env = options.color.apply(env);
    let ended = match Context::new(&env, &options) {
        Ok(context) => {
            let ended = command.run(&context).await;
            context.progress.end();
            ended
        }
        Err(error) => Err(error),
    };
    match ended {
        Ok(exit) => exit,
        Err(error) => failure::print(&env, json, &error),
    }
}
