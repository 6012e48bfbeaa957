//! Content on the disk of an origin or an agent, and a mark on what is complete.
//!
//! ```text
//! STORE/metainfo/INFO_HASH.torrent
//! STORE/content/INFO_HASH/NAME      the file, or the directory
//! STORE/complete/INFO_HASH          written after everything else is on the disk
//! ```

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    ops::Deref,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use nova_protocol::{InfoHash, Metainfo, MetainfoError, metainfo::Info};

use crate::{claim, content::Content};

const METAINFO: &str = "metainfo";
const CONTENT: &str = "content";
const COMPLETE: &str = "complete";

/// The coarsest steps in which Linux counts the time of a write (`CONFIG_HZ=100`).
const TICK: Duration = Duration::from_millis(10);

/// A directory of torrents.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A torrent in a [`Store`].
#[derive(Debug, Clone)]
pub struct Entry {
    store: Store,
    /// What it is.
    pub metainfo: Arc<Metainfo>,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system's fault.
    #[error("{}: {source}", path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Metainfo that was damaged since it was stored.
    #[error("{}: {source}", path.display())]
    Metainfo {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: MetainfoError,
    },
}

impl Store {
    /// The store in `root`, which is made if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(root: PathBuf) -> Result<Self, StoreError> {
        for part in [METAINFO, CONTENT, COMPLETE] {
            let folder = root.join(part);
            fs::create_dir_all(&folder).map_err(about(&folder))?;
        }
        Ok(Self { root })
    }

    /// Where the content of all torrents is: `INFO_HASH/NAME` below it.
    pub fn content_root(&self) -> PathBuf {
        self.root.join(CONTENT)
    }

    /// Bytes that can still be stored.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let found = rustix::fs::statvfs(&self.root).map_err(|error| about(&self.root)(error.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Every torrent that has a place in the store.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn list(&self) -> Result<Vec<InfoHash>, StoreError> {
        let mut listed = BTreeSet::new();
        for folder in [METAINFO, CONTENT, COMPLETE].map(|part| self.root.join(part)) {
            for found in fs::read_dir(&folder).map_err(about(&folder))? {
                let name = found.map_err(about(&folder))?.file_name();
                let name = name.to_str().map(|name| name.strip_suffix(".torrent").unwrap_or(name));
                listed.extend(name.and_then(|name| name.parse::<InfoHash>().ok()));
            }
        }
        Ok(listed.into_iter().collect())
    }

    /// Makes a place for a torrent, which is listed from now on.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn reserve(&self, info_hash: InfoHash) -> Result<(), StoreError> {
        let folder = self.content_root().join(info_hash.to_string());
        fs::create_dir_all(&folder).map_err(about(&folder))?;
        sync(&self.content_root())
    }

    /// Has a torrent to oneself for as long as the handle lives, or says that somebody reads its content, as `read` has it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn claim(&self, info_hash: InfoHash) -> Result<Option<File>, StoreError> {
        self.reserve(info_hash)?;
        let folder = self.content_root().join(info_hash.to_string());
        claim::claim(&folder).map_err(about(&folder))
    }

    /// The torrent with this info hash, if its metainfo is in the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, info_hash: InfoHash) -> Result<Option<Entry>, StoreError> {
        let path = self.metainfo_path(info_hash);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(about(&path)(error)),
        };
        let metainfo = Metainfo::parse(bytes).map_err(|source| StoreError::Metainfo { path, source })?;
        Ok(Some(Entry { store: self.clone(), metainfo: Arc::new(metainfo) }))
    }

    /// Puts a torrent in the store, without content. What is there already stays.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn insert(&self, metainfo: Arc<Metainfo>) -> Result<Entry, StoreError> {
        self.reserve(metainfo.info_hash())?;
        write_durably(&self.metainfo_path(metainfo.info_hash()), metainfo.as_bytes())?;
        Ok(Entry { store: self.clone(), metainfo })
    }

    /// Removes a torrent and its content, complete or not.
    ///
    /// # Errors
    /// [`StoreError::Io`], but not when it is not there.
    pub fn remove(&self, info_hash: InfoHash) -> Result<(), StoreError> {
        let (mark, metainfo) = (self.mark_path(info_hash), self.metainfo_path(info_hash));
        let content = self.content_root().join(info_hash.to_string());
        // The mark goes first: a removal that is cut short must not leave damaged content that counts as complete.
        let removed = [
            fs::remove_file(&mark).map_err(about(&mark)),
            fs::remove_file(&metainfo).map_err(about(&metainfo)),
            fs::remove_dir_all(&content).map_err(about(&content)),
        ];
        let is_fault = |error: &StoreError| !matches!(error, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound);
        removed.into_iter().filter_map(Result::err).find(is_fault).map_or(Ok(()), Err)
    }

    fn metainfo_path(&self, info_hash: InfoHash) -> PathBuf {
        self.root.join(METAINFO).join(format!("{info_hash}.torrent"))
    }

    fn mark_path(&self, info_hash: InfoHash) -> PathBuf {
        self.root.join(COMPLETE).join(info_hash.to_string())
    }
}

