//! A directory that one process has for itself.

use std::{
    fs::{File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};

const PROBE: &str = ".nova-probe";

/// Takes a directory for as long as the handle lives, or says that another has it. The system gives it back when a
/// process dies, however it does.
///
/// # Errors
/// When there is no such directory, or the file system has no locks.
pub(crate) fn claim(directory: &Path) -> io::Result<Option<File>> {
    lock(directory, File::try_lock)
}

/// The same together with others who share it.
///
/// # Errors
/// Those of [`claim`].
pub(crate) fn share(directory: &Path) -> io::Result<Option<File>> {
    lock(directory, File::try_lock_shared)
}

fn lock(directory: &Path, lock: impl FnOnce(&File) -> Result<(), TryLockError>) -> io::Result<Option<File>> {
    let handle = File::open(directory)?;
    match lock(&handle) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Who had it may have removed it in between; then this is a directory that nobody else can see.
    let is_still_there =
        directory.metadata().is_ok_and(|found| handle.metadata().is_ok_and(|own| own.ino() == found.ino()));
    Ok(is_still_there.then_some(handle))
}

/// Whether a directory belongs to whom belongs what this process makes in it: somebody else's may change at any time. That
/// is asked of the file system, since over NFS what root makes may be nobody's.
///
/// # Errors
/// When nothing can be made in it.
pub(crate) fn is_own(directory: &File) -> io::Result<bool> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let probe = File::from(openat(directory, PROBE, flags, Mode::RUSR)?);
    unlinkat(directory, PROBE, AtFlags::empty())?;
    Ok(probe.metadata()?.uid() == directory.metadata()?.uid())
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
    fn a_directory_of_somebody_else_is_not_own() {
        let home = tempfile::tempdir().unwrap();
        let handle = claim(home.path()).unwrap().unwrap();
        assert!(is_own(&handle).unwrap());
        std::os::unix::fs::chown(home.path(), Some(12_345), None).unwrap();
        assert!(!is_own(&handle).unwrap());
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
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
