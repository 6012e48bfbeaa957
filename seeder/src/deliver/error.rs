use std::{
    io,
    path::{Path, PathBuf},
};

use nova_protocol::metainfo::Owner;

use super::Delivery;
use crate::content::Cancelled;

/// Why content was not delivered; nothing of it is left in the destination.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Something else has the name.
    #[error("{} already exists and differs; --replace replaces it", .0.display())]
    Exists(PathBuf),
    /// It is called as what is on its way is.
    #[error("content named {0} cannot be put anywhere: nova removes what it finds under such names")]
    Name(String),
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
    /// What was demanded of the file system cannot be done.
    #[error("cannot {delivery} {} into {}: {reason}", file.display(), directory.display())]
    Share {
        /// What was demanded.
        delivery: Delivery,
        /// The file in the agent's store.
        file: PathBuf,
        /// The destination directory.
        directory: PathBuf,
        /// Why it cannot be done, and what can.
        reason: String,
    },
    /// It was pushed with mode bits, and nothing can have its own here.
    #[error("nothing in {} has mode bits of its own: {source}; --no-preserve mode does without", directory.display())]
    Mode {
        /// The destination directory.
        directory: PathBuf,
        /// Why it cannot be.
        source: io::Error,
    },
    /// It was pushed as somebody's whose nothing can be here.
    #[error("nothing in {} can be given to {owner}: {source}; --no-preserve ownership does without", directory.display())]
    Owner {
        /// The destination directory.
        directory: PathBuf,
        /// To whom.
        owner: Owner,
        /// Why it cannot be.
        source: io::Error,
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

pub(super) fn write_error(path: &Path, source: io::Error) -> DeliverError {
    DeliverError::Write { path: path.to_path_buf(), source }
}
