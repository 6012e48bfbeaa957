//! Where a pull without an agent keeps what has come in.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use nova_protocol::InfoHash;

use super::PullError;
use crate::claim::{claim, is_own};

/// A directory `.nova-INFO_HASH` beside the destination, closed to others; removed when the pull ends, unless it is to be
/// gone on with.
pub(super) struct Stage {
    pub path: PathBuf,
    pub is_kept: bool,
    _claim: File,
}

impl Stage {
    pub fn new(directory: &Path, info_hash: InfoHash) -> Result<Self, PullError> {
        let path = directory.join(format!(".nova-{info_hash}"));
        let claimed = make(directory, &path).map_err(|source| PullError::Stage { path: path.clone(), source })?;
        let claim = claimed.ok_or_else(|| PullError::Busy(directory.to_path_buf()))?;
        Ok(Self { path, is_kept: false, _claim: claim })
    }
}

fn make(directory: &Path, path: &Path) -> io::Result<Option<File>> {
    fs::create_dir_all(directory)?;
    // An earlier pull may have left it, which `recursive` does not mind.
    DirBuilder::new().mode(0o700).recursive(true).create(path)?;
    match claim(path)? {
        Some(claim) if !is_own(&claim)? => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is another user's: remove it"))
        }
        claim => Ok(claim),
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, chown};

    use super::*;

    fn stage(directory: &Path) -> Result<Stage, PullError> {
        Stage::new(directory, InfoHash::of(b""))
    }

    #[test]
    fn it_is_closed_to_others_and_one_pull_has_it() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("a/out");
        let mut first = stage(&out).unwrap();
        assert_eq!(fs::metadata(&first.path).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(stage(&out), Err(PullError::Busy(directory)) if directory == out));
        first.is_kept = true;
        drop(first);
        drop(stage(&out).unwrap());
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    }

    #[test]
    fn one_that_somebody_else_has_put_there_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(format!(".nova-{}", InfoHash::of(b"")));
        fs::create_dir(&path).unwrap();
        chown(&path, Some(12_345), None).unwrap();
        let error = stage(home.path()).err().unwrap().to_string();
        assert!(error.contains("another user's"), "{error}");
        assert!(path.is_dir());
    }
}
