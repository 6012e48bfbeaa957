//! Simulates fleets of any size behind equal links, and prints how the time until the last one is done grows.

mod payload;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use nova_protocol::PieceLength;
use nova_tests::simulation::{Outcome, Scene, percentiles};
use payload::{FRAME, PAYLOAD};

/// Simulates fleets that pull at once.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many hosts pull.
    #[arg(long, value_delimiter = ',', default_value = "1,8,16,32,100,1000")]
    hosts: Vec<usize>,
    /// What each link carries in Mbit/s, both ways.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Length of the content in MiB.
    #[arg(long, default_value_t = 64)]
    size: u64,
    /// Bytes in a piece, in KiB; as push chooses when not given.
    #[arg(long)]
    piece_length: Option<u64>,
    /// Bytes of a request in KiB. Fewer and larger ones, of as many bytes in flight, are quicker to simulate.
    #[arg(long, default_value_t = 16)]
    request: u32,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 4)]
    window: usize,
    /// Over how many seconds the starts are spread.
    #[arg(long, default_value_t = 0.0)]
    spread: f64,
    /// How many hosts have a tenth of the rate.
    #[arg(long, default_value_t = 0)]
    slow: usize,
    /// Every second host starts when half of the bound has passed.
    #[arg(long)]
    late: bool,
    /// Peers that the tracker hands out.
    #[arg(long, default_value_t = 50)]
    handout: usize,
    /// Open connections from which on a leecher dials nobody.
    #[arg(long, default_value_t = 18)]
    dials: usize,
    /// How the origin seeds.
    #[arg(long, value_enum, default_value_t = Seeding::Super)]
    seeding: Seeding,
    /// Where chance begins.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Seeding {
    /// Everybody is told of pieces of his own.
    Super,
    /// Everybody is told of everything.
    Plain,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    println!(
        "| N | p50 s | p99 s | last s | bound s | last/bound | copies | came twice | simulated in s |\n|{}",
        "---|".repeat(9)
    );
    for &hosts in &arguments.hosts {
        let scene = scene(&arguments, hosts)?;
        let start = Instant::now();
        let outcome = scene.run();
        print(&scene, outcome, start.elapsed());
    }
    Ok(())
}

fn scene(arguments: &Arguments, hosts: usize) -> Result<Scene> {
    let frames = u64::from(arguments.rate) * 125_000 / u64::from(FRAME);
    let rate = u32::try_from(frames * u64::from(PAYLOAD)).context("such a rate is not simulated")?;
    let mut scene = Scene::fleet(hosts, rate, arguments.size << 20);
    scene.leechers.iter_mut().take(arguments.slow).for_each(|host| host.rate /= 10);
    let half = Duration::from_secs_f64(scene.bound() / 2.0);
    let pause = arguments.spread / hosts as f64;
    for (index, host) in scene.leechers.iter_mut().enumerate() {
        let is_late = arguments.late && index % 2 == 1;
        host.starts = if is_late { half } else { Duration::from_secs_f64(pause * index as f64) };
    }
    if let Some(kibibytes) = arguments.piece_length {
        scene.piece_length = PieceLength::chosen(kibibytes << 10)?;
    }
    Ok(Scene {
        request: arguments.request << 10,
        window: arguments.window,
        handout: arguments.handout,
        dials: arguments.dials,
        super_seeds: arguments.seeding == Seeding::Super,
        seed: arguments.seed,
        ..scene
    })
}

fn print(scene: &Scene, outcome: Outcome, took: Duration) {
    let Outcome { mut done, copies, waste } = outcome;
    done.sort_by(f64::total_cmp);
    let ([p50, p99, last], bound) = (percentiles(&done), scene.bound());
    println!(
        "| {} | {p50:.1} | {p99:.1} | {last:.1} | {bound:.1} | {:.2} | {copies:.2} | {:.1} % | {:.1} |",
        done.len(),
        last / bound,
        waste * 100.0,
        took.as_secs_f64(),
    );
}
