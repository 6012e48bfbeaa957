//! What is below a path, in the order of the torrent.

use std::{
    fs::{self, FileType, Metadata},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use nova_protocol::{
    FilePath, FilePathError,
    metainfo::{Access, BuildError, File, FileKind, Info},
};
use walkdir::WalkDir;

use super::{CreateError, Preserve, preserve};
use crate::content::symlink;

pub(super) struct Walked {
    pub is_single_file: bool,
    /// Sorted by path segments, offsets filled in.
    pub files: Vec<File>,
    /// One for each file.
    pub stamps: Vec<Stamp>,
    pub length: u64,
    /// Sorted by path.
    pub access: Vec<Access>,
}

/// What changes when a file is written to: length, and time of the last write in seconds and nanoseconds.
#[derive(PartialEq, Eq)]
pub(super) struct Stamp(u64, i64, i64);

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self(metadata.len(), metadata.mtime(), metadata.mtime_nsec())
    }
}

/// Walks `root`, a file or a directory; a file is called `name`.
pub(super) fn walk(root: &Path, name: &FilePath, preserve: &[Preserve]) -> Result<Walked, CreateError> {
    let metadata = fs::symlink_metadata(root).map_err(|source| read_error(root, source))?;
    let is_single_file = !metadata.is_dir();
    let mut access = Vec::from_iter(preserve::access(None, &metadata, preserve));
    let mut found = if is_single_file {
        vec![(file(root, name.clone(), &metadata)?, Stamp::of(&metadata))]
    } else {
        below(root, preserve, &mut access)?
    };
    access.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    if found.is_empty() {
        return Err(CreateError::NoFiles(root.to_path_buf()));
    }
    found.sort_unstable_by(|(one, _), (other, _)| one.path.cmp(&other.path));
    let (files, stamps) = found.into_iter().unzip();
    let (files, length) = place(files)?;
    Ok(Walked { is_single_file, files, stamps, length, access })
}

/// Sets the offsets of files that follow each other, and says how long they are in all.
pub(super) fn place(mut files: Vec<File>) -> Result<(Vec<File>, u64), CreateError> {
    let mut length: u64 = 0;
    for file in &mut files {
        file.offset = length;
        length =
            length.checked_add(file.length).filter(|&sum| i64::try_from(sum).is_ok()).ok_or(BuildError::TooLong)?;
    }
    Ok((files, length))
}

/// A file that was written to since it was walked may have given some pieces of each of its states.
pub(super) fn refuse_changes(info: &Info, root: &Path, stamps: &[Stamp]) -> Result<(), CreateError> {
    for (file, stamp) in info.stored_files().zip(stamps) {
        let path = if info.is_single_file { root.to_path_buf() } else { file.path.below(root) };
        match fs::symlink_metadata(&path) {
            Ok(metadata) if Stamp::of(&metadata) == *stamp => {}
            Ok(_) => return Err(CreateError::Changed(path)),
            Err(source) => return Err(CreateError::Read { path, source }),
        }
    }
    Ok(())
}

fn below(root: &Path, preserve: &[Preserve], access: &mut Vec<Access>) -> Result<Vec<(File, Stamp)>, CreateError> {
    let mut found = Vec::new();
    for entry in WalkDir::new(root).min_depth(1) {
        let entry = entry.map_err(|error| walk_error(root, error))?;
        if entry.file_type().is_dir() && preserve.is_empty() {
            continue;
        }
        let path = entry.path();
        let metadata = entry.metadata().map_err(|error| walk_error(root, error))?;
        let segments = path.strip_prefix(root).expect("below the root").iter().map(OsStrExt::as_bytes);
        let inside = FilePath::new(segments).map_err(|source| path_error(path, source))?;
        access.extend(preserve::access(Some(inside.clone()), &metadata, preserve));
        if metadata.is_dir() {
            continue;
        }
        let mut file = file(path, inside, &metadata)?;
        if metadata.is_symlink() {
            file.kind = FileKind::Symlink(target(path, &file.path)?);
        }
        found.push((file, Stamp::of(&metadata)));
    }
    Ok(found)
}

/// A file as it is listed; a symlink without its target yet.
fn file(path: &Path, inside: FilePath, metadata: &Metadata) -> Result<File, CreateError> {
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_symlink() {
        return Err(CreateError::Kind { path: path.to_path_buf(), found: special(kind) });
    }
    Ok(File {
        path: inside,
        length: if kind.is_file() { metadata.len() } else { 0 },
        offset: 0,
        kind: if metadata.mode() & 0o100 == 0 { FileKind::Plain } else { FileKind::Executable },
    })
}

fn special(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "fifo"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

fn target(link: &Path, inside: &FilePath) -> Result<FilePath, CreateError> {
    let target = fs::read_link(link).map_err(|source| read_error(link, source))?;
    symlink::resolve(inside, &target).ok_or_else(|| CreateError::Symlink { link: link.to_path_buf(), target })
}

fn read_error(path: &Path, source: io::Error) -> CreateError {
    CreateError::Read { path: path.to_path_buf(), source }
}

fn path_error(path: &Path, source: FilePathError) -> CreateError {
    CreateError::Path { path: path.to_path_buf(), source }
}

fn walk_error(root: &Path, error: walkdir::Error) -> CreateError {
    let path = error.path().map_or_else(|| root.to_path_buf(), PathBuf::from);
    let source = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
    CreateError::Read { path, source }
}
