//! Lets a fleet pull the same content at once, each host in a network namespace behind a shaped link, and prints when
//! the last one is done beside the time that the links alone would need.

mod content;
#[path = "fleet/host.rs"]
mod host;
mod measure;
#[path = "fleet/network.rs"]
mod network;
mod payload;
#[path = "fleet/report.rs"]
mod report;
#[path = "fleet/run.rs"]
mod run;
#[path = "fleet/watch.rs"]
mod watch;

use std::{
    os::unix::process::CommandExt,
    process::{Command, exit},
};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};
use host::Kind;

/// Lets a fleet pull at once over shaped links. Needs root.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// How many hosts pull.
    #[arg(long, default_value_t = 8)]
    hosts: u16,
    /// What each link carries in Mbit/s, both ways.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Length of the content in MiB.
    #[arg(long, default_value_t = 128)]
    size: u64,
    /// Bytes in a piece, in KiB; as push chooses when not given.
    #[arg(long)]
    piece_length: Option<u64>,
    /// How many origins hold the content; nova's alone can be more than one.
    #[arg(long, default_value_t = 1)]
    origins: u16,
    /// Who seeds.
    #[arg(long, value_enum, default_value_t = Kind::Nova)]
    seeder: Kind,
    /// Who pulls; several take turns.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "nova")]
    leechers: Vec<Kind>,
    /// Let libtorrent and Transmission speak TCP alone, and not uTP.
    #[arg(long)]
    tcp: bool,
    /// Over how many seconds the starts are spread.
    #[arg(long, default_value_t = 0.0)]
    spread: f64,
    /// How many hosts have a tenth of the rate.
    #[arg(long, default_value_t = 0)]
    slow: u16,
    /// What happens on the way.
    #[arg(long, value_enum, default_value_t = Event::None)]
    event: Event,
    /// How often.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Kept from here on: this process has namespaces of its own.
    #[arg(long, hide = true)]
    inside: bool,
}

/// What happens while a fleet pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Event {
    /// Nothing.
    None,
    /// Every second host starts when half of the bound has passed.
    Late,
    /// Every second host is killed when half of the bound has passed.
    Leave,
    /// The seeder is killed once it has sent as many bytes as the content has, and what was lost on the way.
    SeederDies,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !arguments.inside {
        return Err(alone());
    }
    ensure!(arguments.hosts > 0 && arguments.rate > 0.0 && arguments.slow <= arguments.hosts, "no such fleet");
    network::prepare()?;
    let mut runs = Vec::new();
    for number in 0..arguments.runs.max(1) {
        let outcome = run::run(&arguments, number)?;
        report::print_run(&arguments, &outcome);
        runs.push(outcome);
    }
    report::print_summary(&arguments, &runs);
    // Nobody has to wait for what the kernel removes with the namespaces.
    exit(i32::from(!runs.iter().all(|run| run.identical)));
}

/// Becomes this program in namespaces of its own: with its first process, however that ends, everything in them goes.
fn alone() -> anyhow::Error {
    let myself = std::env::current_exe().expect("the program has a path");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]).arg(myself);
    command.arg("--inside").args(std::env::args_os().skip(1));
    let error: Result<()> = Err(command.exec()).context("cannot run unshare of util-linux");
    error.expect_err("exec returns when it fails")
}
