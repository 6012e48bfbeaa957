//! Renaming that replaces nothing, or exchanges, where the file system can.

use std::{fs, io, path::Path};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

/// Gives two things each other's name.
///
/// # Errors
/// One of which [`cannot`] says so, when the file system has no such way.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// Renames something unless the new name is taken; whether it was not.
pub(crate) fn rename_new(from: &Path, path: &Path) -> io::Result<bool> {
    match renameat_with(CWD, from, CWD, path, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        Err(error) if cannot(&error) && fs::symlink_metadata(path).is_err() => fs::rename(from, path).map(|()| true),
        Err(error) if cannot(&error) => Ok(false),
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::EXIST | Errno::NOTEMPTY)) => Ok(false),
        renamed => renamed.map(|()| true),
    }
}

/// Whether a file system says that it has no such way to rename.
pub(crate) fn cannot(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP))
}
