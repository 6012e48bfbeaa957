//! Content on its way: complete and durable before anybody sees it.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use nova_protocol::metainfo::{FileKind, Info};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with, syncfs},
    io::Errno,
};
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use super::{DeliverError, Options, way::Way, write_error};
use crate::{
    content::{Cancelled, symlink},
    restore::{self, gives, last_mode, restore},
    scratch::Scratch,
};

/// Files from which on the whole file system is synced at once: 20,000 took 0.3 s so, and 13 s one by one.
const MANY_FILES: usize = 256;

/// What the content lacks to be delivered, and how it gets its name.
pub(super) struct Stage<'a> {
    pub info: &'a Info,
    pub directory: &'a Path,
    pub options: &'a Options,
    pub scratch: &'a Scratch,
}

impl Stage<'_> {
    /// Adds to the files of the content what has no bytes, and makes all of it durable. Symlinks come last, so that nothing
    /// can be written through one; rights come after what takes long, so that a delivery that is cut before can be gone on
    /// with.
    pub fn finish(&self, cancel: &CancellationToken) -> Result<(), DeliverError> {
        let info = self.info;
        if !info.is_single_file {
            fs::create_dir_all(self.root()).map_err(|source| self.failed(&self.root(), source))?;
        }
        for access in info.access.iter().filter(|access| access.is_directory) {
            let directory = restore::place(access, &self.root());
            fs::create_dir_all(&directory).map_err(|source| self.failed(&directory, source))?;
        }
        self.link_symlinks()?;
        self.sync(cancel)?;
        if cancel.is_cancelled() {
            return Err(Cancelled.into());
        }
        let no_preserve = &self.options.no_preserve;
        restore(info, &self.root(), no_preserve).map_err(|(path, source)| self.failed(&path, source))?;
        if gives(info, no_preserve) { self.sync(&CancellationToken::new()) } else { Ok(()) }
    }

    fn link_symlinks(&self) -> Result<(), DeliverError> {
        for file in self.info.stored_files() {
            if let FileKind::Symlink(target) = &file.kind {
                let link = file.path.below(&self.root());
                let made = make_parents(&link)
                    .and_then(|()| remove_if_any(&link))
                    .and_then(|()| std::os::unix::fs::symlink(symlink::relative(&file.path, target), &link));
                made.map_err(|source| self.failed(&link, source))?;
            }
        }
        Ok(())
    }

    /// Makes every file and directory durable, when the options say so.
    fn sync(&self, cancel: &CancellationToken) -> Result<(), DeliverError> {
        if !self.options.is_durable {
            return Ok(());
        }
        if self.info.files.len() + self.info.access.len() >= MANY_FILES {
            return syncfs(self.scratch.handle()).map_err(|error| self.failed(&self.root(), error.into()));
        }
        for entry in WalkDir::new(self.root()).contents_first(true) {
            if cancel.is_cancelled() {
                return Err(Cancelled.into());
            }
            let entry = entry.map_err(|error| self.failed(&self.root(), error.into()))?;
            if !entry.file_type().is_symlink() {
                let synced = File::open(entry.path()).and_then(|file| file.sync_all());
                synced.map_err(|source| self.failed(entry.path(), source))?;
            }
        }
        Ok(())
    }

    /// Renames the content to `path`. What has that name and makes way is gone in the same moment where the file system
    /// can do that; what has come there since, or was changed, stays.
    pub fn put(&self, path: &Path, way: &Way) -> Result<(), DeliverError> {
        let failed = |source| write_error(path, source);
        let root = File::open(self.root());
        let is_put = match way {
            Way::Free => self.put_where_nothing_is(path).map_err(failed)?,
            Way::MakesWay(old) => {
                let put = restore::rename(path, || self.put_for_old(path, |there| old.is_still(there)));
                match put {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => self.put_where_nothing_is(path),
                    put => put,
                }
                .map_err(failed)?
            }
        };
        if !is_put {
            return Err(DeliverError::Exists(path.to_path_buf()));
        }
        let Some(mode) = last_mode(self.info, &self.options.no_preserve) else { return Ok(()) };
        let close = |root: File| {
            root.set_permissions(Permissions::from_mode(mode))?;
            if self.options.is_durable { root.sync_all() } else { Ok(()) }
        };
        root.and_then(close).map_err(failed)
    }

    fn put_where_nothing_is(&self, path: &Path) -> io::Result<bool> {
        match renameat_with(CWD, self.root(), CWD, path, RenameFlags::NOREPLACE) {
            Err(error) if cannot(error) && fs::symlink_metadata(path).is_err() => {
                fs::rename(self.root(), path).map(|()| true)
            }
            Err(error) if cannot(error) => Ok(false),
            Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
            other => other.map(|()| true).map_err(Into::into),
        }
    }

    fn put_for_old(&self, path: &Path, is_still: impl Fn(&Path) -> bool) -> io::Result<bool> {
        let exchange = || renameat_with(CWD, self.root(), CWD, path, RenameFlags::EXCHANGE);
        match exchange() {
            Err(error) if cannot(error) => return self.put_after_old(path, is_still),
            other => other?,
        }
        if is_still(&self.root()) {
            return Ok(true);
        }
        exchange()?;
        Ok(false)
    }

    pub fn put_after_old(&self, path: &Path, is_still: impl Fn(&Path) -> bool) -> io::Result<bool> {
        let old = self.scratch.old();
        fs::rename(path, &old)?;
        let put = if is_still(&old) { fs::rename(self.root(), path).map(|()| true) } else { Ok(false) };
        if !matches!(put, Ok(true)) {
            fs::rename(&old, path)?;
        }
        put
    }

    pub fn root(&self) -> PathBuf {
        self.scratch.content(&self.info.name)
    }

    /// Where file `index` is.
    pub fn staged(&self, index: usize) -> PathBuf {
        if self.info.is_single_file { self.root() } else { self.info.files[index].path.below(&self.root()) }
    }

    /// Names a file by where it would have been.
    pub fn failed(&self, staged: &Path, source: io::Error) -> DeliverError {
        let name = Path::new(&self.info.name);
        let file = match staged.strip_prefix(self.root()) {
            Ok(inside) if !self.info.is_single_file => name.join(inside),
            _ => name.to_path_buf(),
        };
        let directory = self.directory.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull => DeliverError::NoSpace { file, directory, needed: self.info.length, free: 0 },
            _ => write_error(&directory.join(file), source),
        }
    }
}

pub(super) fn make_parents(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn remove_if_any(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether a file system says that it has no such way to rename.
fn cannot(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}
