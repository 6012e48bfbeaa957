//! Content on its way: complete and durable before anybody sees it, or gone without a trace.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nova_protocol::metainfo::{self, FileKind, Info};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with, syncfs},
    io::Errno,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use super::{
    DeliverError, Delivery, Mode, Options,
    copy::{CopyError, copy, copy_intact},
    share, write_error,
};
use crate::{
    claim::claim_itself,
    content::{Cancelled, Content, open_file, symlink},
    restore::{self, last_mode, remove_tree, restore},
    scratch::Scratch,
    verify::{Check, verify},
};

/// Files from which on the whole file system is synced at once: 20,000 took 0.3 s so, and 13 s one by one.
const MANY_FILES: usize = 256;

const PREFIX: &str = ".nova-stage-";

/// A fresh directory beside the destination, removed with whatever is in it when this is dropped.
pub(super) struct Stage<'a> {
    content: &'a Content<&'a Info>,
    directory: &'a Path,
    options: &'a Options,
    staging: TempDir,
    scratch: Scratch,
}

impl<'a> Stage<'a> {
    pub fn new(
        content: &'a Content<&'a Info>,
        directory: &'a Path,
        options: &'a Options,
    ) -> Result<Self, DeliverError> {
        sweep(directory);
        let closed = Permissions::from_mode(0o700);
        let staging = tempfile::Builder::new().prefix(PREFIX).permissions(closed).tempdir_in(directory);
        let staging = staging.map_err(|source| write_error(directory, source))?;
        let taken =
            Scratch::take(staging.path()).and_then(|taken| taken.ok_or_else(|| io::ErrorKind::ResourceBusy.into()));
        let scratch = taken.map_err(|source| write_error(staging.path(), source))?;
        Ok(Self { content, directory, options, staging, scratch })
    }

    /// Builds the content, verified unless it is moved or known to be intact: its source has been on a disk, perhaps for
    /// long, with nobody to look after it. Symlinks come last, so that nothing can be written through one.
    pub fn fill(&self, progress: impl Fn(u64, u64) + Sync, cancel: &CancellationToken) -> Result<(), DeliverError> {
        let info = self.content.info();
        if !info.is_single_file {
            fs::create_dir(self.root()).map_err(|source| self.failed(&self.root(), source))?;
        }
        let mode = self.resolve(self.options.mode)?;
        for (index, file) in info.files.iter().enumerate() {
            if file.kind.has_content() {
                self.place(index, file, mode)?;
                if cancel.is_cancelled() {
                    return Err(Cancelled.into());
                }
            }
        }
        match mode {
            Mode::Move => {}
            Mode::Keep(Delivery::Copy) => self.copy(&progress, cancel)?,
            Mode::Keep(_) if self.options.is_intact => {}
            Mode::Keep(_) => self.check(&progress, cancel)?,
        }
        for access in info.access.iter().filter(|access| access.is_directory) {
            let directory = restore::place(access, &self.root());
            fs::create_dir_all(&directory).map_err(|source| self.failed(&directory, source))?;
        }
        self.link_symlinks()?;
        restore(info, &self.root(), &self.options.no_preserve).map_err(|(path, source)| self.failed(&path, source))?;
        progress(info.length, info.length);
        Ok(())
    }

    /// What `auto` stands for here.
    fn resolve(&self, mode: Mode) -> Result<Mode, DeliverError> {
        if mode != Mode::Keep(Delivery::Auto) {
            return Ok(mode);
        }
        let mut files = self.content.info().files.iter().enumerate();
        let first = files.find(|(_, file)| file.length > 0 && file.kind != FileKind::Padding);
        let Some((index, file)) = first else { return Ok(Mode::Keep(Delivery::Copy)) };
        let source = open_source(&self.content.path_of(index), file.length)?;
        let probe = tempfile::tempfile_in(self.scratch.root()).map_err(|source| self.failed(&self.root(), source))?;
        let has_reflinks = share::reflink(&source, &probe).is_ok();
        Ok(Mode::Keep(if has_reflinks { Delivery::Reflink } else { Delivery::Copy }))
    }

    fn copy(&self, progress: &(impl Fn(u64, u64) + Sync), cancel: &CancellationToken) -> Result<(), DeliverError> {
        let Options { is_durable, is_intact, .. } = *self.options;
        let copied = if is_intact {
            copy_intact(self.content, &self.root(), is_durable, progress, cancel)
        } else {
            copy(self.content, &self.root(), is_durable, progress, cancel)
        };
        copied.map_err(|error| match error {
            CopyError::Cancelled => Cancelled.into(),
            CopyError::Read(error) => DeliverError::Read { path: error.path, source: error.source },
            CopyError::Write(index, source) => self.failed(&self.staged(index), source),
            CopyError::Damaged(pieces) => self.damaged(pieces),
        })
    }

