//! Reading a torrent's bytes from its files on disk.

pub(crate) mod copy;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod hash;
pub(crate) mod symlink;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    ops::Deref,
    os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use nova_protocol::metainfo::{FileKind, Info};
use rustix::fs::OFlags;

/// Files that one [`Content`] keeps open: more gains nothing, and an origin holds many contents.
const OPEN_FILES: usize = 32;

/// The bytes of a torrent, read from its files, which are opened when they are needed.
///
/// `I` is `Arc<Info>` or `&Info`. Many threads may read at once.
pub struct Content<I> {
    info: I,
    root: PathBuf,
    /// Where each file is, when they are not all below the root.
    scattered: Option<Vec<Option<PathBuf>>>,
    writable: bool,
    open: OpenFiles,
}

/// Files that stay open, known by their index in the info dictionary; most recently used first.
#[derive(Default)]
pub(crate) struct OpenFiles(Mutex<Vec<(usize, Arc<File>)>>);

/// Work that was stopped by its cancellation token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// A file of the content that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
pub(crate) struct ReadError {
    /// Its index in the info dictionary.
    pub file: usize,
    pub path: PathBuf,
    pub source: io::Error,
}

impl<I: Deref<Target = Info>> Content<I> {
    /// The content at `root`, which is the file of a single-file torrent and the directory of any other. A file that is a
    /// symlink is none; whoever means what it leads to resolves it first.
    pub fn new(info: I, root: &Path) -> Self {
        Self { info, root: root.to_path_buf(), scattered: None, writable: false, open: OpenFiles::default() }
    }

    /// The same, to be written to as well.
    pub(crate) fn writable(info: I, root: &Path) -> Self {
        Self { writable: true, ..Self::new(info, root) }
    }

    /// Content of which each file is somewhere else, or nowhere.
    pub(crate) fn scattered(info: I, files: Vec<Option<PathBuf>>) -> Self {
        Self { info, root: PathBuf::new(), scattered: Some(files), writable: false, open: OpenFiles::default() }
    }

    /// What the content is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Where the content is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where file `index` of the info dictionary is stored.
    pub fn path_of(&self, index: usize) -> PathBuf {
        if self.info.is_single_file { self.root.clone() } else { self.info.files[index].path.below(&self.root) }
    }

    /// Whether any file has any bytes.
    pub(crate) fn has_bytes(&self) -> bool {
        let mut files = (0..self.info.files.len()).filter_map(|index| fs::symlink_metadata(self.path_of(index)).ok());
        files.any(|found| found.is_file() && found.len() > 0)
    }

    /// Whether every file is there and as long as stated.
    pub fn has_lengths(&self) -> bool {
        let mut files = self.info.files.iter().enumerate().filter(|(_, file)| file.kind.has_content());
        files.all(|(index, file)| {
            let found = fs::symlink_metadata(self.path_of(index));
            found.is_ok_and(|found| found.is_file() && found.len() == file.length)
        })
    }

    /// Fills `buf` with the bytes from `offset` on, across the borders of files; padding is zeros.
    ///
    /// # Errors
    /// `InvalidInput` beyond the end of the content; otherwise the error of a file that is missing, a symlink, shorter
    /// than stated or unreadable, with its path in the text.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let length = self.info.length;
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > length) {
            let text = format!("{} bytes at {offset}, expected at most {length} in all", buf.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.read(offset, buf).map_err(|error| io::Error::new(error.source.kind(), error))
    }

    /// As [`Self::read_at`], for a range that is known to lie inside.
    pub(crate) fn read(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<(), ReadError> {
        for index in self.info.files_in(offset..offset + buf.len() as u64) {
            let file = &self.info.files[index];
            let inside = offset - file.offset;
            let count = usize::try_from(file.length - inside).map_or(buf.len(), |rest| rest.min(buf.len()));
            let (part, rest) = buf.split_at_mut(count);
            if file.kind == FileKind::Padding {
                part.fill(0);
            } else {
                let read = self.file(index).and_then(|open| open.read_exact_at(part, inside));
                read.map_err(|source| self.named(index, source))?;
            }
            offset += count as u64;
            buf = rest;
        }
        Ok(())
    }

    fn named(&self, file: usize, source: io::Error) -> ReadError {
        let length = self.info.files[file].length;
        let source = match source.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(source.kind(), format!("shorter than {length} bytes")),
            _ => source,
        };
        ReadError { file, path: self.path_of(file), source }
    }

    /// File `index` of the info dictionary, opened.
    pub(crate) fn file(&self, index: usize) -> io::Result<Arc<File>> {
        let path = match &self.scattered {
            Some(files) => files[index].clone().ok_or(io::ErrorKind::NotFound)?,
            None => self.path_of(index),
        };
        self.open.get(index, || if self.writable { open_to_write(&path) } else { open_file(&path) })
    }
}

impl OpenFiles {
    /// The file, which is opened unless it still is.
    pub(crate) fn get(&self, index: usize, open: impl FnOnce() -> io::Result<File>) -> io::Result<Arc<File>> {
        if let Some(file) = self.cached(index) {
            return Ok(file);
        }
        let file = Arc::new(open()?);
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.truncate(OPEN_FILES - 1);
        files.insert(0, (index, file.clone()));
        Ok(file)
    }

    fn cached(&self, index: usize) -> Option<Arc<File>> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = files.iter().position(|&(cached, _)| cached == index)?;
        files[..=place].rotate_right(1);
        Some(files[0].1.clone())
    }
}

/// Opens a stored file for reading; never follows a symlink, never waits for a fifo.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    open(path, false)
}

/// Opens a stored file for reading and writing, even one that a delivery by hard link has made read-only, or that one which
/// failed has left with mode bits of which its owner has none.
pub(crate) fn open_to_write(path: &Path) -> io::Result<File> {
    match open(path, true) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let sealed = fs::symlink_metadata(path)?.permissions();
            let unsealed = Permissions::from_mode(sealed.mode() | 0o600);
            fs::set_permissions(path, unsealed)?;
            let opened = open(path, true);
            fs::set_permissions(path, sealed)?;
            opened
        }
        opened => opened,
    }
}

/// The same, and makes it when it is not there.
pub(crate) fn open_or_make(path: &Path) -> io::Result<File> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    match open_to_write(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            OpenOptions::new().create_new(true).read(true).write(true).open(path)
        }
        opened => opened,
    }
}

fn open(path: &Path, writable: bool) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).write(writable).custom_flags(flags).open(path)
}
