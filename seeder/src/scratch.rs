//! A directory for what is on its way, which this process has for itself.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use crate::{claim::claim_itself, restore::remove_tree};

/// Bits by which others could have put something into a directory.
const WRITABLE: u32 = 0o022;

/// A directory that is closed to others.
///
/// It may be in a directory of somebody else, who can rename it and put a symlink or another directory in its place. What
/// is done below [`Scratch::root`] is done in the directory that was taken, all the same.
pub(crate) struct Scratch {
    path: PathBuf,
    root: PathBuf,
    handle: File,
}

impl Scratch {
    /// Takes a directory that is there, or makes one; none if another process has it. What others could have put into it
    /// is removed.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        // Recursive does not mind when there is one.
        DirBuilder::new().mode(0o700).recursive(true).create(path)?;
        let Some(handle) = claim_itself(path)? else { return Ok(None) };
        let open = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
        // Without a /proc there is the name alone.
        let root = if open.exists() { open } else { path.to_path_buf() };
        let found = handle.metadata()?;
        // Asked of the file system, since over NFS what root makes may be nobody's.
        if tempfile::tempfile_in(&root)?.metadata()?.uid() != found.uid() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is another user's: remove it"));
        }
        // A file system without mode bits refuses, and has nothing that could be closed.
        let _ = handle.set_permissions(Permissions::from_mode(0o700));
        if found.mode() & WRITABLE != 0 {
            empty(&root)?;
        }
        Ok(Some(Self { path: path.to_path_buf(), root, handle }))
    }

    /// The name by which it was taken.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the directory is, whatever has its name.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory itself, open since before anything was written to it.
    pub fn handle(&self) -> &File {
        &self.handle
    }

    /// A message about something in it, with the name that people know.
    pub fn named(&self, message: &str) -> String {
        message.replace(&*self.root.to_string_lossy(), &self.path.to_string_lossy())
    }
}

fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { remove_tree(&entry.path()) } else { fs::remove_file(entry.path()) }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;
    use crate::content::fixture::{make_fifo, set_mode, write};

    /// A directory with a directory `scratch` that has a file in it.
    fn setup() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), &[("scratch/file", b"x"), ("victim/file", b"victim")]);
        let path = home.path().join("scratch");
        (home, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn it_is_closed_whether_it_was_there_or_not_and_one_process_has_it() {
        let (home, path) = setup();
        for path in [path.clone(), home.path().join("new")] {
            let taken = Scratch::take(&path).unwrap().unwrap();
            assert_eq!(mode(&path), 0o700);
            assert!(Scratch::take(&path).unwrap().is_none());
            drop(taken);
            assert!(Scratch::take(&path).unwrap().is_some());
        }
        assert_eq!(fs::read(path.join("file")).unwrap(), b"x", "what an earlier process left is gone on with");
    }

    #[test]
    fn it_is_the_directory_that_was_taken_whatever_has_its_name() {
        let (home, path) = setup();
        let taken = Scratch::take(&path).unwrap().unwrap();
        fs::rename(&path, home.path().join("moved")).unwrap();
        symlink("victim", &path).unwrap();
        fs::write(taken.root().join("file"), "new").unwrap();
        let read = |path: &str| fs::read(home.path().join(path)).unwrap();
        assert_eq!((read("moved/file"), read("victim/file")), (b"new".to_vec(), b"victim".to_vec()));
        let inside = taken.root().join("file");
        assert_eq!(taken.named(&inside.display().to_string()), path.join("file").display().to_string());
    }

    #[test]
    fn what_somebody_else_has_put_there_is_not_used() {
        let (home, path) = setup();
        chown(&path, Some(12_345), None).unwrap();
        let error = Scratch::take(&path).err().unwrap().to_string();
        assert!(error.contains("another user's"), "{error}");
        let (link, fifo) = (home.path().join("link"), home.path().join("fifo"));
        symlink("victim", &link).unwrap();
        make_fifo(&fifo);
        for path in [link, fifo] {
            assert!(Scratch::take(&path).is_err(), "{}", path.display());
        }
        assert_eq!(
            (mode(&home.path().join("victim")), fs::read(home.path().join("victim/file")).unwrap().len()),
            (0o755, 6)
        );
    }

    #[test]
    fn what_others_could_have_put_into_it_is_gone() {
        let (home, path) = setup();
        symlink("../victim", path.join("link")).unwrap();
        fs::create_dir(path.join("directory")).unwrap();
        set_mode(&path, 0o777);
        let taken = Scratch::take(&path).unwrap().unwrap();
        assert_eq!((fs::read_dir(taken.root()).unwrap().count(), mode(&path)), (0, 0o700));
        assert!(home.path().join("victim/file").exists());
    }
}
