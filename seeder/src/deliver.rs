//! Putting complete content where a user wants it, whole or not at all.

mod copy;
mod error;
mod refuse;
mod share;
mod stage;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    fmt,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use nova_protocol::metainfo::Info;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

pub use self::error::DeliverError;
use self::{error::write_error, refuse::refuse, stage::Stage};
use crate::{
    content::{Cancelled, Content},
    create::Preserve,
    verify::matches,
};

/// How to deliver.
#[derive(Debug, Clone)]
pub struct Options {
    /// What makes way, under the same name.
    pub replace: Replace,
    /// What becomes of the source.
    pub mode: Mode,
    /// Whether nobody has written to the source since all of it verified. What stays is hashed on the way otherwise.
    pub is_intact: bool,
    /// Whether the disk has all of it before it gets its name. Without it a power cut may leave zeros under that name.
    pub is_durable: bool,
    /// What was pushed and is not given here.
    pub no_preserve: Vec<Preserve>,
}

/// What makes way for content that gets its name.
#[derive(Debug, Clone, Default)]
pub enum Replace {
    /// Nothing.
    #[default]
    Nothing,
    /// What is exactly one of these, to the last byte, and nothing else with it: there is nothing in it to lose.
    Versions(Vec<Arc<Info>>),
    /// Anything.
    Anything,
}

/// What becomes of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It stays.
    Keep(Delivery),
    /// It is gone afterwards. On one file system no byte is written; until the end the source is whole, so that a
    /// delivery that fails can be tried again.
    Move,
}

/// How content gets from an agent's store, which keeps it, to its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// By reflink where the file system can, else by copy.
    #[default]
    Auto,
    /// The bytes are shared until somebody writes to them; XFS and btrfs can.
    Reflink,
    /// The file itself is shared, and read-only. Its owner and root can still write to it, and then write into the
    /// agent's store: the agent's next delivery of it notices, and fetches it again.
    #[value(name = "hardlink")]
    HardLink,
    /// A copy, hashed on the way.
    Copy,
}

/// Where the content is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// `DIR/NAME`.
    pub path: PathBuf,
    /// Whether the same content was there before, and nothing was done.
    pub was_there: bool,
}

/// Puts the content at `source` into `directory` under the name that the torrent has.
///
/// It is written beside its place, made durable and then renamed, so that nobody sees a part of it, and replaced
/// content is there until the new one is. Executable bits and symlinks are restored (BEP 47). A source that stays is
/// verified on the way, unless it is known to be intact; one that is moved was fetched a moment ago. `progress` is told
/// the bytes delivered so far and the bytes in all.
///
/// # Errors
/// Every variant of [`DeliverError`].
pub fn deliver(
    info: &Info,
    source: &Path,
    directory: &Path,
    options: &Options,
    progress: impl Fn(u64, u64) + Sync,
    cancel: &CancellationToken,
) -> Result<Delivered, DeliverError> {
    if let Some(path) = look(info, directory, options, cancel)? {
        return Ok(Delivered { path, was_there: true });
    }
    let path = directory.join(&info.name);
    fs::create_dir_all(directory).map_err(|source| write_error(directory, source))?;
    let existing = existing(&path)?;
    let content = Content::new(info, source);
    let stage = Stage::new(&content, directory, options)?;
    if let Err(mut error) = stage.fill(progress, cancel).and_then(|()| stage.sync()) {
        // What was written of it is free again before the free bytes are counted.
        drop(stage);
        if let DeliverError::NoSpace { free, .. } = &mut error {
            *free = free_bytes(directory);
        }
        return Err(error);
    }
    if cancel.is_cancelled() {
        return Err(Cancelled.into());
    }
    stage.put(&path, existing.is_some()).map_err(|source| write_error(&path, source))?;
    if options.is_durable {
        sync_directory(directory).map_err(|source| write_error(directory, source))?;
    }
    if options.mode == Mode::Move {
        remove(content.root()).map_err(|source| write_error(content.root(), source))?;
    }
    Ok(Delivered { path, was_there: false })
}

/// Whether this content is in `directory` already, and where. That it cannot be delivered is said here, as far as that can
/// be known before it is fetched.
///
/// # Errors
/// [`DeliverError::Exists`] when something else has its name and shall not make way; [`DeliverError::Mode`];
/// [`DeliverError::Owner`]; [`DeliverError::Share`]; [`DeliverError::Write`] when what is there cannot be said;
/// [`DeliverError::Cancelled`].
pub fn look(
    info: &Info,
    directory: &Path,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Option<PathBuf>, DeliverError> {
    let path = directory.join(&info.name);
    if let Some(existing) = existing(&path)? {
        let is = |version: &Info| is_delivered(version, &path, &existing, &options.no_preserve, cancel);
        if is(info)? {
            return Ok(Some(path));
        }
        let makes_way = match &options.replace {
            Replace::Nothing => false,
            Replace::Anything => true,
            Replace::Versions(versions) => {
                let mut is_one = false;
                for version in versions {
                    is_one = is_one || is(version)?;
                }
                is_one
            }
        };
        if !makes_way {
            return Err(DeliverError::Exists(path));
        }
    }
    refuse(info, directory, options)?;
    Ok(None)
}

/// What has this name already; a symlink is what it is, not what it leads to.
fn existing(path: &Path) -> Result<Option<Metadata>, DeliverError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(write_error(path, error)),
    }
}

/// Whether this very content is there, and nothing else with it.
fn is_delivered(
    info: &Info,
    path: &Path,
    existing: &Metadata,
    no_preserve: &[Preserve],
    cancel: &CancellationToken,
) -> Result<bool, Cancelled> {
    let same_kind = if info.is_single_file { existing.is_file() } else { existing.is_dir() };
    Ok(same_kind && has_nothing_else(info, path) && matches(info, path, no_preserve, cancel)?)
}

/// Whether there are as many entries as the content has. Directories count where it lists them: elsewhere an empty one is
/// nobody's.
fn has_nothing_else(info: &Info, path: &Path) -> bool {
    let counted = WalkDir::new(path).into_iter().try_fold((0, 0), |(files, directories), entry| {
        let is_directory = entry.ok()?.file_type().is_dir();
        Some((files + usize::from(!is_directory), directories + usize::from(is_directory)))
    });
    counted.is_some_and(|(files, directories)| {
        files == info.stored_files().count() && (info.access.is_empty() || directories == directory_count(info))
    })
}

/// How many directories there are in the content, itself with them: those that are listed, and those that others are in.
fn directory_count(info: &Info) -> usize {
    if info.is_single_file {
        return 0;
    }
    let listed = info.access.iter().filter(|access| access.is_directory);
    let listed = listed.filter_map(|access| Some(access.path.as_ref()?.segments()));
    let parents = info.stored_files().map(|file| &file.path.segments()[..file.path.segments().len() - 1]);
    let mut found = HashSet::from([[].as_slice()]);
    for mut directory in listed.chain(parents) {
        while let Some((_, parent)) = directory.split_last()
            && found.insert(directory)
        {
            directory = parent;
        }
    }
    found.len()
}

fn free_bytes(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(0, |found| found.f_bavail * found.f_frsize)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "deliver",
            Self::Reflink => "reflink",
            Self::HardLink => "hard link",
            Self::Copy => "copy",
        })
    }
}
