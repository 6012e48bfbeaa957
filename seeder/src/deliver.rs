//! Putting complete content where a user wants it, whole or not at all.

mod stage;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

use nova_protocol::metainfo::Info;
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use self::stage::Stage;
use crate::{
    content::{Cancelled, Content},
    verify::{Check, verify},
};

/// How to deliver.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether something else under the same name makes way.
    pub replace: bool,
    /// What becomes of the source.
    pub mode: Mode,
}

/// What becomes of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It stays.
    Copy,
    /// It is gone afterwards. On one file system no byte is written; until the end the source is whole, so that a
    /// delivery that fails can be tried again.
    Move,
}

/// Where the content is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// `DIR/NAME`.
    pub path: PathBuf,
    /// Whether the same content was there before, and nothing was done.
    pub was_there: bool,
}

/// Why content was not delivered; nothing of it is left in the destination.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Something else has the name.
    #[error("{} already exists and differs; --replace replaces it", .0.display())]
    Exists(PathBuf),
    /// The disk is full.
    #[error(
        "no space left on device while writing {} in {}: {needed} bytes needed, {free} free",
        file.display(), directory.display()
    )]
    NoSpace {
        /// The file that did not fit, below the directory.
        file: PathBuf,
        /// The destination directory.
        directory: PathBuf,
        /// Bytes of the whole content.
        needed: u64,
        /// Bytes that are free without what was written of it.
        free: u64,
    },
    /// A file of the source is no file, or not as long as stated.
    #[error("{} has {found} bytes, expected a file of {expected}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// In bytes.
        found: u64,
        /// In bytes.
        expected: u64,
    },
    /// The source is not what the torrent says.
    #[error("{} is damaged: {pieces} pieces of it do not verify", .root.display())]
    Damaged {
        /// Where the source is.
        root: PathBuf,
        /// How many.
        pieces: usize,
    },
    /// The operating system refused.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// Why it could not be.
        source: io::Error,
    },
    /// A file of the source could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it could not be.
        source: io::Error,
    },
    /// The token was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Puts the content at `source` into `directory` under the name that the torrent has.
///
/// It is written beside its place, made durable and then renamed, so that nobody sees a part of it, and replaced
/// content is there until the new one is. Executable bits and symlinks are restored (BEP 47). A source that stays is
/// verified on the way; one that is moved was fetched a moment ago. `progress` is told the bytes delivered so far and the bytes in all.
///
/// # Errors
/// Every variant of [`DeliverError`].
pub fn deliver(
    info: &Info,
    source: &Path,
    directory: &Path,
    options: Options,
    progress: impl Fn(u64, u64),
    cancel: &CancellationToken,
) -> Result<Delivered, DeliverError> {
    if let Some(path) = look(info, directory, options.replace, cancel)? {
        return Ok(Delivered { path, was_there: true });
    }
    let path = directory.join(&info.name);
    fs::create_dir_all(directory).map_err(|source| write_error(directory, source))?;
    let existing = existing(&path)?;
    let content = Content::new(info, source);
    let stage = Stage::new(&content, directory)?;
    let filled = stage.fill(options.mode, progress, cancel).and_then(|()| stage.check(options.mode, cancel));
    if let Err(mut error) = filled.and_then(|()| stage.sync()) {
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
    sync_directory(directory).map_err(|source| write_error(directory, source))?;
    if options.mode == Mode::Move {
        remove(content.root()).map_err(|source| write_error(content.root(), source))?;
    }
    Ok(Delivered { path, was_there: false })
}

/// Whether this content is in `directory` already, and where.
///
/// # Errors
/// [`DeliverError::Exists`] when something else has its name and shall not make way; [`DeliverError::Write`] when that
/// cannot be said; [`DeliverError::Cancelled`].
pub fn look(
    info: &Info,
    directory: &Path,
    replace: bool,
    cancel: &CancellationToken,
) -> Result<Option<PathBuf>, DeliverError> {
    let path = directory.join(&info.name);
    match existing(&path)? {
        Some(existing) if is_delivered(info, &path, &existing, cancel)? => Ok(Some(path)),
        Some(_) if !replace => Err(DeliverError::Exists(path)),
        _ => Ok(None),
    }
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
fn is_delivered(info: &Info, path: &Path, existing: &Metadata, cancel: &CancellationToken) -> Result<bool, Cancelled> {
    let same_kind = if info.is_single_file { existing.is_file() } else { existing.is_dir() };
    Ok(same_kind
        && stored_count(path) == Some(info.stored_files().count())
        && verify(info, path, Check::BytesAndKinds, |_, _| {}, cancel)?.ok())
}

/// How many entries there are that are not directories.
fn stored_count(path: &Path) -> Option<usize> {
    WalkDir::new(path)
        .into_iter()
        .try_fold(0, |count, entry| Some(count + usize::from(!entry.ok()?.file_type().is_dir())))
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

fn write_error(path: &Path, source: io::Error) -> DeliverError {
    DeliverError::Write { path: path.to_path_buf(), source }
}
