//! Where librqbit's pieces go: the same files that it would write itself, with exact writes and a head start on the
//! disk.
//!
//! librqbit 9.1.0 takes a write that a full disk cut short for a whole one, and leaves everything that it wrote to the
//! page cache. A pull that makes its content durable then waits for the disk after the network, instead of beside it:
//! 1.3 s of 7 s for a GiB. Here a file is synced in the background each time that [`BEHIND`] more of it were written.

use std::{
    any::TypeId,
    fs::File,
    io::{self, IoSlice},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use anyhow::Context as _;
use librqbit::{
    ManagedTorrentShared, TorrentMetadata,
    storage::{
        BoxStorageFactory, StorageFactory, StorageFactoryExt as _, TorrentStorage, filesystem::FilesystemStorageFactory,
    },
};

use super::stall::Writing;
use crate::content::open_or_make;

/// Bytes of a file that may be written before the disk is told to begin.
const BEHIND: u64 = 32 << 20;

/// Makes a [`Disk`] for each torrent in its output folder.
#[derive(Clone)]
pub(super) struct Disks {
    pub folder: PathBuf,
    /// Told when the disk is at work.
    pub writing: Arc<Writing>,
}

/// The files of a torrent, in the order of its info dictionary. There are none of them before `init`, after `take`, and
/// none for padding at any time.
#[derive(Default)]
pub(super) struct Disk {
    folder: PathBuf,
    writing: Arc<Writing>,
    files: RwLock<Vec<Option<Stored>>>,
}

struct Stored {
    file: Arc<File>,
    behind: Arc<Behind>,
}

/// How far the disk is behind what was written to a file.
#[derive(Default)]
struct Behind {
    bytes: AtomicU64,
    is_syncing: AtomicBool,
}

impl StorageFactory for Disks {
    type Storage = Disk;

    fn create(&self, _: &ManagedTorrentShared, _: &TorrentMetadata) -> anyhow::Result<Disk> {
        Ok(Disk { folder: self.folder.clone(), writing: self.writing.clone(), files: RwLock::default() })
    }

    /// librqbit keeps notes of pieces only for files of its own, which these are to anybody who looks.
    fn is_type_id(&self, kind: TypeId) -> bool {
        [TypeId::of::<FilesystemStorageFactory>(), TypeId::of::<Self>()].contains(&kind)
    }

    fn clone_box(&self) -> BoxStorageFactory {
        self.clone().boxed()
    }
}

impl Disk {
    fn files(&self) -> RwLockReadGuard<'_, Vec<Option<Stored>>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, file: usize, work: impl FnOnce(&Stored) -> io::Result<T>) -> anyhow::Result<T> {
        let files = self.files();
        let stored = files.get(file).and_then(Option::as_ref).context("the torrent is not at work")?;
        Ok(work(stored)?)
    }
}

impl TorrentStorage for Disk {
    fn init(&mut self, _: &ManagedTorrentShared, metadata: &TorrentMetadata) -> anyhow::Result<()> {
        let opened = metadata.file_infos.iter().map(|info| {
            let path = self.folder.join(&info.relative_filename);
            let is_stored = !info.attrs.padding;
            let file = is_stored.then(|| open_or_make(&path)).transpose();
            let file = file.with_context(|| format!("cannot write {}", path.display()))?;
            Ok(file.map(|file| Stored { file: Arc::new(file), behind: Arc::default() }))
        });
        self.files = RwLock::new(opened.collect::<anyhow::Result<_>>()?);
        Ok(())
    }

    fn pread_exact(&self, file: usize, offset: u64, buf: &mut [u8]) -> anyhow::Result<()> {
        self.with(file, |stored| stored.file.read_exact_at(buf, offset))
    }

    fn pwrite_all(&self, file: usize, offset: u64, buf: &[u8]) -> anyhow::Result<()> {
        self.with(file, |stored| {
            self.writing.during(|| stored.file.write_all_at(buf, offset))?;
            stored.wrote(buf.len() as u64);
            Ok(())
        })
    }

