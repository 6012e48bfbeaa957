//! Hashes one file with `mktorrent` and with nova in turns, and prints both rates.

mod content;
mod measure;
mod rate;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use content::write_content;
use measure::median;
use nova_protocol::{InfoHash, Metainfo, PieceLength};
use nova_seeder::create::{Options, create};
use rate::rate;
use tokio_util::sync::CancellationToken;

/// Compares the hashing rate of nova with that of mktorrent, on one file in the page cache.
#[derive(Parser)]
struct Arguments {
    /// Length of the file in MiB.
    #[arg(long, default_value_t = 2048)]
    size: u64,
    /// How often each of the two runs.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Threads of each of the two.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Bytes in a piece, a power of two; nova's own choice when none is given.
    #[arg(long)]
    piece_length: Option<u64>,
    /// Where the file is made; the system's temporary directory when none is given.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir_in(arguments.dir.clone().unwrap_or_else(std::env::temp_dir))?;
    let file = dir.path().join("content");
    let length = arguments.size << 20;
    write_content(&file, arguments.size)?;
    let piece_length =
        arguments.piece_length.map_or_else(|| Ok(PieceLength::for_total(length)), PieceLength::chosen)?;
    io::copy(&mut File::open(&file)?, &mut io::sink())?;
    let mut rates = Vec::with_capacity(arguments.runs);
    for _ in 0..arguments.runs {
        let (theirs, their_hash) = run_mktorrent(&file, &dir.path().join("torrent"), piece_length, arguments.threads)?;
        let (ours, our_hash) = run_nova(&file, piece_length, arguments.threads)?;
        ensure!(our_hash == their_hash, "nova made {our_hash}, mktorrent {their_hash}");
        rates.push((rate(length, theirs), rate(length, ours)));
    }
    print_table(&rates, arguments.size, piece_length);
    Ok(())
}

fn run_mktorrent(
    file: &Path,
    torrent: &Path,
    piece_length: PieceLength,
    threads: usize,
) -> Result<(Duration, InfoHash)> {
    let start = Instant::now();
    let status = Command::new("mktorrent")
        .arg(format!("-t{threads}"))
        .arg(format!("-l{}", piece_length.get().trailing_zeros()))
        .arg("-o")
        .args([torrent, file])
        .stdout(Stdio::null())
        .status()
        .context("cannot run mktorrent")?;
    let elapsed = start.elapsed();
    ensure!(status.success(), "mktorrent: {status}");
    let made = Metainfo::parse(fs::read(torrent)?)?;
    fs::remove_file(torrent)?;
    Ok((elapsed, made.info_hash()))
}

fn run_nova(file: &Path, piece_length: PieceLength, threads: usize) -> Result<(Duration, InfoHash)> {
    let options = Options { piece_length: Some(piece_length), threads: Some(threads), ..Options::default() };
    let start = Instant::now();
    let created = create(file, &options, |_, _| {}, &CancellationToken::new())?;
    Ok((start.elapsed(), created.metainfo.info_hash()))
}

fn print_table(rates: &[(f64, f64)], mebibytes: u64, piece_length: PieceLength) {
    let theirs = median(rates.iter().map(|&(theirs, _)| theirs));
    let ours = median(rates.iter().map(|&(_, ours)| ours));
    let ratio = median(rates.iter().map(|&(theirs, ours)| ours / theirs));
    println!("{mebibytes} MiB in pieces of {} KiB, {} runs of each in turns", piece_length.get() >> 10, rates.len());
    println!("| | median MB/s |");
    println!("|---|---|");
    println!("| mktorrent | {theirs:.0} |");
    println!("| nova | {ours:.0} |");
    println!("| nova / mktorrent, median of pairs | {ratio:.2} |");
}
