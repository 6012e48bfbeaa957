//! Versions of content side by side, behind a symlink that is swapped from one to the next.
//!
//! ```text
//! DIR/NAME -> .NAME.versions/INFO_HASH/TORRENT_NAME
//! DIR/.NAME.versions/INFO_HASH/TORRENT_NAME
//! DIR/.NAME.versions/previous -> INFO_HASH
//! ```
//!
//! Whoever has opened a directory through the symlink goes on seeing that version alone. The one before stays until the
//! next swap.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, symlink},
    path::{Component, Path, PathBuf},
};

use nova_protocol::InfoHash;

use crate::{
    claim::{by_handle, claim_itself, is_own, is_same},
    rename::{cannot, exchange},
    restore::{remove, rename},
};

/// The symlink that is about to take its place.
const NEXT: &str = "next";
const PREVIOUS: &str = "previous";
/// What a directory that gave way to the symlink is called until it is gone.
const OLD: &str = "old";

/// The versions behind one symlink; one process has them for itself.
#[derive(Debug)]
pub struct Versions {
    link: PathBuf,
    /// `.NAME.versions`, as the symlink says it.
    name: PathBuf,
    /// The directory itself, whatever has its name.
    root: PathBuf,
    replace: bool,
    claim: File,
}

/// Why a symlink does not lead to a new version; it leads to where it did.
#[derive(Debug, thiserror::Error)]
pub enum VersionsError {
    /// It has no name of its own.
    #[error("{} cannot be a symlink: expected a path that ends in a name", .0.display())]
    Name(PathBuf),
    /// Something else has its name.
    #[error("{} exists and is no symlink of nova's; --replace replaces it", .0.display())]
    Occupied(PathBuf),
    /// Another process has it.
    #[error("another process delivers to {} now: wait for it", .0.display())]
    Busy(PathBuf),
    /// The operating system refused.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// Why it could not be.
        source: io::Error,
    },
}

type Result<T> = std::result::Result<T, VersionsError>;

impl Versions {
    /// The versions behind `link`, which need not be there. What else is there makes way only with `replace`.
    ///
    /// # Errors
    /// [`VersionsError`].
    pub fn open(link: &Path, replace: bool) -> Result<Self> {
        let Some(Component::Normal(last)) = link.components().next_back() else {
            return Err(VersionsError::Name(link.to_path_buf()));
        };
        let mut name = std::ffi::OsString::from(".");
        name.push(last);
        name.push(".versions");
        let (name, link) = (PathBuf::from(name), link.to_path_buf());
        make_way(&link, &name, replace)?;
        let path = link.with_file_name(&name);
        let claim = take(&path).map_err(about(&path))?.ok_or_else(|| VersionsError::Busy(link.clone()))?;
        Ok(Self { link, name, root: by_handle(&claim, &path), replace, claim })
    }

    /// A message about something in there, with the name that people know.
    pub(crate) fn named(&self, message: &str) -> String {
        message.replace(&*self.root.to_string_lossy(), &self.path().to_string_lossy())
    }

    fn about(&self, path: &Path) -> impl FnOnce(io::Error) -> VersionsError + use<> {
        about(&path.strip_prefix(&self.root).map_or_else(|_| path.to_path_buf(), |inside| self.path().join(inside)))
    }

    fn path(&self) -> PathBuf {
        self.link.with_file_name(&self.name)
    }

    /// The directory into which a version is delivered.
    pub fn directory(&self, info_hash: InfoHash) -> PathBuf {
        self.root.join(info_hash.to_string())
    }

    /// The version to which the symlink leads.
    pub fn current(&self) -> Option<InfoHash> {
        current(&self.link, &self.name)
    }