impl Entry {
    /// Where the content is, or will be: the file or directory that the torrent names.
    pub fn content_path(&self) -> PathBuf {
        self.folder().join(&self.metainfo.info.name)
    }

    /// Where a client that is told an output directory must put the content.
    pub fn output_folder(&self) -> PathBuf {
        if self.metainfo.info.is_single_file { self.folder() } else { self.content_path() }
    }

    /// Whether any content is there.
    pub fn has_content(&self) -> bool {
        self.content_path().exists()
    }

    /// The content, to be read.
    pub fn content(&self) -> Content<Arc<Info>> {
        Content::new(self.metainfo.info.clone(), &self.content_path())
    }

    /// Whether all of the content is there, verified, and on the disk. The mark alone is not believed: a file that was
    /// removed or cut since is noticed, though not one whose bytes were changed.
    pub fn is_complete(&self) -> bool {
        self.store.mark_path(self.metainfo.info_hash()).exists() && self.content().has_lengths()
    }

    /// Takes the mark back: the content could not be read.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn unmark(&self) -> Result<(), StoreError> {
        let mark = self.store.mark_path(self.metainfo.info_hash());
        fs::remove_file(&mark).map_err(about(&mark))
    }

    /// Marks the content as complete, once every byte of it is on the disk. The mark tells of a change of any file from
    /// here on. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the mark is not written then.
    pub fn mark_complete(&self) -> Result<(), StoreError> {
        let stamp = settled_stamp(&self.content()).map_err(about(&self.content_path()))?;
        sync_content(&self.metainfo.info, &self.content_path())?;
        sync(&self.folder())?;
        write_durably(&self.store.mark_path(self.metainfo.info_hash()), stamp.as_bytes())
    }

    fn folder(&self) -> PathBuf {
        self.store.content_root().join(self.metainfo.info_hash().to_string())
    }
}

/// Keeps the content at a path in some store from being removed for as long as the handle lives; `None` when it is being
/// removed.
///
/// # Errors
/// When there is no such content, or it may not be read.
pub(crate) fn read(content_path: &Path) -> io::Result<Option<File>> {
    claim::share(content_path.parent().ok_or(io::ErrorKind::NotFound)?)
}

/// Whether the content at a path in some store was marked complete, and nobody has written to a file of it since.
pub(crate) fn is_intact(metainfo: &Metainfo, content_path: &Path) -> bool {
    let mark = content_path.ancestors().nth(3).map(|root| root.join(COMPLETE).join(metainfo.info_hash().to_string()));
    let marked = mark.and_then(|mark| fs::read_to_string(mark).ok());
    marked.is_some_and(|marked| stamp(&Content::new(&*metainfo.info, content_path)).is_ok_and(|(now, _)| now == marked))
}

/// What changes when a file of the content is written to or replaced: a hash of lengths, times of the last write, and
/// inodes. And the latest of those times.
fn stamp<I: Deref<Target = Info>>(content: &Content<I>) -> io::Result<(String, SystemTime)> {
    let (mut known, mut latest) = (Vec::new(), SystemTime::UNIX_EPOCH);
    for (index, _) in content.info().files.iter().enumerate().filter(|(_, file)| file.kind.has_content()) {
        let found = fs::symlink_metadata(content.path_of(index))?;
        known.extend([found.len(), found.ino(), found.mtime().cast_unsigned(), found.mtime_nsec().cast_unsigned()]);
        latest = latest.max(found.modified()?);
    }
    let bytes: Vec<u8> = known.into_iter().flat_map(u64::to_le_bytes).collect();
    Ok((InfoHash::of(&bytes).to_string(), latest))
}

/// A stamp that every later write changes: one in the same tick as the last of ours would leave the same time.
fn settled_stamp<I: Deref<Target = Info>>(content: &Content<I>) -> io::Result<String> {
    let (stamp, latest) = stamp(content)?;
    if let Some(rest) = latest.elapsed().ok().and_then(|age| TICK.checked_sub(age)) {
        thread::sleep(rest);
    }
    Ok(stamp)
}

/// Makes every file of the content durable, and every directory that leads to one.
fn sync_content(info: &Info, root: &Path) -> Result<(), StoreError> {
    if info.is_single_file {
        return sync(root);
    }
    let mut folders = BTreeSet::from([root.to_path_buf()]);
    for file in info.files.iter().filter(|file| file.kind.has_content()) {
        let path = file.path.below(root);
        sync(&path)?;
        folders.extend(path.ancestors().skip(1).take_while(|folder| *folder != root).map(Path::to_path_buf));
    }
    folders.iter().try_for_each(|folder| sync(folder))
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(about(path))
}

/// Writes a file that is either there in full or not at all, whenever the power fails.
fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let partial = path.with_extension("partial");
    let written = File::create(&partial).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.and_then(|()| fs::rename(&partial, path)).map_err(about(path))?;
    path.parent().map_or(Ok(()), sync)
}

fn about(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_path_buf();
    |source| StoreError::Io { path, source }
}

#[cfg(test)]
mod tests;
