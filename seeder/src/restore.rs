//! Mode bits and owners as they were pushed, where a torrent has them.

mod closed;

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt, lchown},
    path::{Path, PathBuf},
};

use nova_protocol::metainfo::{Access, Info, Owner};
use rustix::thread::{CapabilitySet, capabilities};

pub(crate) use self::closed::{remove, rename};
use crate::create::Preserve;

/// Bits without which a directory cannot be renamed by its owner.
const OPEN: u32 = 0o700;

/// Whether mode bits do not hold this process back and it may give files to others, as root can. Whoever may not pulls for
/// itself.
pub fn is_privileged() -> bool {
    let needed = CapabilitySet::CHOWN | CapabilitySet::FOWNER | CapabilitySet::DAC_OVERRIDE;
    capabilities(None).is_ok_and(|own| own.effective.contains(needed))
}

/// Whether something of the content gets mode bits or an owner.
pub(crate) fn gives(info: &Info, no_preserve: &[Preserve]) -> bool {
    let gives = |access| mode(access, no_preserve).is_some() || owner(access, no_preserve).is_some();
    info.access.iter().any(gives)
}

/// The owner that something gets, if it gets one.
pub(crate) fn owner(access: &Access, no_preserve: &[Preserve]) -> Option<Owner> {
    access.owner.filter(|_| !no_preserve.contains(&Preserve::Ownership) && is_privileged())
}

/// The mode bits that something gets, if it gets any.
fn mode(access: &Access, no_preserve: &[Preserve]) -> Option<u32> {
    let mode = access.mode.filter(|_| !no_preserve.contains(&Preserve::Mode))?;
    Some(if is_privileged() { mode } else { mode | least(access) })
}

/// What the owner of something may do at least, unless it is root's to give: who cannot read what is its own could never
/// tell whether it is as it should be. An owner can take such a right at any time.
fn least(access: &Access) -> u32 {
    if access.is_directory { 0o500 } else { 0o400 }
}

/// Whether these mode bits are those that something was pushed with, whoever has pulled it.
pub(crate) fn is_mode(access: &Access, found: u32, pushed: u32) -> bool {
    // A pull that was cut right after the rename leaves the directory itself open to its owner.
    let is_root = access.is_directory && access.path.is_none();
    found == pushed || found == pushed | least(access) || is_root && found == pushed | OPEN
}

/// What is left to do when the content has been renamed: the mode bits of its directory, when they are fewer than a rename
/// needs.
pub(crate) fn last_mode(info: &Info, no_preserve: &[Preserve]) -> Option<u32> {
    let root = info.access.first().filter(|access| access.is_directory && access.path.is_none())?;
    mode(root, no_preserve).filter(|mode| mode & OPEN != OPEN && !is_privileged())
}

/// Where something of the content at `root` is.
pub(crate) fn place(access: &Access, root: &Path) -> PathBuf {
    access.path.as_ref().map_or_else(|| root.to_path_buf(), |path| path.below(root))
}

/// Gives mode bits and owners to all of the content at `root`, where nobody else can get in the way. The directory of the
/// content stays open to its owner until it has been renamed, where that is needed: [`last_mode`] is for then. An error
/// names its path.
pub(crate) fn restore(info: &Info, root: &Path, no_preserve: &[Preserve]) -> Result<(), (PathBuf, io::Error)> {
    let open = last_mode(info, no_preserve).map_or(0, |_| OPEN);
    // What is inside comes before its directory, which may be closed to everybody.
    for access in info.access.iter().rev() {
        let path = place(access, root);
        if let Some(mode) = mode(access, no_preserve) {
            let mode = if access.path.is_none() { mode | open } else { mode };
            let set = fs::set_permissions(&path, Permissions::from_mode(mode));
            set.map_err(|error| (path.clone(), hint(&error, &format!("mode {mode:03o}"), "mode")))?;
        }
        if let Some(owner @ Owner { uid, gid }) = owner(access, no_preserve) {
            let given = lchown(&path, Some(uid), Some(gid));
            given.map_err(|error| (path, hint(&error, &format!("owner {owner}"), "ownership")))?;
        }
    }
    Ok(())
}

fn hint(error: &io::Error, what: &str, preserved: &str) -> io::Error {
    io::Error::new(error.kind(), format!("it cannot have {what}: {error}; --no-preserve {preserved} does without"))
}
