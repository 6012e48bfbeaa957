//! Mode bits and owners as they were pushed, where a torrent has them.

mod closed;

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, fchown},
    path::{Path, PathBuf},
};

use nova_protocol::metainfo::{Access, Info, Owner};
use rustix::{
    fs::{AtFlags, Gid, Mode, Uid, chmodat, chownat},
    io::Errno,
    thread::{CapabilitySet, capabilities},
};

pub(crate) use self::closed::{remove_tree, rename};
use crate::{claim::is_own, create::Preserve};

/// Bits without which a directory cannot be renamed by its owner.
const OPEN: u32 = 0o700;

const UNSAFE: &str = "its mode bits and owners need a file system that has them, and a directory that nobody else exchanges; \
                      --no-preserve mode,ownership does without";

/// Whether this process may give files to others, as root may. Whoever may not pulls for itself.
pub fn may_give() -> bool {
    has(CapabilitySet::CHOWN)
}

fn has(capability: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|own| own.effective.contains(capability))
}

/// The owner that something gets, if it gets one.
pub(crate) fn owner(access: &Access, no_preserve: &[Preserve]) -> Option<Owner> {
    access.owner.filter(|_| !no_preserve.contains(&Preserve::Ownership) && may_give())
}

/// The mode bits that something gets. Who cannot read what is its own could never tell whether it is as it should be, so
/// that there it has one more right, which an owner can take at any time.
pub(crate) fn mode(access: &Access, no_preserve: &[Preserve]) -> Option<u32> {
    let mode = access.mode.filter(|_| !no_preserve.contains(&Preserve::Mode))?;
    let least = match access.is_directory {
        _ if has(CapabilitySet::DAC_OVERRIDE) => 0,
        true => 0o500,
        false => 0o400,
    };
    Some(mode | least)
}

/// What is left to do when the content has been renamed: the mode bits of its directory, when they are fewer than a rename
/// needs.
pub(crate) fn last_mode(info: &Info, no_preserve: &[Preserve]) -> Option<u32> {
    let root = info.access.first().filter(|access| access.is_directory && access.path.is_none())?;
    mode(root, no_preserve).filter(|mode| mode & OPEN != OPEN)
}

/// Where something of the content at `root` is.
pub(crate) fn place(access: &Access, root: &Path) -> PathBuf {
    access.path.as_ref().map_or_else(|| root.to_path_buf(), |path| path.below(root))
}

/// Gives a file in `directory`, which is made, to each owner that something of the content is to have: that it cannot be
/// done is better known before anything is fetched than at the end.
///
/// # Errors
/// The first of them to whom nothing can be given here, and why.
pub(crate) fn try_owners(info: &Info, directory: &Path, no_preserve: &[Preserve]) -> Result<(), (Owner, io::Error)> {
    let owners: HashSet<Owner> = info.access.iter().filter_map(|access| owner(access, no_preserve)).collect();
    let Some(&first) = owners.iter().next() else { return Ok(()) };
    let probe = fs::create_dir_all(directory).and_then(|()| tempfile::tempfile_in(directory));
    let probe = probe.map_err(|error| (first, error))?;
    for owner in owners {
        fchown(&probe, Some(owner.uid), Some(owner.gid)).map_err(|error| (owner, error))?;
    }
    Ok(())
}

/// Gives mode bits and owners to all of the content at `root`, a path below `stage`. The directory of the content stays
/// open to its owner until it has been renamed: [`last_mode`] is for then. An error names its path.
///
/// Nobody else gets in the way, whoever has the directory that `stage` is in: that may be renamed, but it is open here.
pub(crate) fn restore(
    info: &Info,
    stage: &File,
    root: &Path,
    no_preserve: &[Preserve],
) -> Result<(), (PathBuf, io::Error)> {
    let gets = |access| mode(access, no_preserve).is_some() || owner(access, no_preserve).is_some();
    if !info.access.iter().any(gets) {
        return Ok(());
    }
    let about = |error| (root.to_path_buf(), error);
    let is_open = stage.metadata().map_err(about)?.mode() & !OPEN & 0o777 != 0;
    if is_open || !is_own(stage).map_err(about)? {
        return Err(about(io::Error::new(io::ErrorKind::PermissionDenied, UNSAFE)));
    }
    // What is inside comes before its directory, which may be closed to everybody.
    for access in info.access.iter().rev() {
        let path = place(access, root);
        if let Some(mode) = mode(access, no_preserve) {
            let least = if access.is_directory && access.path.is_none() { OPEN } else { 0 };
            chmodat(stage, &path, Mode::from_raw_mode(mode | least), AtFlags::empty())
                .map_err(|error| (path.clone(), hint(error, &format!("mode {mode:03o}"), "mode")))?;
        }
        if let Some(owner @ Owner { uid, gid }) = owner(access, no_preserve) {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            chownat(stage, &path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| (path, hint(error, &format!("owner {owner}"), "ownership")))?;
        }
    }
    Ok(())
}

fn hint(error: Errno, what: &str, preserved: &str) -> io::Error {
    io::Error::new(error.kind(), format!("it cannot have {what}: {error}; --no-preserve {preserved} does without"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;
    use crate::{
        claim::claim,
        content::fixture::{preserved, set_mode, write},
    };

    /// A directory with a file that is to have mode 0666 and belong to 12345:0, as it is in the directory `stage`, and a
    /// directory `victim` with another of the same name.
    struct Setup {
        home: tempfile::TempDir,
        info: std::sync::Arc<Info>,
        stage: PathBuf,
    }

    impl Setup {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let (source, stage) = (home.path().join("new"), home.path().join("stage"));
            write(home.path(), &[("new/file", b"x"), ("stage/new/file", b"x"), ("victim/new/file", b"x")]);
            set_mode(&source.join("file"), 0o666);
            set_mode(&stage, 0o700);
            chown(source.join("file"), Some(12_345), Some(0)).unwrap();
            Self { info: preserved(&source).metainfo.info, stage, home }
        }

        fn rights(&self, directory: &str) -> (u32, u32) {
            let found = fs::metadata(self.home.path().join(directory).join("new/file")).unwrap();
            (found.mode() & 0o777, found.uid())
        }
    }

    #[test]
    fn it_is_the_directory_that_was_opened_whatever_has_its_name_now() {
        let setup = Setup::new();
        let handle = claim(&setup.stage).unwrap().unwrap();
        fs::rename(&setup.stage, setup.home.path().join("moved")).unwrap();
        symlink("victim", &setup.stage).unwrap();
        restore(&setup.info, &handle, Path::new("new"), &[]).unwrap();
        assert_eq!((setup.rights("moved"), setup.rights("victim")), ((0o666, 12_345), (0o644, 0)));
    }

    #[test]
    fn nothing_is_given_in_a_directory_that_others_get_into() {
        let setup = Setup::new();
        let refused = || {
            let handle = claim(&setup.stage).unwrap().unwrap();
            let (path, error) = restore(&setup.info, &handle, Path::new("new"), &[]).unwrap_err();
            assert!(path == Path::new("new") && error.to_string().contains("nobody else"), "{error}");
            assert_eq!(setup.rights("stage"), (0o644, 0));
        };
        set_mode(&setup.stage, 0o711);
        refused();
        let handle = claim(&setup.stage).unwrap().unwrap();
        restore(&setup.info, &handle, Path::new("new"), &[Preserve::Mode, Preserve::Ownership]).unwrap();
        drop(handle);
        set_mode(&setup.stage, 0o700);
        chown(&setup.stage, Some(12_345), None).unwrap();
        refused();
    }
}
