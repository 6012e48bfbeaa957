//! Puts content that is on this host already in a directory: with `cp`, with `cp` and `sync`, and with `nova-cli pull`
//! through an agent that has it, with `--no-sync` and without, in turns, and prints how long each takes.

mod content;
mod measure;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::Parser;
use content::write_content;
use measure::median;
use nova_tests::Stack;

/// Compares a delivery from an agent with `cp`.
#[derive(Parser)]
struct Arguments {
    /// Length of the file in MiB.
    #[arg(long, default_value_t = 2048)]
    size: u64,
    /// How often each of them runs.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// How nova-cli delivers: auto, reflink, hardlink or copy.
    #[arg(long, default_value = "copy")]
    delivery: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    fs::create_dir(stack.path("source"))?;
    write_content(&stack.path("source/content"), arguments.size)?;
    let tag = stack.push(&stack.path("source/content"), "bench:v1");
    stack.block_on(agent.start("bench:v1", &[]))?;
    let cached = stack.pulled(&agent, tag.info_hash, Duration::from_mins(5)).path;
    let out = stack.path("out");
    let port = format!("--agent-server-port={}", stack.agent_addr("agent").port());
    let delivery = format!("--delivery={}", arguments.delivery);
    let pull = |options: &[&str]| {
        let pull = [&["pull", "bench:v1", "--quiet", &port, &delivery], options, &["--download-dir"]].concat();
        run(stack.cli().command(stack.home.path(), pull).arg(&out))
    };
    let mut times: [Vec<f64>; 4] = Default::default();
    // The first round pays for memory that the machine has not touched yet, and is not counted.
    for round in 0..=arguments.runs {
        let copied = out.join("content");
        let seconds = [
            timed(&out, || run(Command::new("cp").arg(&cached).arg(&out)))?,
            timed(&out, || {
                run(Command::new("cp").arg(&cached).arg(&out))?;
                run(Command::new("sync").arg(&copied).arg(&out))
            })?,
            timed(&out, || pull(&["--no-sync"]))?,
            timed(&out, || pull(&[]))?,
        ];
        if round > 0 {
            times.iter_mut().zip(seconds).for_each(|(times, seconds)| times.push(seconds));
        }
    }
    print_table(&arguments, &times);
    Ok(())
}

/// Seconds that a delivery into a new directory takes, process start and end included; the disk is idle before it.
fn timed(out: &PathBuf, deliver: impl FnOnce() -> Result<()>) -> Result<f64> {
    fs::create_dir_all(out)?;
    sync(out)?;
    let start = Instant::now();
    deliver()?;
    let elapsed = start.elapsed().as_secs_f64();
    fs::remove_dir_all(out)?;
    Ok(elapsed)
}

fn sync(directory: &Path) -> Result<()> {
    run(Command::new("sync").arg("--file-system").arg(directory))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn print_table(arguments: &Arguments, times: &[Vec<f64>; 4]) {
    println!("{} MiB, --delivery={}, {} runs of each in turns", arguments.size, arguments.delivery, arguments.runs);
    println!("| | median s | by that of `cp`, median of rounds | by that of `cp`, then `sync` |");
    println!("|---|---|---|---|");
    let names = ["`cp`", "`cp`, then `sync`", "`nova-cli pull --no-sync`", "`nova-cli pull`"];
    for (name, own) in names.iter().zip(times) {
        let by = |theirs: &[f64]| median(own.iter().zip(theirs).map(|(own, theirs)| own / theirs));
        println!("| {name} | {:.2} | {:.2} | {:.2} |", median(own.iter().copied()), by(&times[0]), by(&times[1]));
    }
}