    /// Lets the symlink lead to a version, delivered as `torrent_name`, in one step, and on the disk too if it shall be
    /// durable; then removes all but this version and the one before. Whenever this is cut, the symlink leads to one of
    /// them, and the next swap removes the rest.
    ///
    /// # Errors
    /// [`VersionsError::Write`]; [`VersionsError::Occupied`] when something has come there since.
    pub fn swap(&self, info_hash: InfoHash, torrent_name: &str, is_durable: bool) -> Result<()> {
        let path = self.path();
        if !fs::symlink_metadata(&path).is_ok_and(|found| is_same(&self.claim, &found)) {
            return Err(about(&path)(io::Error::other("something else was put there")));
        }
        // It took a while to come here.
        make_way(&self.link, &self.name, self.replace)?;
        let target = self.name.join(info_hash.to_string()).join(torrent_name);
        if fs::read_link(&self.link).ok().as_ref() != Some(&target) {
            let current = self.current().filter(|&current| current != info_hash);
            if let Some(current) = current {
                self.put_symlink(Path::new(&current.to_string()), &self.root.join(PREVIOUS))?;
            }
            self.put_symlink(&target, &self.link)?;
            let directory = self.link.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = directory.unwrap_or(Path::new("."));
            if is_durable {
                File::open(directory).and_then(|directory| directory.sync_all()).map_err(about(directory))?;
            }
        }
        self.prune(info_hash)
    }

    /// Puts a symlink to `target` at `place`, over what has that name.
    fn put_symlink(&self, target: &Path, place: &Path) -> Result<()> {
        let next = self.root.join(NEXT);
        remove(&next).map_err(self.about(&next))?;
        symlink(target, &next).map_err(self.about(&next))?;
        let is_directory = fs::symlink_metadata(place).is_ok_and(|found| found.is_dir());
        if !is_directory {
            return fs::rename(&next, place).map_err(self.about(place));
        }
        let swap = || match exchange(&next, place) {
            Err(error) if cannot(&error) => {
                // A file system that cannot exchange names has a moment without one.
                let old = self.root.join(OLD);
                remove(&old).and_then(|()| fs::rename(place, old)).and_then(|()| fs::rename(&next, place))
            }
            exchanged => exchanged,
        };
        rename(place, swap).map_err(self.about(place))
    }

    fn prune(&self, current: InfoHash) -> Result<()> {
        let previous = fs::read_link(self.root.join(PREVIOUS)).unwrap_or_default();
        let current = current.to_string();
        for entry in fs::read_dir(&self.root).map_err(self.about(&self.root))? {
            let entry = entry.map_err(self.about(&self.root))?;
            let name = entry.file_name();
            let is_version = name.to_str().is_some_and(|name| name.parse::<InfoHash>().is_ok());
            let is_needed = name == current.as_str() || name == previous.as_os_str();
            if is_version && !is_needed || name == NEXT || name == OLD {
                remove(&entry.path()).map_err(self.about(&entry.path()))?;
            }
        }
        Ok(())
    }
}

/// What is no symlink of nova's makes way only when that is said.
fn make_way(link: &Path, name: &Path, replace: bool) -> Result<()> {
    let is_other = || fs::symlink_metadata(link).is_ok() && current(link, name).is_none();
    if !replace && is_other() { Err(VersionsError::Occupied(link.to_path_buf())) } else { Ok(()) }
}

/// The version to which a symlink leads.
fn current(link: &Path, name: &Path) -> Option<InfoHash> {
    let target = fs::read_link(link).ok()?;
    let inside = target.strip_prefix(name).ok()?;
    inside.components().next()?.as_os_str().to_str()?.parse().ok()
}

/// Takes the directory of versions, or makes it. Another's is refused, and a symlink: versions are removed from it.
fn take(root: &Path) -> io::Result<Option<File>> {
    DirBuilder::new().mode(0o755).recursive(true).create(root)?;
    let Some(claim) = claim_itself(root)? else { return Ok(None) };
    if !is_own(&claim, root)? {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is another user's"));
    }
    Ok(Some(claim))
}

fn about(path: &Path) -> impl FnOnce(io::Error) -> VersionsError + use<> {
    let path = path.to_path_buf();
    |source| VersionsError::Write { path, source }
}
