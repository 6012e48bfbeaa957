//! Making a torrent of a file or of a directory: the same content gives the same info hash, on any machine and any day.

mod align;
mod preserve;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    fs, io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use nova_protocol::{
    FilePath, FilePathError, Metainfo, MetainfoError, PieceLength,
    metainfo::{BuildError, FileKind, Info, LIMITS, NewFile, NewInfo, NewKind},
};
use tokio_util::sync::CancellationToken;

pub use self::{align::Align, preserve::Preserve};
use crate::content::{Cancelled, Content, ReadError, hash::hash_pieces};

/// How to make a torrent; by default as nova does it on every machine.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The name that a download takes, one path segment; the name of the path when none is given.
    pub name: Option<String>,
    /// Bytes in each piece; [`PieceLength::for_total`] when none is given.
    pub piece_length: Option<PieceLength>,
    /// Whether peers may come from the tracker alone (BEP 27).
    pub private: bool,
    /// Which files start on the border of a piece.
    pub align: Align,
    /// What is kept beside bytes, executable bits and symlinks; empty directories are kept with it.
    pub preserve: Vec<Preserve>,
    /// Threads that hash; as many as cores when none is given.
    pub threads: Option<usize>,
}

/// A new torrent and where its content is.
#[derive(Debug, Clone)]
pub struct Created {
    /// Without trackers and web seeds, which [`Metainfo::with_sources`] adds.
    pub metainfo: Metainfo,
    /// The file or the directory itself, absolute, symlinks resolved.
    pub root: PathBuf,
}

/// Why there is no torrent of a path.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why it could not be.
        source: io::Error,
    },
    /// A path without a last segment, such as `/`.
    #[error("{} has no name: give the torrent one", .0.display())]
    NoName(PathBuf),
    /// A name that cannot be in a torrent.
    #[error("{}: {source}", path.display())]
    Path {
        /// Where it was found.
        path: PathBuf,
        /// What is wrong with it.
        source: FilePathError,
    },
    /// A symlink that is absolute, or that leads out of the directory or to its root.
    #[error("symlink {} points to {}, expected a relative target inside the directory", link.display(), target.display())]
    Symlink {
        /// The symlink.
        link: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// Neither file, directory nor symlink.
    #[error("{} is a {found}, expected a file, a directory or a symlink", path.display())]
    Kind {
        /// Its path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A directory in which there is no file.
    #[error("{}: no files in it, and a torrent cannot hold an empty directory", .0.display())]
    NoFiles(PathBuf),
    /// A file that was written to while it was hashed.
    #[error("{} changed while it was read", .0.display())]
    Changed(PathBuf),
    /// More hashes than metainfo may hold.
    #[error("{pieces} pieces of {piece_length} bytes are too many for a torrent: choose longer pieces")]
    TooManyPieces {
        /// How many it would be.
        pieces: u64,
        /// The length that was chosen.
        piece_length: PieceLength,
    },
    /// The content makes no info dictionary.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The info dictionary is beyond the limits of metainfo.
    #[error(transparent)]
    Metainfo(#[from] MetainfoError),
    /// The token was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Makes a torrent of the file or directory at `path`, which may be a symlink to it.
///
/// Files are sorted by the bytes of their path segments. A symlink inside the directory is kept as one (BEP 47); an
/// empty directory is left out unless something is preserved. `progress` is told, from many threads, the bytes hashed so
/// far and the bytes in all.
///
/// # Errors
/// Every variant of [`CreateError`]; the first file that cannot be read ends it.
pub fn create(
    path: &Path,
    options: &Options,
    progress: impl Fn(u64, u64) + Sync,
    cancel: &CancellationToken,
) -> Result<Created, CreateError> {
    let root = fs::canonicalize(path).map_err(|source| CreateError::Read { path: path.to_path_buf(), source })?;
    let name = name(path, &root, options)?;
    let walked = walk::walk(&root, &name, &options.preserve)?;
    let piece_length = options.piece_length.unwrap_or_else(|| PieceLength::for_total(walked.length));
    let (files, length) = walk::place(align::align(walked.files, piece_length, options.align))?;
    let pieces = piece_length.pieces_in(length);
    if pieces.saturating_mul(20) > LIMITS.bytes as u64 {
        return Err(CreateError::TooManyPieces { pieces, piece_length });
    }
    let mut info = Info {
        name: name.to_string(),
        piece_length,
        pieces: Vec::new(),
        private: options.private,
        is_single_file: walked.is_single_file,
        files,
        length,
        access: walked.access,
    };
    info.pieces = hash(&info, &root, options.threads, progress, cancel)?;
    walk::refuse_changes(&info, &root, &walked.stamps)?;
    let metainfo = Metainfo::from_info(&new_info(info, name).encode()?, &[], &[])?;
    Ok(Created { metainfo, root })
}

/// The name that was chosen, or the last segment of the path as given, or else of where it leads (`.`).
fn name(path: &Path, root: &Path, options: &Options) -> Result<FilePath, CreateError> {
    let found = path.file_name().or_else(|| root.file_name());
    let name = match (&options.name, found) {
        (Some(name), _) => name.as_bytes(),
        (None, Some(name)) => name.as_encoded_bytes(),
        (None, None) => return Err(CreateError::NoName(path.to_path_buf())),
    };
    FilePath::new([name]).map_err(|source| CreateError::Path { path: path.to_path_buf(), source })
}

fn hash(
    info: &Info,
    root: &Path,
    threads: Option<usize>,
    progress: impl Fn(u64, u64) + Sync,
    cancel: &CancellationToken,
) -> Result<Vec<u8>, CreateError> {
    let count = info.piece_length.pieces_in(info.length);
    let hashes = Mutex::new(vec![[0; 20]; usize::try_from(count).expect("limited by the caller")]);
    let failure = Mutex::new(None);
    hash_pieces(&Content::new(info, root), threads, progress, cancel, |index, hash| match hash {
        Ok(hash) => {
            hashes.lock().unwrap_or_else(PoisonError::into_inner)[index as usize] = hash;
            ControlFlow::Continue(())
        }
        Err(error) => {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            ControlFlow::Break(())
        }
    })?;
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error.into()),
        None => Ok(hashes.into_inner().unwrap_or_else(PoisonError::into_inner).into_flattened()),
    }
}

fn new_info(info: Info, name: FilePath) -> NewInfo {
    let kind = match info.files.as_slice() {
        [file] if info.is_single_file => {
            NewKind::File { length: file.length, executable: file.kind == FileKind::Executable }
        }
        _ => NewKind::Directory(
            info.files
                .into_iter()
                .map(|file| NewFile { path: file.path, length: file.length, kind: file.kind })
                .collect(),
        ),
    };
    let Info { piece_length, pieces, private, access, .. } = info;
    NewInfo { name, piece_length, pieces, private, kind, access }
}

impl From<ReadError> for CreateError {
    fn from(error: ReadError) -> Self {
        match error.source.kind() {
            io::ErrorKind::UnexpectedEof => Self::Changed(error.path),
            _ => Self::Read { path: error.path, source: error.source },
        }
    }
}