    fn pwrite_all_vectored(&self, file: usize, offset: u64, bufs: [IoSlice<'_>; 2]) -> anyhow::Result<usize> {
        let length = bufs[0].len() + bufs[1].len();
        self.with(file, |stored| {
            let written = match self.writing.during(|| rustix::io::pwritev(&*stored.file, &bufs, offset)) {
                Ok(written) if written == length => written,
                // The rest is written piecemeal, which says why it could not be written at once.
                Ok(written) => write_rest(&stored.file, offset, &bufs, written)?,
                Err(error) => return Err(error.into()),
            };
            stored.wrote(written as u64);
            Ok(written)
        })
    }

    fn remove_file(&self, _: usize, _: &Path) -> anyhow::Result<()> {
        Ok(())
    }

    fn remove_directory_if_empty(&self, _: &Path) -> anyhow::Result<()> {
        Ok(())
    }

    fn ensure_file_length(&self, file: usize, length: u64) -> anyhow::Result<()> {
        // Setting the same length again would count as a write.
        self.with(file, |stored| match stored.file.metadata()?.len() {
            found if found == length => Ok(()),
            _ => stored.file.set_len(length),
        })
    }

    fn take(&self) -> anyhow::Result<Box<dyn TorrentStorage>> {
        let taken = std::mem::take(&mut *self.files.write().unwrap_or_else(PoisonError::into_inner));
        let (folder, writing) = (self.folder.clone(), self.writing.clone());
        Ok(Box::new(Self { folder, writing, files: RwLock::new(taken) }))
    }
}

impl Stored {
    /// Has the disk begin with what was written, unless it is at it still.
    fn wrote(&self, bytes: u64) {
        if self.behind.bytes.fetch_add(bytes, Relaxed) + bytes < BEHIND || self.behind.is_syncing.swap(true, Relaxed) {
            return;
        }
        self.behind.bytes.store(0, Relaxed);
        let (file, behind) = (self.file.clone(), self.behind.clone());
        tokio::task::spawn_blocking(move || {
            // A disk that fails says so again to whoever makes the content durable.
            if let Err(error) = file.sync_data() {
                tracing::warn!(%error, "cannot sync");
            }
            behind.is_syncing.store(false, Relaxed);
        });
    }
}

/// Writes what is left of `bufs` after `written` bytes, and says how many they are in all.
fn write_rest(file: &File, offset: u64, bufs: &[IoSlice<'_>; 2], written: usize) -> io::Result<usize> {
    let mut start = 0;
    for buf in bufs {
        let from = written.saturating_sub(start).min(buf.len());
        file.write_all_at(&buf[from..], offset + (start + from) as u64)?;
        start += buf.len();
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn disk(folder: &Path) -> Disk {
        let file = File::options().create(true).truncate(true).read(true).write(true).open(folder.join("a")).unwrap();
        let stored = Stored { file: Arc::new(file), behind: Arc::default() };
        Disk { folder: folder.to_path_buf(), writing: Arc::default(), files: RwLock::new(vec![Some(stored), None]) }
    }

    #[test]
    fn what_is_written_in_two_parts_is_read_in_one() {
        let home = tempfile::tempdir().unwrap();
        let disk = disk(home.path());
        let written = disk.pwrite_all_vectored(0, 3, [IoSlice::new(b"one"), IoSlice::new(b"two")]);
        assert_eq!(written.unwrap(), 6);
        let mut read = [0; 6];
        disk.pread_exact(0, 3, &mut read).unwrap();
        assert_eq!(&read, b"onetwo");
    }

    #[test]
    fn the_rest_of_a_short_write_goes_where_it_belongs() {
        for written in 0..=6 {
            let home = tempfile::tempdir().unwrap();
            let disk = disk(home.path());
            let bufs = [IoSlice::new(b"one"), IoSlice::new(b"two")];
            let complete = disk.with(0, |stored| write_rest(&stored.file, 0, &bufs, written)).unwrap();
            let mut read = [b'.'; 6];
            disk.pread_exact(0, written as u64, &mut read[written..]).unwrap();
            assert_eq!((complete, &read[written..]), (6, &b"onetwo"[written..]));
        }
    }

    #[test]
    fn after_it_was_taken_nothing_can_be_written() {
        let home = tempfile::tempdir().unwrap();
        let disk = disk(home.path());
        let taken = disk.take().unwrap();
        assert!(disk.pwrite_all(0, 0, b"late").is_err());
        taken.pwrite_all(0, 0, b"kept").unwrap();
        assert_eq!(fs::read(home.path().join("a")).unwrap(), b"kept");
    }

    #[tokio::test]
    async fn the_disk_is_told_to_begin_once_for_each_measure() {
        let home = tempfile::tempdir().unwrap();
        let disk = disk(home.path());
        let written = |bytes| {
            disk.with(0, |stored| {
                stored.wrote(bytes);
                Ok((stored.behind.is_syncing.load(Relaxed), stored.behind.bytes.load(Relaxed)))
            })
        };
        assert_eq!(written(BEHIND - 1).unwrap(), (false, BEHIND - 1));
        assert_eq!(written(1).unwrap(), (true, 0));
    }
}
