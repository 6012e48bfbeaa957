//! Pulls one file from one seeder over loopback: with nova, with librqbit alone, with libtorrent alone, and with
//! libtorrent from nova's origin, in turns, and prints the rates.

mod content;
mod libtorrent;
mod measure;
mod rate;
mod rqbit;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use content::write_content;
use measure::median;
use nova_seeder::create::{Options, create};
use nova_tests::{Process, Stack, eventually, free_addr};
use rate::rate;
use tokio_util::sync::CancellationToken;

/// Compares the rate of a pull from one origin with that of other clients among themselves.
#[derive(Parser)]
struct Arguments {
    /// Length of the file in MiB.
    #[arg(long, default_value_t = 2048)]
    size: u64,
    /// How often each of them runs.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when it runs beside itself.
#[derive(Subcommand)]
enum Role {
    /// Seeds with librqbit.
    #[command(hide = true)]
    RqbitSeed { torrent: PathBuf, folder: PathBuf, listen: SocketAddr },
    /// Fetches with librqbit.
    #[command(hide = true)]
    RqbitLeech { torrent: PathBuf, folder: PathBuf, peer: SocketAddr },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(Role::RqbitSeed { torrent, folder, listen }) => rqbit::seed(&torrent, &folder, listen),
        Some(Role::RqbitLeech { torrent, folder, peer }) => rqbit::leech(&torrent, &folder, peer),
        None => compare(&arguments),
    }
}

fn compare(arguments: &Arguments) -> Result<()> {
    let stack = Stack::start();
    let source = stack.path("source");
    std::fs::create_dir(&source)?;
    let file = source.join("content");
    write_content(&file, arguments.size)?;
    let torrent = stack.path("content.torrent");
    // Public, so that every client takes peers that it is told of.
    let created = create(&file, &Options::default(), |_, _| {}, &CancellationToken::new())?;
    std::fs::write(&torrent, created.metainfo.as_bytes())?;
    let pushed = stack.cli().run(stack.home.path(), ["push", "source/content", "bench:v1", "--public"]).success();
    println!("push: {}", pushed.stdout.trim());
    let status = stack.torrent(created.metainfo.info_hash())?;
    let origin = status.replicas[0].peer_addr;

    let rqbit = free_addr();
    let _rqbit_seed = rqbit::start_seed(&torrent, &source, rqbit, &stack.path("rqbit.log"))?;
    let libtorrent = free_addr();
    let _libtorrent_seed = libtorrent::start_seed(&torrent, &source, libtorrent, &stack.path("libtorrent.log"));
    for seed in [rqbit, libtorrent] {
        eventually("the seed listens", Duration::from_mins(2), || std::net::TcpStream::connect(seed));
    }

    let length = arguments.size << 20;
    let mut rates: [Vec<f64>; 4] = Default::default();
    for _ in 0..arguments.runs {
        let out = stack.path("out");
        let seconds = [
            timed(&out, || pull(&stack, &out))?,
            timed(&out, || rqbit::run_leech(&torrent, &out, rqbit))?,
            timed(&out, || libtorrent::run_leech(&torrent, &out, libtorrent))?,
            timed(&out, || libtorrent::run_leech(&torrent, &out, origin))?,
        ];
        for (rates, elapsed) in rates.iter_mut().zip(seconds) {
            rates.push(rate(length, elapsed));
        }
    }
    print_table(arguments, &rates);
    Ok(())
}

/// The time that a download into a new directory takes, process start and end included.
fn timed(out: &Path, download: impl FnOnce() -> Result<()>) -> Result<Duration> {
    std::fs::create_dir_all(out)?;
    let start = Instant::now();
    download()?;
    let elapsed = start.elapsed();
    std::fs::remove_dir_all(out)?;
    Ok(elapsed)
}

fn pull(stack: &Stack, out: &Path) -> Result<()> {
    let arguments = ["pull", "bench:v1", "--no-agent", "--quiet", "--download-dir"];
    let status = stack.cli().command(stack.home.path(), arguments).arg(out).status()?;
    ensure!(status.success(), "nova-cli pull: {status}");
    Ok(())
}

fn print_table(arguments: &Arguments, rates: &[Vec<f64>; 4]) {
    let names = [
        "nova-cli from nova's origin",
        "librqbit from librqbit",
        "libtorrent from libtorrent",
        "libtorrent from nova's origin",
    ];
    println!("{} MiB over loopback, {} runs of each in turns", arguments.size, arguments.runs);
    println!("| | median MB/s | nova-cli / this, median of rounds |");
    println!("|---|---|---|");
    for (name, theirs) in names.iter().zip(rates) {
        let ratio = median(rates[0].iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
        println!("| {name} | {:.0} | {ratio:.2} |", median(theirs.iter().copied()));
    }
}

/// This program in another role.
fn myself(role: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(role);
    Ok(command)
}

/// Starts a seed that is killed when it is dropped.
fn seed(name: &str, command: &mut Command, log: &Path) -> Process {
    Process::start(name, command, log)
}
