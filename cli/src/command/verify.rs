use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use nova_seeder::{
    create::Preserve,
    verify::{self, Check, Report},
};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Exit,
    progress::Step,
    target::{self, Target},
    units,
};

/// How many damaged files are named in the text; programs get all of them.
const NAMED: usize = 50;

/// Check content on disk against what was pushed: every byte, executable bits and symlinks.
///
/// Mode bits, owners (by root) and directories too, if they were pushed.
///
/// Damaged files are named. Files that the torrent does not mention are not looked at.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli verify out/demo models/demo:v1
  nova-cli verify out/demo demo.torrent       needs no tracker
Exit code 1 when something is missing or damaged; `nova-cli pull --replace` repairs it.")]
pub struct Verify {
    /// The file or directory, or the directory that holds it under its name.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// NAME:TAG, an info hash, a magnet link, or the path or URL of a .torrent file.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Pass over what was pushed with --preserve and is not to be so here.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    no_preserve: Vec<Preserve>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    ok: bool,
    path: PathBuf,
    info_hash: String,
    files: usize,
    length: u64,
    pieces: usize,
    good_pieces: usize,
    damaged: Vec<Damaged>,
}

#[derive(Debug, Serialize)]
struct Damaged {
    path: String,
    fault: String,
}

impl Verify {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let source = target::read(context, &self.source)?;
        let Target { metainfo, .. } = target::find(context, &source).await?;
        let path = target::content_at(context.env.path(&self.path), &metainfo.info);
        let (info, stop, progress) = (metainfo.info.clone(), context.stop().clone(), context.progress.clone());
        let root = path.canonicalize().unwrap_or_else(|_| path.clone());
        let show = move |done, total| progress.show("verifying", Step { done, total, detail: String::new() });
        let check = move || verify::verify(&info, &root, Check::Everything(&self.no_preserve), show, &stop);
        let report = tokio::task::spawn_blocking(check).await.context("verifying broke off")??;
        let outcome = Outcome {
            ok: report.ok(),
            path,
            info_hash: metainfo.info_hash().to_string(),
            files: metainfo.info.stored_files().count(),
            length: metainfo.info.length,
            pieces: report.good_pieces.len(),
            good_pieces: report.good_pieces.iter().filter(|&&good| good).count(),
            damaged: damaged(&report),
        };
        context.report(&outcome, outcome.text())?;
        Ok(if outcome.ok { Exit::Done } else { Exit::Absent })
    }
}

fn damaged(report: &Report) -> Vec<Damaged> {
    let named = report.damaged_files.iter();
    named.map(|(path, fault)| Damaged { path: path.to_string(), fault: fault.to_string() }).collect()
}

impl Outcome {
    fn text(&self) -> String {
        let Self { path, files, damaged, pieces, good_pieces, .. } = self;
        let (path, files) = (path.display(), units::count(*files as u64, "file"));
        if self.ok {
            return format!("{path}: ok, {files}, {}, every byte verifies", units::bytes(self.length));
        }
        let mut lines: Vec<String> =
            damaged.iter().take(NAMED).map(|file| format!("{}: {}", file.path, file.fault)).collect();
        if damaged.len() > NAMED {
            lines.push(format!("and {} more (--json names all)", damaged.len() - NAMED));
        }
        lines.push(format!(
            "{path}: {} in {files}, {good_pieces} of {pieces} pieces verify",
            units::count(damaged.len() as u64, "fault")
        ));
        lines.join("\n")
    }
}
