use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, ValueEnum};

use crate::{command::Command, env::Env};

/// Distributes files and directory trees to a fleet of machines over BitTorrent.
///
/// `push` turns a path into a torrent, leaves it on origin seeders and moves a tag to it. `pull` turns the tag back into
/// bytes on any machine, fetched from every other machine that has some of them.
#[derive(Debug, Parser)]
#[command(name = "nova-cli", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "\
Start here:
  nova-cli demo                           see it work, on this machine, in seconds
  nova-cli up                             run a tracker and an origin here
  nova-cli push ./model models/demo:v1    push a directory
  nova-cli pull models/demo:v1            pull it, on any machine

A reference is NAME:TAG; :latest is meant when no tag is given. Data goes to stdout, talk to stderr.
Exit codes: 0 done, 1 not there or does not verify, 2 anything else, 130 interrupted.
With --json, stdout is one JSON object: the result, or {\"error\": {\"code\", \"message\"}}.")]
pub struct Arguments {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Command,
}

/// What can be said to every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Options {
    /// The tracker [default: http://127.0.0.1:15004] [env: NOVA_CLI_TRACKER].
    #[arg(long, global = true, value_name = "URL")]
    pub tracker: Option<String>,
    /// File of settings in TOML [env: NOVA_CLI_CONFIG]; `config/cli.toml` explains each.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object on stdout, and no progress.
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress; the result and errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log what happens to stderr; twice for every detail.
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// When to use colours; NO_COLOR is respected.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// The same outputs, coloured as the user wants them.
    pub fn apply(self, env: &Env) -> Env {
        match self {
            Self::Auto => env.clone(),
            Self::Always => env.clone().colored(true),
            Self::Never => env.clone().colored(false),
        }
    }
}
