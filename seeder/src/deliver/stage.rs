//! Content on its way: complete and durable before anybody sees it, or gone without a trace.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nova_protocol::metainfo::{self, FileKind, Info};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with, seek, syncfs},
    io::Errno,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use super::{DeliverError, Mode, write_error};
use crate::{
    claim::claim,
    content::{Cancelled, Content, open_file, symlink},
    verify::{Check, verify},
};

/// Bytes copied between two looks at the cancellation token.
const STEP: u64 = 64 << 20;

/// Files from which on the whole file system is synced at once: 20,000 took 0.3 s so, and 13 s one by one.
const MANY_FILES: usize = 256;

const PREFIX: &str = ".nova-stage-";

/// A fresh directory beside the destination, removed with whatever is in it when this is dropped.
pub(super) struct Stage<'a> {
    content: &'a Content<&'a Info>,
    directory: &'a Path,
    staging: TempDir,
    /// Keeps others from sweeping it. Open from the start, so that a sync reports what failed to be written since then.
    handle: File,
}

impl<'a> Stage<'a> {
    pub fn new(content: &'a Content<&'a Info>, directory: &'a Path) -> Result<Self, DeliverError> {
        sweep(directory);
        let staging = tempfile::Builder::new().prefix(PREFIX).tempdir_in(directory);
        let staging = staging.map_err(|source| write_error(directory, source))?;
        let claimed = claim(staging.path()).and_then(|handle| handle.ok_or_else(|| io::ErrorKind::ResourceBusy.into()));
        let handle = claimed.map_err(|source| write_error(staging.path(), source))?;
        Ok(Self { content, directory, staging, handle })
    }

    /// Builds the content; symlinks come last, so that nothing can be written through one.
    pub fn fill(
        &self,
        mode: Mode,
        progress: impl Fn(u64, u64),
        cancel: &CancellationToken,
    ) -> Result<(), DeliverError> {
        let info = self.content.info();
        if !info.is_single_file {
            fs::create_dir(self.root()).map_err(|source| self.failed(&self.root(), source))?;
        }
        for (index, file) in info.files.iter().enumerate() {
            if matches!(file.kind, FileKind::Plain | FileKind::Executable) {
                let tick = |done| {
                    progress(file.offset + done, info.length);
                    if cancel.is_cancelled() { Err(Cancelled) } else { Ok(()) }
                };
                self.place(index, file, mode, tick)?;
            }
        }
        for file in info.stored_files() {
            if let FileKind::Symlink(target) = &file.kind {
                let link = file.path.below(&self.root());
                let made = make_parents(&link)
                    .and_then(|()| std::os::unix::fs::symlink(symlink::relative(&file.path, target), &link));
                made.map_err(|source| self.failed(&link, source))?;
            }
        }
        progress(info.length, info.length);
        Ok(())
    }

    /// Verifies a copy: its source has been on a disk, perhaps for long, with nobody to look after it.
    pub fn check(&self, mode: Mode, cancel: &CancellationToken) -> Result<(), DeliverError> {
        if mode == Mode::Move {
            return Ok(());
        }
        let report = verify(self.content.info(), &self.root(), Check::Bytes, |_, _| {}, cancel)?;
        match report.good_pieces.iter().filter(|&&good| !good).count() {
            0 => Ok(()),
            pieces => Err(DeliverError::Damaged { root: self.content.root().to_path_buf(), pieces }),
        }
    }

    /// Makes every file and directory durable.
    pub fn sync(&self) -> Result<(), DeliverError> {
        if self.content.info().files.len() >= MANY_FILES {
            return syncfs(&self.handle).map_err(|error| self.failed(&self.root(), error.into()));
        }
        for entry in WalkDir::new(self.root()).contents_first(true) {
            let entry = entry.map_err(|error| self.failed(&self.root(), error.into()))?;
            if !entry.file_type().is_symlink() {
                let synced = File::open(entry.path()).and_then(|file| file.sync_all());
                synced.map_err(|source| self.failed(entry.path(), source))?;
            }
        }
        Ok(())
    }

    /// Renames the content to `path`; what has that name, when something has, is gone in the same moment where the
    /// file system can do that.
    pub fn put(&self, path: &Path, replaces: bool) -> io::Result<()> {
        if !replaces {
            return fs::rename(self.root(), path);
        }
        match renameat_with(CWD, self.root(), CWD, path, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.put_after_old(path),
            other => Ok(other?),
        }
    }

