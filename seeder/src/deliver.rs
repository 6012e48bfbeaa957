//! Putting complete content where a user wants it, whole or not at all.

mod build;
mod copy;
mod error;
mod refuse;
mod share;
mod stage;
#[cfg(test)]
mod tests;
mod way;

use std::{
    borrow::Borrow,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use nova_protocol::metainfo::Info;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use self::error::DeliverError;
use self::{
    build::{adopt, build},
    error::write_error,
    refuse::refuse,
    stage::Stage,
    way::way,
};
use crate::{create::Preserve, scratch::Scratch};

const PREFIX: &str = ".nova-stage-";

/// How to deliver.
#[derive(Debug, Clone)]
pub struct Options {
    /// What makes way, under the same name.
    pub replace: Replace,
    /// How it gets there from an agent's store.
    pub delivery: Delivery,
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

/// Puts the content at `source`, which stays, into `directory` under the name that the torrent has.
///
/// It is written beside its place, made durable and then renamed, so that nobody sees a part of it, and replaced
/// content is there until the new one is. Executable bits and symlinks are restored (BEP 47). The source is verified on
/// the way, unless it is known to be intact. `progress` is told the bytes delivered so far and the bytes in all.
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
    let make = || {
        fs::create_dir_all(directory)?;
        sweep(directory);
        Scratch::make(directory, PREFIX)
    };
    let fill = |stage: &Stage<'_>| build(stage, source, progress, cancel);
    complete(info, directory, options, cancel, make, fill)
}

/// The same with content that a pull has fetched into `scratch` a moment ago, and that is there no more afterwards. Until
/// it has its name the scratch has all of it, so that a delivery that fails can be tried again.
///
/// # Errors
/// Every variant of [`DeliverError`].
pub(crate) fn deliver_fetched(
    info: &Info,
    scratch: &Scratch,
    directory: &Path,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Delivered, DeliverError> {
    complete(info, directory, options, cancel, || Ok(scratch), adopt)
}

fn complete<S: Borrow<Scratch>>(
    info: &Info,
    directory: &Path,
    options: &Options,
    cancel: &CancellationToken,
    scratch: impl FnOnce() -> io::Result<S>,
    fill: impl FnOnce(&Stage<'_>) -> Result<(), DeliverError>,
) -> Result<Delivered, DeliverError> {
    let path = directory.join(&info.name);
    let Some(found) = way(info, &path, options, cancel)? else { return Ok(Delivered { path, was_there: true }) };
    refuse(info, directory, options)?;
    let scratch = scratch().map_err(|source| write_error(directory, source))?;
    let stage = Stage { info, directory, options, scratch: scratch.borrow() };
    if let Err(mut error) = fill(&stage).and_then(|()| stage.finish(cancel)) {
        // What was written of it is free again before the free bytes are counted.
        drop(scratch);
        if let DeliverError::NoSpace { free, .. } = &mut error {
            *free = free_bytes(directory);
        }
        return Err(error);
    }
    if !stage.put(&path, &found)? {
        // It may be the same content, which another pull has put there.
        let is_there = way(info, &path, options, cancel)?.is_none();
        return if is_there { Ok(Delivered { path, was_there: true }) } else { Err(DeliverError::Exists(path)) };
    }
    if options.is_durable {
        sync_directory(directory).map_err(|source| write_error(directory, source))?;
    }
    Ok(Delivered { path, was_there: false })
}

/// Whether this content is in `directory` already, and where. That it cannot be delivered is said here, as far as that can
/// be known before it is fetched.
///
/// # Errors
/// [`DeliverError::Exists`] when something else has its name and shall not make way; [`DeliverError::Mode`];
/// [`DeliverError::Owner`]; [`DeliverError::Share`]; [`DeliverError::Name`]; [`DeliverError::Write`] when what is there
/// cannot be said; [`DeliverError::Cancelled`].
pub fn look(
    info: &Info,
    directory: &Path,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Option<PathBuf>, DeliverError> {
    let path = directory.join(&info.name);
    if way(info, &path, options, cancel)?.is_none() {
        return Ok(Some(path));
    }
    refuse(info, directory, options)?;
    Ok(None)
}

/// Removes what deliveries that were killed have left in a destination.
pub(crate) fn sweep(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
        // One that cannot be taken is in use, or nobody's who delivers here.
        drop(Scratch::take(&entry.path()));
    }
}

fn free_bytes(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(0, |found| found.f_bavail * found.f_frsize)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
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
