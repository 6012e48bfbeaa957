//! Copying content in one pass: each part is read once, hashed and written while it is in the cache of a core.

use std::{
    fs::{File, OpenOptions},
    io,
    ops::ControlFlow,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use nova_protocol::metainfo::{FileKind, Info};
use tokio_util::sync::CancellationToken;

use crate::content::{
    self, Cancelled, Content, OpenFiles, ReadError,
    hash::{each_piece, tap_pieces},
};

/// Bytes that may be written before the disk is made to begin with them. Without it a file system keeps gigabytes in
/// memory, and all of it is waited for at the end.
const WRITEBACK: u64 = 32 << 20;

/// Bytes that the system is asked to copy at once.
const STEP: u64 = 16 << 20;

/// Why a copy is none.
pub(super) enum CopyError {
    Cancelled,
    Read(ReadError),
    /// The file by its index.
    Write(usize, io::Error),
    /// So many pieces do not verify.
    Damaged(usize),
}

/// Files that are being written, each as long as it will be from the start.
struct Writer<'a> {
    content: &'a Content<&'a Info>,
    target: Content<&'a Info>,
    open: OpenFiles,
    written: AtomicU64,
    begin_writeback: SyncSender<(usize, Arc<File>)>,
    failed: &'a Mutex<Option<CopyError>>,
}

/// Copies all bytes of `content` into the files at `root`, which must be there, on all cores. Takes one chunk of memory
/// for each thread. What was written is what was verified; zeros are left out, since a hole reads the same.
pub(super) fn copy(
    content: &Content<&Info>,
    root: &Path,
    is_durable: bool,
    progress: impl Fn(u64, u64) + Sync,
    cancel: &CancellationToken,
) -> Result<(), CopyError> {
    let info = content.info();
    let damaged = AtomicUsize::new(0);
    while_written_back(is_durable, |begin_writeback, failed| {
        let (target, open, written) = (Content::new(info, root), OpenFiles::default(), AtomicU64::new(0));
        let writer = Writer { content, target, open, written, begin_writeback, failed };
        let write = |offset, bytes: &[u8]| writer.write(offset, bytes);
        tap_pieces(content, None, write, progress, cancel, |index, hash| match hash {
            Ok(hash) => {
                damaged.fetch_add(usize::from(info.piece_hash(index) != Some(&hash)), Relaxed);
                ControlFlow::Continue(())
            }
            Err(error) => fail(failed, CopyError::Read(error)),
        })
    })?;
    match damaged.into_inner() {
        0 => Ok(()),
        pieces => Err(CopyError::Damaged(pieces)),
    }
}

/// The same without a look at the bytes, which the system copies by itself.
pub(super) fn copy_intact(
    content: &Content<&Info>,
    root: &Path,
    is_durable: bool,
    progress: impl Fn(u64, u64) + Sync,
    cancel: &CancellationToken,
) -> Result<(), CopyError> {
    let info = content.info();
    let steps = u32::try_from(info.length.div_ceil(STEP)).expect("lengths are bounded by those of pieces");
    let (target, copied) = (Content::writable(info, root), AtomicU64::new(0));
    while_written_back(is_durable, |begin_writeback, failed| {
        each_piece(steps, None, cancel, |step, _| {
            let start = u64::from(step) * STEP;
            let length = STEP.min(info.length - start);
            let last = info.files_in(start..start + length).last().expect("bytes are in files");
            if let Err(error) = content::copy::copy((content, start), (&target, start), length) {
                return fail(failed, CopyError::Write(last, error));
            }
            if info.files[last].kind != FileKind::Padding
                && let Ok(file) = target.file(last)
            {
                let _busy_with_another = begin_writeback.try_send((last, file));
            }
            progress(copied.fetch_add(length, Relaxed) + length, info.length);
            ControlFlow::Continue(())
        })
    })
}

/// Does some work that writes, while the disk begins with what it is told of. The work owns its end of the channel, which
/// ends with it. What need not be durable is left to the system.
fn while_written_back(
    is_durable: bool,
    work: impl FnOnce(SyncSender<(usize, Arc<File>)>, &Mutex<Option<CopyError>>) -> Result<(), Cancelled>,
) -> Result<(), CopyError> {
    let failed = Mutex::new(None);
    let (begin_writeback, due) = sync_channel(1);
    let ended = thread::scope(|scope| {
        if is_durable {
            scope.spawn(|| write_back(due, &failed));
        } else {
            drop(due);
        }
        work(begin_writeback, &failed)
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => ended.map_err(|Cancelled| CopyError::Cancelled),
    }
}

impl Writer<'_> {
    fn write(&self, mut offset: u64, mut bytes: &[u8]) -> ControlFlow<()> {
        for index in self.content.info().files_in(offset..offset + bytes.len() as u64) {
            let file = &self.content.info().files[index];
            let inside = offset - file.offset;
            let count = usize::try_from(file.length - inside).map_or(bytes.len(), |rest| rest.min(bytes.len()));
            let (part, rest) = bytes.split_at(count);
            let is_hole = file.kind == FileKind::Padding || part.iter().all(|&byte| byte == 0);
            if !is_hole && let Err(error) = self.write_file(index, part, inside) {
                return fail(self.failed, CopyError::Write(index, error));
            }
            offset += count as u64;
            bytes = rest;
        }
        ControlFlow::Continue(())
    }

    fn write_file(&self, index: usize, part: &[u8], inside: u64) -> io::Result<()> {
        let file = self.open.get(index, || OpenOptions::new().write(true).open(self.target.path_of(index)))?;
        file.write_all_at(part, inside)?;
        let before = self.written.fetch_add(part.len() as u64, Relaxed);
        if before / WRITEBACK < (before + part.len() as u64) / WRITEBACK {
            // When the disk is still busy with the last one, it needs no telling.
            let _ = self.begin_writeback.try_send((index, file));
        }
        Ok(())
    }
}

fn write_back(due: Receiver<(usize, Arc<File>)>, failed: &Mutex<Option<CopyError>>) {
    for (index, file) in due {
        if let Err(error) = file.sync_data() {
            // The kernel tells of such an error once: the sync at the end would not hear of it.
            let _ = fail(failed, CopyError::Write(index, error));
        }
    }
}

/// Notes the first error.
fn fail(failed: &Mutex<Option<CopyError>>, error: CopyError) -> ControlFlow<()> {
    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    ControlFlow::Break(())
}
