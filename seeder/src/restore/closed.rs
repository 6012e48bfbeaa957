//! Directories that are closed to their own user, who may still have to rename and remove them.

use std::{
    fs::{self, Permissions},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::Path,
};

use rustix::fs::{Mode, OFlags, fstat, open};

use super::OPEN;

/// Renames a directory by `rename`, closed or not; when that fails, its mode bits are as before.
pub(crate) fn rename<T>(path: &Path, rename: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match rename() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let Ok(opened) = Directory::at(path).and_then(Directory::open) else { return Err(error) };
            rename().inspect_err(|_| {
                // The first error is the one to tell.
                let _ = opened.close();
            })
        }
        other => other,
    }
}

/// Removes whatever is there, if anything is.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => remove_tree(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a tree, closed directories too.
fn remove_tree(root: &Path) -> io::Result<()> {
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        other => return other,
    }
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        Directory::at(&directory)?.open()?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(root)
}

/// A directory wherever it is renamed to, and never what others put in its place.
struct Directory(OwnedFd);

/// One whose owner may rename it and remove what is in it, and the mode bits that it had.
struct Opened(Directory, u32);

impl Directory {
    fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    fn open(self) -> io::Result<Opened> {
        let mode = fstat(&self.0)?.st_mode & 0o7777;
        if mode & OPEN != OPEN {
            self.set_mode(mode | OPEN)?;
        }
        Ok(Opened(self, mode))
    }

    /// By way of `/proc`, since what is open as a path alone has no mode to set.
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        fs::set_permissions(format!("/proc/self/fd/{}", self.0.as_raw_fd()), Permissions::from_mode(mode))
    }
}

impl Opened {
    fn close(&self) -> io::Result<()> {
        self.0.set_mode(self.1)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::content::fixture::{as_anybody, set_mode, write};

    #[test]
    fn a_closed_directory_is_renamed_and_one_that_cannot_be_stays_closed() {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), &[("there/tree/inside/file", b"x"), ("elsewhere/file", b"x")]);
        let (tree, moved) = (home.path().join("there/tree"), home.path().join("elsewhere/tree"));
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        set_mode(&tree.join("inside"), 0o000);
        set_mode(&tree, 0o500);
        as_anybody(|| {
            rename(&tree, || Err::<(), _>(io::ErrorKind::PermissionDenied.into())).unwrap_err();
            assert_eq!(mode(&tree), 0o500);
            rename(&tree, || fs::rename(&tree, &moved)).unwrap();
            assert!(fs::remove_dir_all(&moved).is_err(), "it is closed");
            remove_tree(&moved).unwrap();
        });
        assert!(!moved.exists());
    }
}
