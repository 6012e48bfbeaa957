//! A directory for what is on its way, which this process has for itself.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder, File, Metadata, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::{
    claim::{by_handle, claim_itself, is_own},
    restore::remove,
};

/// Bits by which others get into a directory.
const OTHERS: u32 = 0o077;

/// Where content is built.
const NEW: &str = "new";

/// The bit by which a directory passes its group on.
const SETGID: u32 = 0o2000;

/// A directory that is closed to others; removed when this is dropped, unless it is kept.
///
/// It may be in a directory of somebody else, who can rename it and put a symlink or another directory in its place. What
/// is done below [`Scratch::root`] is done in the directory that was taken, all the same, as long as nobody resolves that
/// path to another one.
pub(crate) struct Scratch {
    path: PathBuf,
    root: PathBuf,
    handle: File,
    is_kept: AtomicBool,
}

impl Scratch {
    /// Takes a directory that is there, or makes one; none if another process has it.
    ///
    /// # Errors
    /// `PermissionDenied` when it is another user's or open to others, and so nothing that this has made.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let is_new = match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            made => made.map(|()| true)?,
        };
        let taken = Self::of(path, is_new);
        if is_new && !matches!(taken, Ok(Some(_))) {
            // What went wrong is the error to tell.
            let _ = fs::remove_dir(path);
        }
        taken
    }

    fn of(path: &Path, is_new: bool) -> io::Result<Option<Self>> {
        let Some(handle) = claim_itself(path)? else { return Ok(None) };
        let root = by_handle(&handle, path);
        if !is_own(&handle, &root)? {
            return Err(foreign("it is another user's"));
        }
        let found = handle.metadata()?;
        // Where a new one is open to others, by an access list of the directory around it, it is closed here.
        if found.mode() & OTHERS != 0 && close(&handle, found.mode())? && !is_new {
            handle.set_permissions(found.permissions())?;
            return Err(foreign("it is open to others"));
        }
        Ok(Some(Self { path: path.to_path_buf(), root, handle, is_kept: AtomicBool::new(false) }))
    }

    /// Makes one whose name begins with `prefix`.
    pub fn make(directory: &Path, prefix: &str) -> io::Result<Self> {
        loop {
            // Whoever sweeps may have found it before it was claimed, and have it still or have removed it.
            match Self::take(&directory.join(format!("{prefix}{:016x}", rand::random::<u64>()))) {
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && directory.is_dir() => {}
                Ok(Some(taken)) => return Ok(taken),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether it stays when this is dropped, to be gone on with.
    pub fn keep(&self, is_kept: bool) {
        self.is_kept.store(is_kept, Relaxed);
    }

    /// Removes all but what can be gone on with: regular files and directories below `new` that are this user's and have no
    /// other name. Who had a hand in what was found here shall have none in what becomes of it. They get the modes that they
    /// were made with.
    pub fn tidy(&self) -> io::Result<()> {
        let anything = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(&self.root)?;
        let made = anything.as_file().metadata()?;
        let mode = made.mode() & 0o777;
        anything.close()?;
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name() != NEW {
                remove(&entry.path())?;
            }
        }
        let mut directories = vec![self.root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory)? {
                let path = entry?.path();
                let found = fs::symlink_metadata(&path)?;
                let is_own = found.uid() == made.uid();
                if is_own && found.is_dir() {
                    set_mode(&path, &found, mode | (mode & 0o444) >> 2 | found.mode() & SETGID);
                    directories.push(path);
                } else if is_own && found.is_file() && found.nlink() == 1 {
                    set_mode(&path, &found, mode);
                } else {
                    remove(&path)?;
                }
            }
        }
        Ok(())
    }

    /// Where the directory is, whatever has its name.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where content of this name is until it is complete.
    pub fn content(&self, name: &str) -> PathBuf {
        self.root.join(NEW).join(name)
    }

    /// From where content gets its name, and where what had that name is then.
    pub fn ready(&self) -> PathBuf {
        self.root.join("ready")
    }

    /// Where something goes that makes way, on a file system that cannot exchange names.
    pub fn old(&self) -> PathBuf {
        self.root.join("old")
    }

    /// The directory itself, open since before anything was written to it.
    pub fn handle(&self) -> &File {
        &self.handle
    }

    /// A message about something in it, with the name that people know.
    pub fn named(&self, message: &str) -> String {
        message.replace(&*self.root.to_string_lossy(), &self.path.to_string_lossy())
    }

    /// Empties it by its handle; then nothing can be lost by its name.
    fn remove(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            remove(&entry?.path())?;
        }
        fs::remove_dir(&self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept.load(Relaxed)
            && let Err(error) = self.remove()
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove");
        }
    }
}

fn foreign(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{why}, and so not nova's: remove it"))
}

/// Closes a directory to others, if that can be: some file systems have no mode bits, and refuse or pass over it.
fn close(directory: &File, mode: u32) -> io::Result<bool> {
    let set = directory.set_permissions(Permissions::from_mode(mode & 0o7777 & !OTHERS));
    Ok(set.is_ok() && directory.metadata()?.mode() & OTHERS == 0)
}

/// What cannot have another mode is left with the one that it has: it is behind a closed directory.
fn set_mode(path: &Path, found: &Metadata, mode: u32) {
    if found.mode() & 0o7777 != mode
        && let Err(error) = fs::set_permissions(path, Permissions::from_mode(mode))
    {
        tracing::debug!(path = %path.display(), %error, "it keeps its mode");
    }
}
