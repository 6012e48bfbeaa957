use std::{
    fs::Permissions,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nova_protocol::{Metainfo, PieceLength};
use nova_seeder::create::{self, Align, Options, Preserve};
use serde_json::json;

use crate::{context::Context, failure::Exit, progress::Step, target, units};

/// Make a .torrent file without pushing.
///
/// The same content gives the same info hash on any machine and any day, and the same as `push` gives it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli create ./model                           model.torrent, private
  nova-cli create ./model -o - --public | transmission-show /dev/stdin
  nova-cli create disk.img --tracker-url http://tracker.example:15003/announce")]
pub struct Create {
    /// The file or directory.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Where to write it; - is stdout [default: NAME.torrent here].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file that is there.
    #[arg(long, short)]
    force: bool,
    /// An announce URL; more than once for more of them, in the order in which to try.
    #[arg(long, value_name = "URL", value_parser = url)]
    tracker_url: Vec<String>,
    /// A URL that serves the content over HTTP; more than once for more of them.
    #[arg(long, value_name = "URL", value_parser = url)]
    web_seed: Vec<String>,
    #[command(flatten)]
    making: Making,
}

// How to make a torrent, for every command that does. Not as a doc: clap would show it for the command's own text.
#[derive(Debug, Args)]
pub struct Making {
    /// Let peers find each other without the tracker too, and make a magnet link possible.
    #[arg(long)]
    public: bool,
    /// Bytes in a piece: a power of two, 16KiB to 64MiB [default: by size, 64KiB to 16MiB].
    #[arg(long, value_name = "SIZE", value_parser = piece_length)]
    piece_length: Option<PieceLength>,
    /// Which files start on the border of a piece, so that other versions of the tree have the same pieces.
    #[arg(long, value_enum, value_name = "WHICH", default_value_t)]
    align: Align,
    /// Keep these too, and empty directories; changes the info hash. Owners are given where root pulls.
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    preserve: Vec<Preserve>,
    /// The name that a download takes [default: the name of the path].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

impl Making {
    /// How to make the torrent.
    pub fn options(&self) -> Options {
        Options {
            name: self.name.clone(),
            piece_length: self.piece_length,
            private: !self.public,
            align: self.align,
            preserve: self.preserve.clone(),
            threads: None,
        }
    }
}

/// Reads a piece length that a user chose.
fn piece_length(text: &str) -> Result<PieceLength> {
    Ok(PieceLength::chosen(units::read_bytes(text)?)?)
}

fn url(text: &str) -> Result<String> {
    match text.split_once("://") {
        Some(("http" | "https" | "udp", rest)) if !rest.is_empty() => Ok(text.to_owned()),
        _ => bail!("expected http://, https:// or udp:// and a host"),
    }
}

impl Create {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let started = Instant::now();
        let to_stdout = self.output.as_deref() == Some(Path::new("-"));
        if to_stdout && (context.json() || context.env.stdout.is_terminal) {
            bail!("stdout takes a .torrent only without --json and off a terminal; give a file with --output");
        }
        let output = self.output(context)?;
        if !to_stdout && !self.force && context.env.path(&output).symlink_metadata().is_ok() {
            bail!("{} already exists; --force replaces it", output.display());
        }
        let metainfo = self.metainfo(context).await?;
        if to_stdout {
            context.progress.end();
            context.env.stdout.write(metainfo.as_bytes())?;
            return Ok(Exit::Done);
        }
        write(&context.env.path(&output), metainfo.as_bytes(), self.force)
            .with_context(|| format!("cannot write {}", output.display()))?;
        let (hash, took) = (metainfo.info_hash(), started.elapsed());
        let (length, pieces) = (metainfo.info.length, metainfo.info.piece_count());
        context.report(
            &json!({ "path": context.env.path(&output), "info_hash": hash, "name": metainfo.info.name,
                "length": length, "pieces": pieces, "private": metainfo.info.private }),
            format!("{} → {hash}, {} in {}", output.display(), units::bytes(length), units::duration(took)),
        )?;
        if metainfo.info.private && metainfo.trackers.is_empty() {
            context.say("it is private and names no tracker: peers will not find each other (--tracker-url, --public)");
        }
        Ok(Exit::Done)
    }

    async fn metainfo(&self, context: &Context) -> Result<Metainfo> {
        let options = self.making.options();
        let (path, stop, progress) = (context.env.path(&self.path), context.stop().clone(), context.progress.clone());
        let show = move |done, total| progress.show("hashing", Step { done, total, detail: String::new() });
        let create = move || create::create(&path, &options, show, &stop);
        let created = tokio::task::spawn_blocking(create).await.context("hashing broke off")??;
        let trackers: Vec<Vec<String>> = self.tracker_url.iter().map(|url| vec![url.clone()]).collect();
        Ok(created.metainfo.with_sources(&trackers, &self.web_seed))
    }

    fn output(&self, context: &Context) -> Result<PathBuf> {
        if let Some(output) = &self.output {
            return Ok(output.clone());
        }
        let name = target::name_of(self.making.name.as_deref(), &context.env.path(&self.path))?;
        Ok(format!("{name}.torrent").into())
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8], force: bool) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What the umask leaves of it.
    let permissions = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".nova-").permissions(permissions).tempfile_in(directory)?;
    file.write_all(bytes)?;
    if force {
        file.persist(path)?
    } else {
        file.persist_noclobber(path)?
    };
    Ok(())
}