    pub fn put_after_old(&self, path: &Path) -> io::Result<()> {
        let old = self.staging.path().join("old");
        fs::rename(path, &old)?;
        fs::rename(self.root(), path).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = fs::rename(&old, path);
        })
    }

    fn root(&self) -> PathBuf {
        self.staging.path().join("new")
    }

    fn place(
        &self,
        index: usize,
        file: &metainfo::File,
        mode: Mode,
        tick: impl Fn(u64) -> Result<(), Cancelled>,
    ) -> Result<(), DeliverError> {
        let single = self.content.info().is_single_file;
        let staged = if single { self.root() } else { file.path.below(&self.root()) };
        let executable = file.kind == FileKind::Executable;
        make_parents(&staged).map_err(|source| self.failed(&staged, source))?;
        if file.length == 0 {
            new_file(&staged, executable).map_err(|source| self.failed(&staged, source))?;
            return Ok(tick(0)?);
        }
        let path = self.content.path_of(index);
        let source = open_source(&path, file.length)?;
        if mode == Mode::Move && fs::hard_link(&path, &staged).is_ok() {
            set_executable(&staged, executable).map_err(|source| self.failed(&staged, source))?;
            return Ok(tick(file.length)?);
        }
        let target = new_file(&staged, executable).map_err(|source| self.failed(&staged, source))?;
        target.set_len(file.length).map_err(|source| self.failed(&staged, source))?;
        let mut done = 0;
        let read_error = |source| DeliverError::Read { path: path.clone(), source };
        while let Some(range) = next_data(&source, done..file.length).map_err(read_error)? {
            tick(range.start)?;
            done = range.end;
            copy(&source, &target, range).map_err(|source| self.failed(&staged, source))?;
        }
        Ok(tick(file.length)?)
    }

    /// Names a file by where it would have been.
    fn failed(&self, staged: &Path, source: io::Error) -> DeliverError {
        let info = self.content.info();
        let name = Path::new(&info.name);
        let file = match staged.strip_prefix(self.root()) {
            Ok(inside) if !info.is_single_file => name.join(inside),
            _ => name.to_path_buf(),
        };
        let directory = self.directory.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull => DeliverError::NoSpace { file, directory, needed: info.length, free: 0 },
            _ => write_error(&directory.join(file), source),
        }
    }
}

fn make_parents(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn new_file(path: &Path, executable: bool) -> io::Result<File> {
    let mode = if executable { 0o755 } else { 0o644 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Lets everybody execute who may read, or nobody.
fn set_executable(path: &Path, executable: bool) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    let mode = metadata.mode() & !0o111;
    let bits = if executable { (mode & 0o444) >> 2 } else { 0 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode | bits))
}

fn open_source(path: &Path, expected: u64) -> Result<File, DeliverError> {
    let read_error = |source| DeliverError::Read { path: path.to_path_buf(), source };
    let file = open_file(path).map_err(read_error)?;
    let metadata = file.metadata().map_err(read_error)?;
    if metadata.is_file() && metadata.len() == expected {
        Ok(file)
    } else {
        Err(DeliverError::Length { path: path.to_path_buf(), found: metadata.len(), expected })
    }
}

/// The first bytes in `within` that are not a hole, at most [`STEP`] of them.
fn next_data(file: &File, within: Range<u64>) -> io::Result<Option<Range<u64>>> {
    if within.is_empty() {
        return Ok(None);
    }
    let start = match seek(file, rustix::fs::SeekFrom::Data(within.start)) {
        Ok(start) if start < within.end => start,
        Ok(_) | Err(Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let hole = seek(file, rustix::fs::SeekFrom::Hole(start))?;
    Ok(Some(start..hole.min(within.end).min(start + STEP)))
}

fn copy(mut source: &File, mut target: &File, range: Range<u64>) -> io::Result<()> {
    source.seek(SeekFrom::Start(range.start))?;
    target.seek(SeekFrom::Start(range.start))?;
    let length = range.end - range.start;
    let copied = io::copy(&mut source.take(length), &mut target)?;
    if copied == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Removes what deliveries that were killed have left in a destination.
fn sweep(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
        if let Ok(Some(_claim)) = claim(&entry.path())
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "cannot remove what an earlier delivery left");
        }
    }
}
