//! SHA-1 of every piece, on all cores.

use std::{
    ops::{ControlFlow, Deref},
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    thread,
};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use nova_protocol::metainfo::Info;
use tokio_util::sync::CancellationToken;

use super::{Cancelled, Content, ReadError};

/// Bytes read at once by each thread: they are still in the second-level cache when they are hashed.
const CHUNK: usize = 128 << 10;

pub(crate) type PieceHash = [u8; 20];

struct Job<'a, I, T, P, D> {
    content: &'a Content<I>,
    tap: T,
    progress: P,
    done: D,
    pieces: u32,
    next: AtomicU32,
    hashed: AtomicU64,
}

/// Hashes every piece and gives each to `done`, in no order and from many threads, until it breaks.
///
/// `progress` is told the bytes that are done and the bytes in all. Takes one chunk of memory for each thread, whatever
/// the length of a piece. Without a number of `threads`, there are as many as cores.
pub(crate) fn hash_pieces<I, P, D>(
    content: &Content<I>,
    threads: Option<usize>,
    progress: P,
    cancel: &CancellationToken,
    done: D,
) -> Result<(), Cancelled>
where
    I: Deref<Target = Info> + Sync,
    P: Fn(u64, u64) + Sync,
    D: Fn(u32, Result<PieceHash, ReadError>) -> ControlFlow<()> + Sync,
{
    tap_pieces(content, threads, |_, _| ControlFlow::Continue(()), progress, cancel, done)
}

/// As [`hash_pieces`]; what is hashed is given to `tap` too, with its offset, while it is in the cache of the core. When
/// `tap` breaks, its piece is not given to `done`.
pub(crate) fn tap_pieces<I, T, P, D>(
    content: &Content<I>,
    threads: Option<usize>,
    tap: T,
    progress: P,
    cancel: &CancellationToken,
    done: D,
) -> Result<(), Cancelled>
where
    I: Deref<Target = Info> + Sync,
    T: Fn(u64, &[u8]) -> ControlFlow<()> + Sync,
    P: Fn(u64, u64) + Sync,
    D: Fn(u32, Result<PieceHash, ReadError>) -> ControlFlow<()> + Sync,
{
    let info = content.info();
    let pieces = u32::try_from(info.piece_length.pieces_in(info.length)).expect("bounded by the length of metainfo");
    let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    let job = Job { content, tap, progress, done, pieces, next: AtomicU32::new(0), hashed: AtomicU64::new(0) };
    thread::scope(|scope| {
        for _ in 0..threads.min(pieces as usize) {
            scope.spawn(|| job.work(cancel));
        }
    });
    if cancel.is_cancelled() { Err(Cancelled) } else { Ok(()) }
}

impl<I, T, P, D> Job<'_, I, T, P, D>
where
    I: Deref<Target = Info>,
    T: Fn(u64, &[u8]) -> ControlFlow<()>,
    P: Fn(u64, u64),
    D: Fn(u32, Result<PieceHash, ReadError>) -> ControlFlow<()>,
{
    fn work(&self, cancel: &CancellationToken) {
        let mut chunk = vec![0; CHUNK];
        while !cancel.is_cancelled() {
            let index = self.next.fetch_add(1, Relaxed);
            if index >= self.pieces {
                return;
            }
            let hashed = self.hash(index, &mut chunk).transpose();
            if hashed.is_none_or(|hash| (self.done)(index, hash).is_break()) {
                self.next.store(self.pieces, Relaxed);
                return;
            }
            let size = u64::from(self.content.info().piece_size(index));
            (self.progress)(self.hashed.fetch_add(size, Relaxed) + size, self.content.info().length);
        }
    }

    /// `None` when the tap broke.
    fn hash(&self, index: u32, chunk: &mut [u8]) -> Result<Option<PieceHash>, ReadError> {
        let info = self.content.info();
        let mut offset = u64::from(index) * u64::from(info.piece_length.get());
        let mut rest = info.piece_size(index) as usize;
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        while rest > 0 {
            let part = &mut chunk[..rest.min(CHUNK)];
            self.content.read(offset, part)?;
            context.update(part);
            if (self.tap)(offset, part).is_break() {
                return Ok(None);
            }
            offset += part.len() as u64;
            rest -= part.len();
        }
        Ok(Some(context.finish().as_ref().try_into().expect("SHA-1 is 20 bytes")))
    }
}
