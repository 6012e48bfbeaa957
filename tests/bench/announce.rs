//! Compares trackers under announces: rate, the server's processor time, latency, memory, and what writes to the index
//! do to announces. Each server runs on a core of its own, and the load that this program makes on another.

#[path = "announce/ceiling.rs"]
mod ceiling;
#[path = "announce/compare.rs"]
mod compare;
#[path = "announce/http.rs"]
mod http;
#[path = "announce/index.rs"]
mod index;
#[path = "announce/load.rs"]
mod load;
mod measure;
#[path = "announce/memory.rs"]
mod memory;
#[path = "announce/peers.rs"]
mod peers;
#[path = "announce/report.rs"]
mod report;
#[path = "announce/servers.rs"]
mod servers;
#[path = "announce/udp.rs"]
mod udp;

use std::{ffi::OsString, net::SocketAddr, time::Duration};

use anyhow::Result;
use clap::{Parser, Subcommand};
use compare::Face;
use servers::{Programs, run_pinned};

/// Compares trackers under announces.
#[derive(Parser)]
struct Arguments {
    /// How long each measurement takes, in seconds.
    #[arg(long, default_value_t = 5, global = true)]
    seconds: u64,
    /// How often each server is measured.
    #[arg(long, default_value_t = 3, global = true)]
    rounds: usize,
    /// The core that each server runs on.
    #[arg(long, default_value_t = 0, global = true)]
    server_core: usize,
    /// The core that the load comes from.
    #[arg(long, default_value_t = 1, global = true)]
    load_core: usize,
    #[command(flatten)]
    programs: Programs,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Announces over HTTP, on lasting connections and with a connection for each.
    Http,
    /// Announces over UDP.
    Udp,
    /// Memory of a million peers.
    Memory,
    /// Latency of announces while the index is written to and read.
    Index,
    /// Everything.
    All,
    /// Becomes another program on one core, and is killed with its parent.
    #[command(hide = true)]
    Pinned {
        core: usize,
        program: OsString,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Answers each HTTP request with the same announce answer.
    #[command(hide = true)]
    Ceiling { listen: SocketAddr },
}

/// What every measurement is told.
struct Bench {
    programs: Programs,
    seconds: Duration,
    rounds: usize,
    server_core: usize,
}

fn main() -> Result<()> {
    let Arguments { seconds, rounds, server_core, load_core, programs, what } = Arguments::parse();
    match &what {
        Some(What::Pinned { core, program, arguments }) => return run_pinned(*core, program, arguments),
        Some(What::Ceiling { listen }) => return ceiling::serve(*listen),
        _ => {}
    }
    servers::pin(load_core)?;
    let bench = Bench { programs, seconds: Duration::from_secs(seconds), rounds: rounds.max(1), server_core };
    let is_all = matches!(what, None | Some(What::All));
    if is_all || matches!(what, Some(What::Http)) {
        compare::run(&bench, Face::HttpLasting)?;
        compare::run(&bench, Face::HttpOnce)?;
    }
    if is_all || matches!(what, Some(What::Udp)) {
        compare::run(&bench, Face::Udp)?;
    }
    if is_all || matches!(what, Some(What::Memory)) {
        memory::run(&bench);
    }
    if is_all || matches!(what, Some(What::Index)) {
        index::run(&bench)?;
    }
    Ok(())
}
