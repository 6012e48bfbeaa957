//! Space on the disk, taken before anything is fetched: that it is too small is better known before the network was
//! used for nothing, and no other download takes what this one was promised.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nova_protocol::metainfo::Info;
use rustix::{
    fs::{FallocateFlags, fallocate, statvfs},
    io::Errno,
};

use crate::content::open_or_make;

/// Files that cannot be made, or not as long as they will be.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// The disk is too small.
    #[error("no space left on device for {}: {needed} bytes needed, {free} free", folder.display())]
    NoSpace {
        /// Where the files shall be.
        folder: PathBuf,
        /// Bytes of the whole content.
        needed: u64,
        /// Bytes that were free before.
        free: u64,
    },
    /// A file cannot be made.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

/// Makes every file of the content in `folder` and takes the space that it will need. The lengths of the files stay, so
/// that what is not there yet is not taken for zeros.
///
/// A file system that cannot reserve is trusted to have the space.
///
/// # Errors
/// [`ReserveError`]; what was made stays, for the caller to remove.
pub(super) fn reserve(info: &Info, folder: &Path) -> Result<(), ReserveError> {
    let failed = |path: &Path, source| ReserveError::Io { path: path.to_path_buf(), source };
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let free = statvfs(folder).map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize));
    for file in info.stored_files() {
        let path = file.path.below(folder);
        match take(&path, file.length) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                return Err(ReserveError::NoSpace { folder: folder.to_path_buf(), needed: info.length, free });
            }
            taken => taken.map_err(|source| failed(&path, source))?,
        }
    }
    Ok(())
}

fn take(path: &Path, length: u64) -> io::Result<()> {
    let file = open_or_make(path)?;
    if length == 0 {
        return Ok(());
    }
    match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, length) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        taken => Ok(taken?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use nova_protocol::metainfo::FileKind;

    use super::*;
    use crate::content::fixture::{as_anybody, info};

    #[test]
    fn space_is_taken_and_lengths_stay() {
        let home = tempfile::tempdir().unwrap();
        let info = info(&[("a/big", 1 << 20, FileKind::Plain), ("empty", 0, FileKind::Plain)]);
        reserve(&info, home.path()).unwrap();
        let big = fs::metadata(home.path().join("a/big")).unwrap();
        assert_eq!(big.len(), 0);
        assert!(big.blocks() * 512 >= 1 << 20, "{} blocks", big.blocks());
        assert_eq!(fs::metadata(home.path().join("empty")).unwrap().len(), 0);
    }

    #[test]
    fn a_file_that_was_delivered_by_hard_link_is_no_fault_for_one_who_is_not_root() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a");
        fs::write(&file, "kept").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        let info = info(&[("a", 4, FileKind::Plain)]);
        as_anybody(|| {
            assert!(fs::File::options().write(true).open(&file).is_err());
            reserve(&info, home.path()).unwrap();
        });
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o444);
    }

    #[test]
    fn a_disk_that_is_too_small_is_found_out_and_bytes_that_are_there_stay() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("a"), "kept").unwrap();
        let info = info(&[("a", 4, FileKind::Plain), ("b", 1 << 60, FileKind::Plain)]);
        let refused = reserve(&info, home.path());
        assert!(matches!(refused, Err(ReserveError::NoSpace { .. } | ReserveError::Io { .. })), "{refused:?}");
        assert_eq!(fs::read_to_string(home.path().join("a")).unwrap(), "kept");
    }
}
