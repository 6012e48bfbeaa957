//! What a new version moves: bytes that were pushed and pulled, beside the bytes that changed.

mod content;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Parser;
use content::write_content;
use nova_protocol::{InfoHash, Metainfo};
use nova_seeder::agent_client::AgentClient;
use nova_tests::Stack;
use serde_json::Value;

/// Pushes and pulls a tree of 200 files of which 5 change, and a file of which 1 % is overwritten in 20 places.
#[derive(Parser)]
struct Arguments {
    /// Length of the tree, and of the file, in MiB.
    #[arg(long, default_value_t = 2048)]
    size: u64,
}

const FILES: u64 = 200;
const CHANGED: u64 = 5;
const PLACES: u64 = 20;

/// What the second version of something moved.
struct Moved {
    changed: u64,
    pushed: u64,
    push_seconds: f64,
    pulled: u64,
    pull_seconds: f64,
}

fn main() -> Result<()> {
    let size = Arguments::parse().size;
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    println!("| {size} MiB | changed MiB | pushed / changed | in s | pulled / changed | in s |");
    println!("|---|---|---|---|---|---|");
    print_row(&format!("{FILES} files, {CHANGED} of them new"), &tree(&stack, &agent, size)?);
    print_row(&format!("one file, 1 % overwritten in {PLACES} places; its pieces"), &file(&stack, &agent, size)?);
    Ok(())
}

fn tree(stack: &Stack, agent: &AgentClient, size: u64) -> Result<Moved> {
    let tree = stack.path("tree");
    fs::create_dir(&tree)?;
    let length = (size << 20) / FILES;
    let write = |number: u64| {
        let path = tree.join(format!("{number:03}.bin"));
        write_content(&path, length.div_ceil(1 << 20))?;
        anyhow::Ok(File::options().write(true).open(&path)?.set_len(length)?)
    };
    (0..FILES).try_for_each(write)?;
    push(stack, &tree)?;
    pull(stack, agent, "tree")?;
    (0..CHANGED).try_for_each(|number| write(number * FILES / CHANGED + 3))?;
    second(stack, agent, &tree, |_| CHANGED * length)
}

fn file(stack: &Stack, agent: &AgentClient, size: u64) -> Result<Moved> {
    let file = stack.path("file");
    write_content(&file, size)?;
    let before = push(stack, &file)?;
    let before = metainfo(stack, &before)?;
    pull(stack, agent, "file")?;
    let (total, other) = (size << 20, stack.path("other"));
    write_content(&other, size.div_ceil(100 * PLACES))?;
    let patch = &fs::read(&other)?[..usize::try_from(total / 100 / PLACES)?];
    let disk = File::options().write(true).open(&file)?;
    (0..PLACES).try_for_each(|place| disk.write_all_at(patch, place * (total / PLACES) + 12_345))?;
    second(stack, agent, &file, |after| {
        let pieces = before.info.pieces.as_chunks::<20>().0.iter().zip(after.info.pieces.as_chunks::<20>().0);
        pieces.filter(|(one, other)| one != other).count() as u64 * u64::from(after.info.piece_length.get())
    })
}

/// Pushes and pulls the second version; `changed` says how many bytes of it are new.
fn second(stack: &Stack, agent: &AgentClient, path: &Path, changed: impl FnOnce(&Metainfo) -> u64) -> Result<Moved> {
    let start = Instant::now();
    let pushed = push(stack, path)?;
    let push_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let name = path.file_name().and_then(|name| name.to_str()).context("no name")?;
    let pulled = pull(stack, agent, name)?;
    let pull_seconds = start.elapsed().as_secs_f64();
    let changed = changed(&metainfo(stack, &pushed)?);
    Ok(Moved { changed, pushed: pushed["sent"].as_u64().context("sent")?, push_seconds, pulled, pull_seconds })
}

fn push(stack: &Stack, path: &Path) -> Result<Value> {
    let path = path.to_str().context("path")?;
    Ok(stack.cli().run(stack.home.path(), ["--json", "push", path]).success().json())
}

/// Has the agent pull it, and says how many bytes that moved.
fn pull(stack: &Stack, agent: &AgentClient, name: &str) -> Result<u64> {
    let info_hash = stack.block_on(agent.start(name, &[]))?.info_hash;
    let pull = stack.pulled(agent, info_hash, Duration::from_mins(10));
    Ok(pull.sources.iter().map(|source| source.bytes).sum())
}

fn metainfo(stack: &Stack, pushed: &Value) -> Result<Metainfo> {
    let info_hash: InfoHash = pushed["info_hash"].as_str().context("info_hash")?.parse()?;
    Ok(stack.metainfo(info_hash, ""))
}

fn print_row(what: &str, moved: &Moved) {
    let ratio = |bytes: u64| bytes as f64 / moved.changed as f64;
    println!(
        "| {what} | {:.1} | {:.2} | {:.1} | {:.2} | {:.1} |",
        moved.changed as f64 / f64::from(1 << 20),
        ratio(moved.pushed),
        moved.push_seconds,
        ratio(moved.pulled),
        moved.pull_seconds,
    );
}
