//! Content on its way: complete and durable before anybody sees it.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use nova_protocol::metainfo::{FileKind, Info};
use rustix::fs::syncfs;
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use super::{
    DeliverError, Options,
    way::{Old, Way},
    write_error,
};
use crate::{
    content::{Cancelled, symlink},
    rename::{cannot, exchange, rename_new},
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

    /// Renames the content to `path`, or says that something else is there. What has that name and makes way is gone in the
    /// same moment where the file system can do that; what has come there since, or was changed, stays.
    pub fn put(&self, path: &Path, way: &Way) -> Result<bool, DeliverError> {
        let failed = |source| write_error(path, source);
        let (root, ready) = (self.root(), self.scratch.ready());
        let handle = File::open(&root);
        fs::rename(&root, &ready).map_err(failed)?;
        let put = match way {
            Way::Free => rename_new(&ready, path),
            Way::MakesWay(old) => self.put_for(old, path),
        };
        if !matches!(put, Ok(true)) {
            // To be gone on with. The first error is the one to tell.
            let _ = fs::rename(&ready, &root);
            return put.map_err(failed);
        }
        let Some(mode) = last_mode(self.info, &self.options.no_preserve) else { return Ok(true) };
        let close = |root: File| {
            root.set_permissions(Permissions::from_mode(mode))?;
            if self.options.is_durable { root.sync_all() } else { Ok(()) }
        };
        handle.and_then(close).map_err(failed).map(|()| true)
    }

    fn put_for(&self, old: &Old, path: &Path) -> io::Result<bool> {
        let ready = self.scratch.ready();
        match restore::rename(path, || exchange(&ready, path)) {
            Ok(()) if old.is_still(&ready) => Ok(true),
            Ok(()) => match exchange(&ready, path) {
                Ok(()) => Ok(false),
                Err(error) => {
                    let old = self.scratch.old();
                    fs::rename(&ready, &old)?;
                    self.give_back(&old, path, &error)
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => rename_new(&ready, path),
            Err(error) if cannot(&error) => self.put_after(old, path),
            Err(error) => Err(error),
        }
    }

    /// For a file system that cannot exchange names: for a moment nothing has this one.
    pub fn put_after(&self, old: &Old, path: &Path) -> io::Result<bool> {
        if !old.is_still(path) {
            return Ok(false);
        }
        let (ready, aside) = (self.scratch.ready(), self.scratch.old());
        match restore::rename(path, || fs::rename(path, &aside)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return rename_new(&ready, path),
            renamed => renamed?,
        }
        match rename_new(&ready, path) {
            Ok(true) if old.is_still(&aside) => Ok(true),
            Ok(true) => {
                fs::rename(path, &ready)?;
                self.give_back(&aside, path, &io::ErrorKind::AlreadyExists.into())
            }
            Ok(false) => self.give_back(&aside, path, &io::ErrorKind::AlreadyExists.into()),
            Err(error) => self.give_back(&aside, path, &error).and(Err(error)),
        }
    }

    /// Puts back what shall stay. Where that cannot be it is at least not removed.
    pub fn give_back(&self, old: &Path, path: &Path, why: &io::Error) -> io::Result<bool> {
        if let Ok(true) = rename_new(old, path) {
            return Ok(false);
        }
        self.scratch.keep(true);
        let old = self.scratch.named(&old.display().to_string());
        Err(io::Error::new(why.kind(), format!("what was there is in {old} until the next pull to here: {why}")))
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
