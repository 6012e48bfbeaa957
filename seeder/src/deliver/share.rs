//! Putting a file in its place without writing its bytes: a reflink or a hard link.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use rustix::{fs::ioctl_ficlone, io::Errno};

use super::Delivery;

/// Lets `target`, which is empty, have the bytes of `source` until either is written to.
pub(super) fn reflink(source: &File, target: &File) -> io::Result<()> {
    Ok(ioctl_ficlone(target, source)?)
}

/// Makes `target` another name of `source`, and takes from everybody the right to write to it.
pub(super) fn hard_link(source: &Path, target: &Path, executable: bool) -> io::Result<()> {
    fs::hard_link(source, target)?;
    set_mode(target, !0o222, executable)
}

/// Lets everybody execute who may read, or nobody.
pub(super) fn set_executable(path: &Path, executable: bool) -> io::Result<()> {
    set_mode(path, !0, executable)
}

fn set_mode(path: &Path, mask: u32, executable: bool) -> io::Result<()> {
    let found = fs::metadata(path)?.mode() & 0o777;
    let bits = if executable { (found & 0o444) >> 2 } else { 0 };
    let mode = (found & mask & !0o111) | bits;
    // Its owner may change a mode, and everybody may leave it as it is.
    if mode == found { Ok(()) } else { fs::set_permissions(path, fs::Permissions::from_mode(mode)) }
}

/// Why a file could not be shared, and what can be done.
pub(super) fn reason(delivery: Delivery, error: &io::Error) -> String {
    let what = match (Errno::from_io_error(error), delivery) {
        (Some(Errno::XDEV), _) => "they are on different file systems: deliver to the one of the agent's data_dir",
        (Some(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOTTY | Errno::NOSYS), Delivery::Reflink) => {
            "this file system has no reflinks, as XFS and btrfs have"
        }
        (Some(Errno::PERM | Errno::ACCESS), Delivery::HardLink) => {
            "the file is another user's, and fs.protected_hardlinks and its mode let its owner alone link it and make it \
             read-only: pull as the user of the agent"
        }
        (Some(Errno::OPNOTSUPP | Errno::NOSYS), Delivery::HardLink) => "this file system has no hard links",
        (Some(Errno::MLINK), _) => "it has as many hard links as the file system allows",
        _ => return format!("{error}; --delivery=copy needs nothing of the kind"),
    };
    format!("{what}, or use --delivery=copy ({error})")
}
