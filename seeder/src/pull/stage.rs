//! Where a pull without an agent keeps what has come in: `.nova-INFO_HASH` beside its place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nova_protocol::InfoHash;

use super::PullError;
use crate::{deliver::DeliverError, fetch::FetchError, scratch::Scratch};

/// Takes what an earlier pull has left to go on with, or makes one.
pub(super) fn stage(directory: &Path, info_hash: InfoHash) -> Result<Scratch, PullError> {
    let path = path(directory, info_hash);
    let taken = fs::create_dir_all(directory).and_then(|()| Scratch::take(&path));
    let tidied = taken.and_then(|taken| {
        let Some(scratch) = taken else { return Ok(None) };
        // What cannot be tidied now may be gone on with later.
        scratch.keep(true);
        scratch.tidy()?;
        scratch.keep(false);
        Ok(Some(scratch))
    });
    let tidied = tidied.map_err(|source| PullError::Stage { path, source })?;
    tidied.ok_or_else(|| PullError::Busy(directory.to_path_buf()))
}

/// Removes what a pull has left that nobody will go on with: its content has its name already, or another version shall.
pub(crate) fn sweep(directory: &Path, info_hash: InfoHash) {
    let path = path(directory, info_hash);
    if path.exists() {
        drop(Scratch::take(&path));
    }
}

fn path(directory: &Path, info_hash: InfoHash) -> PathBuf {
    directory.join(format!(".nova-{info_hash}"))
}

/// What went wrong in a stage, with the names that people know.
pub(super) fn named(stage: &Scratch, error: PullError) -> PullError {
    match error {
        PullError::Fetch(FetchError::Reserve(_) | FetchError::Failed(_))
        | PullError::Deliver(DeliverError::Read { .. } | DeliverError::Length { .. }) => {
            FetchError::Failed(stage.named(&error.to_string())).into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pull_has_it_and_what_it_leaves_is_gone_on_with_or_swept() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("a/out");
        let info_hash = InfoHash::of(b"");
        let first = stage(&out, info_hash).unwrap();
        assert!(matches!(stage(&out, info_hash), Err(PullError::Busy(directory)) if directory == out));
        for directory in ["new", "ready"] {
            fs::create_dir(first.root().join(directory)).unwrap();
            fs::write(first.root().join(directory).join("piece"), "x").unwrap();
        }
        first.keep(true);
        drop(first);
        let second = stage(&out, info_hash).unwrap();
        assert!(second.content("piece").exists() && !second.ready().exists());
        second.keep(true);
        sweep(&out, info_hash);
        assert!(path(&out, info_hash).exists(), "another pull has it");
        drop(second);
        sweep(&out, info_hash);
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    }
}