    fn check(&self, progress: &(impl Fn(u64, u64) + Sync), cancel: &CancellationToken) -> Result<(), DeliverError> {
        let report = verify(self.content.info(), &self.root(), Check::Bytes, progress, cancel)?;
        match report.good_pieces.iter().filter(|&&good| !good).count() {
            0 => Ok(()),
            pieces => Err(self.damaged(pieces)),
        }
    }

    fn damaged(&self, pieces: usize) -> DeliverError {
        DeliverError::Damaged { root: self.content.root().to_path_buf(), pieces }
    }

    fn link_symlinks(&self) -> Result<(), DeliverError> {
        for file in self.content.info().stored_files() {
            if let FileKind::Symlink(target) = &file.kind {
                let link = file.path.below(&self.root());
                let made = make_parents(&link)
                    .and_then(|()| std::os::unix::fs::symlink(symlink::relative(&file.path, target), &link));
                made.map_err(|source| self.failed(&link, source))?;
            }
        }
        Ok(())
    }

    /// Makes every file and directory durable, when the options say so.
    pub fn sync(&self) -> Result<(), DeliverError> {
        if !self.options.is_durable {
            return Ok(());
        }
        let info = self.content.info();
        if info.files.len() + info.access.len() >= MANY_FILES {
            return syncfs(self.scratch.handle()).map_err(|error| self.failed(&self.root(), error.into()));
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
        let root = File::open(self.root());
        if replaces {
            restore::rename(path, || self.put_for_old(path))?;
        } else {
            fs::rename(self.root(), path)?;
        }
        let Some(mode) = last_mode(self.content.info(), &self.options.no_preserve) else { return Ok(()) };
        let root = root?;
        root.set_permissions(Permissions::from_mode(mode))?;
        if self.options.is_durable { root.sync_all() } else { Ok(()) }
    }

    fn put_for_old(&self, path: &Path) -> io::Result<()> {
        match renameat_with(CWD, self.root(), CWD, path, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.put_after_old(path),
            other => Ok(other?),
        }
    }

    pub fn put_after_old(&self, path: &Path) -> io::Result<()> {
        let old = self.scratch.root().join("old");
        fs::rename(path, &old)?;
        fs::rename(self.root(), path).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = fs::rename(&old, path);
        })
    }

    fn root(&self) -> PathBuf {
        self.scratch.root().join("new")
    }

    /// Where file `index` is built.
    fn staged(&self, index: usize) -> PathBuf {
        let info = self.content.info();
        if info.is_single_file { self.root() } else { info.files[index].path.below(&self.root()) }
    }

    /// Puts a file in the stage; one that is to be copied gets its length alone.
    fn place(&self, index: usize, file: &metainfo::File, mode: Mode) -> Result<(), DeliverError> {
        let staged = self.staged(index);
        let failed = |source| self.failed(&staged, source);
        let executable = file.kind == FileKind::Executable;
        make_parents(&staged).map_err(failed)?;
        if file.length == 0 {
            return new_file(&staged, executable).map(drop).map_err(failed);
        }
        let path = self.content.path_of(index);
        let source = open_source(&path, file.length)?;
        let unshared = |delivery, error: io::Error| self.unshared(delivery, &path, share::reason(delivery, &error));
        match mode {
            Mode::Move if fs::hard_link(&path, &staged).is_ok() => share::set_executable(&staged, executable),
            Mode::Move => {
                new_file(&staged, executable).and_then(|mut target| io::copy(&mut &source, &mut target)).map(drop)
            }
            Mode::Keep(Delivery::HardLink) => {
                return share::hard_link(&path, &staged, executable)
                    .map_err(|error| unshared(Delivery::HardLink, error));
            }
            Mode::Keep(Delivery::Reflink) => {
                let target = new_file(&staged, executable).map_err(failed)?;
                return share::reflink(&source, &target).map_err(|error| unshared(Delivery::Reflink, error));
            }
            Mode::Keep(Delivery::Auto | Delivery::Copy) => {
                new_file(&staged, executable).and_then(|target| target.set_len(file.length))
            }
        }
        .map_err(failed)
    }

    fn unshared(&self, delivery: Delivery, file: &Path, reason: String) -> DeliverError {
        let (file, directory) = (file.to_path_buf(), self.directory.to_path_buf());
        DeliverError::Share { delivery, file, directory, reason }
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

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(self.staging.path()) {
            tracing::warn!(path = %self.staging.path().display(), %error, "cannot remove what a delivery left");
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

/// Removes what deliveries that were killed have left in a destination.
fn sweep(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
        if let Ok(Some(_claim)) = claim_itself(&entry.path())
            && let Err(error) = remove_tree(&entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "cannot remove what an earlier delivery left");
        }
    }
}
