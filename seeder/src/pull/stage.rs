//! Where a pull without an agent keeps what has come in.

use std::{fs, path::Path};

use nova_protocol::InfoHash;

use super::PullError;
use crate::{deliver::DeliverError, fetch::FetchError, scratch::Scratch};

/// A directory `.nova-INFO_HASH` beside the destination; removed when the pull ends, unless it is to be gone on with.
pub(super) struct Stage {
    scratch: Scratch,
    pub is_kept: bool,
}

impl Stage {
    pub fn new(directory: &Path, info_hash: InfoHash) -> Result<Self, PullError> {
        let path = directory.join(format!(".nova-{info_hash}"));
        let taken = fs::create_dir_all(directory).and_then(|()| Scratch::take(&path));
        let taken = taken.map_err(|source| PullError::Stage { path, source })?;
        let scratch = taken.ok_or_else(|| PullError::Busy(directory.to_path_buf()))?;
        Ok(Self { scratch, is_kept: false })
    }

    /// Where it is, whatever has its name.
    pub fn root(&self) -> &Path {
        self.scratch.root()
    }

    /// What went wrong in it, with the names that people know.
    pub fn named(&self, error: PullError) -> PullError {
        match error {
            PullError::Fetch(FetchError::Reserve(_) | FetchError::Failed(_))
            | PullError::Deliver(DeliverError::Read { .. } | DeliverError::Length { .. }) => {
                FetchError::Failed(self.scratch.named(&error.to_string())).into()
            }
            other => other,
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = fs::remove_dir_all(self.scratch.path())
        {
            tracing::warn!(path = %self.scratch.path().display(), %error, "cannot remove");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gone_with_the_pull_unless_it_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("a/out");
        let stage = || Stage::new(&out, InfoHash::of(b""));
        let mut first = stage().unwrap();
        assert!(matches!(stage(), Err(PullError::Busy(directory)) if directory == out));
        first.is_kept = true;
        drop(first);
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
        drop(stage().unwrap());
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    }
}
