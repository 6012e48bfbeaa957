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

/// Does something with every piece on many threads, in no order, until it breaks or is cancelled.
///
/// Each thread has one chunk of memory of its own to do it with. Without a number of `threads`, there are as many as
/// cores.
pub(crate) fn each_piece(
    pieces: u32,
    threads: Option<usize>,
    cancel: &CancellationToken,
    work: impl Fn(u32, &mut [u8]) -> ControlFlow<()> + Sync,
) -> Result<(), Cancelled> {
    let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    let next = AtomicU32::new(0);
    let run = || {
        let mut chunk = vec![0; CHUNK];
        while !cancel.is_cancelled() {
            let index = next.fetch_add(1, Relaxed);
            if index >= pieces {
                return;
            }
            if work(index, &mut chunk).is_break() {
                next.store(pieces, Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.min(pieces as usize) {
            scope.spawn(run);
        }
    });
    if cancel.is_cancelled() { Err(Cancelled) } else { Ok(()) }
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
    let hashed = AtomicU64::new(0);
    each_piece(pieces, threads, cancel, |index, chunk| {
        let Some(hash) = hash_piece(content, index, chunk, &tap).transpose() else { return ControlFlow::Break(()) };
        let flow = done(index, hash);
        let size = u64::from(info.piece_size(index));
        progress(hashed.fetch_add(size, Relaxed) + size, info.length);
        flow
    })
}

/// Hashes one piece, read in parts as long as `chunk`, and gives each part to `tap`; `None` when that breaks.
pub(crate) fn hash_piece<I>(
    content: &Content<I>,
    index: u32,
    chunk: &mut [u8],
    tap: impl Fn(u64, &[u8]) -> ControlFlow<()>,
) -> Result<Option<PieceHash>, ReadError>
where
    I: Deref<Target = Info>,
{
    let info = content.info();
    let mut offset = u64::from(index) * u64::from(info.piece_length.get());
    let mut rest = info.piece_size(index) as usize;
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    while rest > 0 {
        let step = rest.min(chunk.len());
        let part = &mut chunk[..step];
        content.read(offset, part)?;
        context.update(part);
        if tap(offset, part).is_break() {
            return Ok(None);
        }
        offset += part.len() as u64;
        rest -= part.len();
    }
    Ok(Some(context.finish().as_ref().try_into().expect("SHA-1 is 20 bytes")))
}
