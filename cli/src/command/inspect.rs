mod text;

use std::{collections::HashMap, time::Duration};

use anyhow::Result;
use clap::Args;
use nova_protocol::{
    InfoHash, Magnet,
    api::{TagVersion, TorrentStatus},
    metainfo::{Access, File, FileKind},
};
use nova_seeder::source::Source;
use serde::Serialize;

use crate::{
    context::Context,
    failure::Exit,
    target::{self, Target},
};

/// How long the tracker may take to say more about a file that needs no tracker.
const TRACKER_WITHIN: Duration = Duration::from_secs(2);

/// Show everything about a torrent: files, origins, peers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli inspect models/demo:v1
  nova-cli inspect models/demo:v1 --files         every file
  nova-cli inspect demo.torrent --json            needs no tracker")]
pub struct Inspect {
    /// NAME:TAG, an info hash, a magnet link, or the path or URL of a .torrent file.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// List every file, not only the first ones.
    #[arg(long)]
    files: bool,
}

/// All there is to say of a torrent.
#[derive(Debug, Serialize)]
struct Inspected {
    name: String,
    info_hash: InfoHash,
    length: u64,
    piece_length: u32,
    pieces: u32,
    private: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    magnet: Option<String>,
    trackers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    /// The tag by which it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<TagVersion>,
    /// What the tracker knows: origins, peers, tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<TorrentStatus>,
    files: Vec<Listed>,
    /// Those that were kept with mode bits or owners; the first, without a path, is the torrent's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    directories: Vec<Directory>,
}

#[derive(Debug, Serialize)]
struct Listed {
    path: String,
    length: u64,
    /// `file`, `executable` or `symlink`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(flatten)]
    kept: Kept,
}

#[derive(Debug, Serialize)]
struct Directory {
    path: String,
    #[serde(flatten)]
    kept: Kept,
}

/// What was preserved, as `ls` would write it.
#[derive(Debug, Default, Serialize)]
struct Kept {
    /// Three octal digits, and one before them for the sticky bit.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    /// `UID:GID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
}

impl Inspect {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let source = target::read(context, &self.source)?;
        let target = target::find(context, &source).await?;
        let status = status(context, &source, target.metainfo.info_hash()).await?;
        let inspected = Inspected::new(&target, status);
        context.report(&inspected, inspected.text(self.files))?;
        Ok(Exit::Done)
    }
}

/// What the tracker knows. For what was not found through it, that is worth a short wait and no error.
async fn status(context: &Context, source: &Source, info_hash: InfoHash) -> Result<Option<TorrentStatus>> {
    let tracker = context.tracker()?;
    let status = tracker.torrent(info_hash);
    if matches!(source, Source::Reference(_) | Source::InfoHash(_)) {
        return context.ask(status).await.map(Some);
    }
    Ok(tokio::time::timeout(TRACKER_WITHIN, status).await.ok().and_then(Result::ok))
}

impl Inspected {
    fn new(Target { metainfo, tag }: &Target, status: Option<TorrentStatus>) -> Self {
        let info = &metainfo.info;
        let (directories, access): (Vec<_>, Vec<_>) = info.access.iter().partition(|access| access.is_directory);
        let kept: HashMap<_, _> = access.into_iter().map(|access| (access.path.as_ref(), access)).collect();
        let kept = |file: &File| Kept::new(kept.get(&Some(&file.path).filter(|_| !info.is_single_file)).copied());
        let link = || Magnet {
            info_hash: metainfo.info_hash(),
            name: Some(info.name.clone()),
            trackers: metainfo.trackers.concat(),
        };
        Self {
            name: info.name.clone(),
            info_hash: metainfo.info_hash(),
            length: info.length,
            piece_length: info.piece_length.get(),
            pieces: info.piece_count(),
            private: info.private,
            magnet: (!info.private).then(|| link().to_string()),
            trackers: metainfo.trackers.clone(),
            web_seeds: metainfo.web_seeds.clone(),
            tag: tag.clone(),
            status,
            files: info.stored_files().map(|file| Listed::new(file, kept(file))).collect(),
            directories: directories.into_iter().map(Directory::new).collect(),
        }
    }
}

impl Listed {
    fn new(file: &File, kept: Kept) -> Self {
        let (kind, target) = match &file.kind {
            FileKind::Executable => ("executable", None),
            FileKind::Symlink(target) => ("symlink", Some(target.to_string())),
            FileKind::Plain | FileKind::Padding => ("file", None),
        };
        Self { path: file.path.to_string(), length: file.length, kind, target, kept }
    }
}

impl Directory {
    fn new(access: &Access) -> Self {
        let path = access.path.as_ref().map(ToString::to_string).unwrap_or_default();
        Self { path, kept: Kept::new(Some(access)) }
    }
}

impl Kept {
    fn new(access: Option<&Access>) -> Self {
        let mode = access.and_then(|access| access.mode).map(|mode| format!("{mode:03o}"));
        let owner = access.and_then(|access| access.owner).map(|owner| owner.to_string());
        Self { mode, owner }
    }
}
