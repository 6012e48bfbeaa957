//! A directory for what is on its way, which this process has for itself.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder, File, Metadata, Permissions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use crate::{
    claim::{claim_itself, is_own},
    restore::remove_tree,
};

/// Bits by which others get into a directory.
const OTHERS: u32 = 0o077;

/// Bits by which others could have written to something.
const WRITABLE: u32 = 0o022;

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
    /// Whether it stays when this is dropped, to be gone on with.
    pub is_kept: bool,
}

impl Scratch {
    /// Takes a directory that is there, or makes one; none if another process has it.
    ///
    /// # Errors
    /// `PermissionDenied` when it is another user's or open to others, and so nothing that this has made.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        // Recursive does not mind when there is one.
        DirBuilder::new().mode(0o700).recursive(true).create(path)?;
        let Some(handle) = claim_itself(path)? else { return Ok(None) };
        let open = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
        // Without a /proc there is the name alone.
        let root = if open.exists() { open } else { path.to_path_buf() };
        let found = handle.metadata()?;
        if !is_own(&handle, &root)? {
            return Err(foreign("it is another user's"));
        }
        if found.mode() & OTHERS != 0 && can_be_closed(&handle)? {
            handle.set_permissions(found.permissions())?;
            return Err(foreign("it is open to others"));
        }
        Ok(Some(Self { path: path.to_path_buf(), root, handle, is_kept: false }))
    }

    /// Makes one whose name begins with `prefix`.
    pub fn make(directory: &Path, prefix: &str) -> io::Result<Self> {
        loop {
            let closed = Permissions::from_mode(0o700);
            let path = tempfile::Builder::new().prefix(prefix).permissions(closed).tempdir_in(directory)?.keep();
            // Whoever sweeps may have found it before it was claimed.
            if let Some(taken) = Self::take(&path)? {
                return Ok(taken);
            }
        }
    }

    /// Removes what this did not make, or made and then gave away, and lets everything else be as it was made: who had a
    /// hand in what was found here shall have none in what becomes of it.
    pub fn tidy(&self) -> io::Result<()> {
        let anything = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(&self.root)?;
        let made = anything.as_file().metadata()?;
        anything.close()?;
        let mode = made.mode() & 0o777;
        let mut directories = vec![self.root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory)? {
                let path = entry?.path();
                let found = fs::symlink_metadata(&path)?;
                let is_own = found.uid() == made.uid() && found.mode() & WRITABLE & !mode == 0;
                if is_own && found.is_dir() {
                    set_mode(&path, &found, mode | (mode & 0o444) >> 2 | found.mode() & SETGID)?;
                    directories.push(path);
                } else if is_own && found.is_file() && found.nlink() == 1 {
                    set_mode(&path, &found, mode)?;
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
        self.root.join("new").join(name)
    }

    /// Where something goes that makes way.
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
        if !self.is_kept
            && let Err(error) = self.remove()
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove");
        }
    }
}

fn foreign(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{why}, and so not nova's: remove it"))
}

/// Whether a directory can be closed: some file systems have no mode bits, and refuse or pass over it.
fn can_be_closed(directory: &File) -> io::Result<bool> {
    let set = directory.set_permissions(Permissions::from_mode(0o700));
    Ok(set.is_ok() && directory.metadata()?.mode() & OTHERS == 0)
}

fn set_mode(path: &Path, found: &Metadata, mode: u32) -> io::Result<()> {
    if found.mode() & 0o7777 == mode { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(mode)) }
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { remove_tree(path) } else { fs::remove_file(path) }
}
