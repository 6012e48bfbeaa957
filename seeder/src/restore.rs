//! Mode bits and owners as they were pushed, where a torrent has them.

use std::{
    fs::{self, Permissions},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{PermissionsExt, lchown},
    },
    path::{Path, PathBuf},
};

use nova_protocol::metainfo::{Access, Info, Owner};
use rustix::fs::{Mode, OFlags};

/// Bits without which a directory cannot be renamed by its owner.
const OPEN: u32 = 0o700;

/// Whether this process may give files to others, as only root may. Whoever may not pulls for itself.
pub fn restores_owners() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where something of the content at `root` is.
pub(crate) fn place(access: &Access, root: &Path) -> PathBuf {
    access.path.as_ref().map_or_else(|| root.to_path_buf(), |path| path.below(root))
}

/// Gives mode bits and owners to all of the content at `root`, and makes the directories without files. The directory
/// itself stays open to its owner, so that it can be renamed: [`close`] comes after that. An error names its path.
pub(crate) fn restore(info: &Info, root: &Path) -> Result<(), (PathBuf, io::Error)> {
    // What is inside comes before its directory, which may be closed to everybody.
    for access in info.access.iter().rev() {
        let path = place(access, root);
        let least = if access.is_directory && access.path.is_none() { OPEN } else { 0 };
        give(access, &path, least).map_err(|error| (path, error))?;
    }
    Ok(())
}

/// Gives the directory of the content its own mode bits.
pub(crate) fn close(info: &Info, root: &Directory) -> io::Result<()> {
    match info.access.first() {
        Some(Access { path: None, is_directory: true, mode: Some(mode), .. }) if mode & OPEN != OPEN => {
            root.set_mode(*mode)
        }
        _ => Ok(()),
    }
}

/// A directory wherever it is renamed to, and never what others put in its place.
pub(crate) struct Directory(OwnedFd);

impl Directory {
    /// The directory that has this path now, which need not be open to its owner.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Lets its owner rename it, and remove what is in it.
    pub(crate) fn open(&self) -> io::Result<()> {
        let mode = rustix::fs::fstat(&self.0)?.st_mode & 0o7777;
        if mode & OPEN == OPEN { Ok(()) } else { self.set_mode(mode | OPEN) }
    }

    /// By way of `/proc`, since what is open as a path alone has no mode to set.
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        fs::set_permissions(format!("/proc/self/fd/{}", self.0.as_raw_fd()), Permissions::from_mode(mode))
    }
}

/// Removes a tree, directories that are closed to their owner too.
pub(crate) fn remove_tree(root: &Path) -> io::Result<()> {
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

fn give(access: &Access, path: &Path, least: u32) -> io::Result<()> {
    if access.is_directory {
        fs::create_dir_all(path)?;
    }
    if let Some(owner @ Owner { uid, gid }) = access.owner
        && restores_owners()
    {
        lchown(path, Some(uid), Some(gid))
            .map_err(|error| io::Error::new(error.kind(), format!("it cannot belong to {owner}: {error}")))?;
    }
    access.mode.map_or(Ok(()), |mode| fs::set_permissions(path, Permissions::from_mode(mode | least)))
}
