//! A directory that one process has for itself.

use std::{
    fs::{File, Metadata, TryLockError},
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, open};

/// Takes a directory for as long as the handle lives, or says that another has it. The system gives it back when a
/// process dies, however it does.
///
/// # Errors
/// When there is no such directory, or the file system has no locks.
pub(crate) fn claim(directory: &Path) -> io::Result<Option<File>> {
    lock(directory, OFlags::empty(), File::try_lock)
}

/// The same, but that a symlink to a directory is none.
///
/// # Errors
/// Those of [`claim`].
pub(crate) fn claim_itself(directory: &Path) -> io::Result<Option<File>> {
    lock(directory, OFlags::NOFOLLOW, File::try_lock)
}

/// The same together with others who share it.
///
/// # Errors
/// Those of [`claim`].
pub(crate) fn share(directory: &Path) -> io::Result<Option<File>> {
    lock(directory, OFlags::empty(), File::try_lock_shared)
}

/// Whether what was found is the directory that is held open.
pub(crate) fn is_same(directory: &File, found: &Metadata) -> bool {
    directory.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
}

/// Where a directory is, whatever has its name: below that nobody can put another in its place. Without a `/proc` it is
/// `path` alone.
pub(crate) fn by_handle(directory: &File, path: &Path) -> PathBuf {
    let open = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    if open.exists() { open } else { path.to_path_buf() }
}

/// Whether a directory is the user's whose what this process makes in it is: over NFS what root makes may be nobody's.
pub(crate) fn is_own(directory: &File, path: &Path) -> io::Result<bool> {
    Ok(tempfile::tempfile_in(path)?.metadata()?.uid() == directory.metadata()?.uid())
}

fn lock(
    directory: &Path,
    flags: OFlags,
    lock: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> io::Result<Option<File>> {
    // What is no directory is not waited for, as for the other end of a fifo.
    let flags = flags | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = File::from(open(directory, flags, Mode::empty())?);
    match lock(&handle) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Who had it may have removed it in between; then this is a directory that nobody else can see.
    let is_still_there = directory.metadata().is_ok_and(|found| is_same(&handle, &found));
    Ok(is_still_there.then_some(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_until_it_lets_go() {
        let home = tempfile::tempdir().unwrap();
        let owner = claim(home.path()).unwrap();
        assert!(owner.is_some());
        assert!(claim(home.path()).unwrap().is_none());
        drop(owner);
        assert!(claim(home.path()).unwrap().is_some());
    }

    #[test]
    fn those_who_share_keep_an_owner_out_and_not_each_other() {
        let home = tempfile::tempdir().unwrap();
        let (one, other) = (share(home.path()).unwrap(), share(home.path()).unwrap());
        assert!(one.is_some() && other.is_some());
        assert!(claim(home.path()).unwrap().is_none());
        drop((one, other));
        let owner = claim(home.path()).unwrap();
        assert!(owner.is_some() && share(home.path()).unwrap().is_none());
    }
}
