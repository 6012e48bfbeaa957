//! Files that a delivery by hard link has made read-only, open to the agent's session all the same.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};

use nova_protocol::metainfo::FileKind;

use crate::store::Entry;

/// Files that may be written to for as long as this lives: librqbit opens all of them for writing, and keeps what it
/// has opened. Without it, an agent that is not root could not go on with them after a restart.
pub(super) struct Unsealed(Vec<(PathBuf, u32)>);

impl Unsealed {
    /// Lets the agent open what is there of a torrent.
    pub fn new(entry: &Entry) -> Self {
        let content = entry.content();
        let files = entry.metainfo.info.files.iter().enumerate();
        let files = files.filter(|(_, file)| matches!(file.kind, FileKind::Plain | FileKind::Executable));
        let sealed = files.filter_map(|(index, _)| {
            let path = content.path_of(index);
            let found = fs::symlink_metadata(&path).ok()?;
            let mode = found.mode() & 0o777;
            let is_sealed = found.is_file() && mode & 0o200 == 0;
            (is_sealed && fs::set_permissions(&path, Permissions::from_mode(mode | 0o200)).is_ok())
                .then_some((path, mode))
        });
        Self(sealed.collect())
    }
}

impl Drop for Unsealed {
    fn drop(&mut self) {
        for (path, mode) in &self.0 {
            if let Err(error) = fs::set_permissions(path, Permissions::from_mode(*mode)) {
                tracing::warn!(path = %path.display(), %error, "cannot be made read-only again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::tempdir;

    use super::*;
    use crate::{
        content::fixture::{created, set_mode, write_mixed},
        store::Store,
    };

    #[test]
    fn read_only_files_are_open_to_the_agent_and_closed_again() {
        let home = tempdir().unwrap();
        let tree = write_mixed(home.path());
        let metainfo = created(&tree).metainfo;
        let entry = Store::open(home.path().join("store")).unwrap().insert(Arc::new(metainfo)).unwrap();
        fs::rename(&tree, entry.content_path()).unwrap();
        let mode = |path: &str| fs::metadata(entry.content_path().join(path)).unwrap().mode() & 0o777;
        for (path, sealed) in [("b", 0o444), ("bin/run", 0o555), ("a/long", 0o644)] {
            set_mode(&entry.content_path().join(path), sealed);
        }
        let unsealed = Unsealed::new(&entry);
        assert_eq!([mode("b"), mode("bin/run"), mode("a/long")], [0o644, 0o755, 0o644]);
        drop(unsealed);
        assert_eq!([mode("b"), mode("bin/run"), mode("a/long")], [0o444, 0o555, 0o644]);
    }
}
