//! The directory of an origin or an agent: one process at a time, one name.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::claim::claim;

/// A directory that no other process uses while this lives.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _claim: File,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The file system's fault.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{} is in use by another process: give this one its own data_dir", .0.display())]
    Busy(PathBuf),
}

impl DataDir {
    /// Makes the directory if it is not there, and takes it.
    ///
    /// # Errors
    /// Every variant of [`DataDirError`].
    pub fn open(root: &Path) -> Result<Self, DataDirError> {
        fs::create_dir_all(root).map_err(about(root))?;
        let root = fs::canonicalize(root).map_err(about(root))?;
        match claim(&root).map_err(about(&root))? {
            Some(claim) => Ok(Self { root, _claim: claim }),
            None => Err(DataDirError::Busy(root)),
        }
    }

    /// A path inside, absolute.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The name of whoever uses the directory: made once, kept after that.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn id(&self, role: &str) -> Result<String, DataDirError> {
        if let Some(id) = self.read("id")?.map(|text| text.trim().to_owned()).filter(|id| !id.is_empty()) {
            return Ok(id);
        }
        let id = format!("{role}-{:08x}", rand::random::<u32>());
        self.write("id", &id)?;
        Ok(id)
    }

    /// A number that [`Self::note`] has kept; 0 before that.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn noted(&self, name: &str) -> Result<u64, DataDirError> {
        let text = self.read(name)?;
        Ok(text.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    }

    /// Keeps a number.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn note(&self, name: &str, number: u64) -> Result<(), DataDirError> {
        self.write(name, &number.to_string())
    }

    fn read(&self, name: &str) -> Result<Option<String>, DataDirError> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(about(&path)(error)),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<(), DataDirError> {
        let (path, partial) = (self.path(name), self.path(&format!("{name}.partial")));
        let written = File::create(&partial).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&partial, &path)).map_err(about(&path))
    }
}

fn about(path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_path_buf();
    |source| DataDirError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_turned_away_until_the_first_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let first = DataDir::open(home.path()).unwrap();
        assert!(matches!(DataDir::open(home.path()), Err(DataDirError::Busy(_))));
        drop(first);
        assert!(DataDir::open(home.path()).is_ok());
    }

    #[test]
    fn name_and_notes_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let dir = DataDir::open(home.path()).unwrap();
        let id = dir.id("origin").unwrap();
        assert_eq!(dir.noted("cursor").unwrap(), 0);
        dir.note("cursor", 7).unwrap();
        drop(dir);
        let dir = DataDir::open(home.path()).unwrap();
        assert_eq!((dir.id("origin").unwrap(), dir.noted("cursor").unwrap()), (id, 7));
    }
}
