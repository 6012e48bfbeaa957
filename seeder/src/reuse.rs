//! Pieces that are on this host already, taken from there and not from the network.
//!
//! They are found where they shall be, from an earlier try; by their hashes, in other torrents with pieces of the same
//! length; and by file, in other versions whose pieces are cut differently and in what a user names. A piece is copied
//! first and hashed where it lies then, so that nothing of this has to be believed. The metainfo of what is here is all
//! the index there is: a thousand torrents of 2,000 pieces are looked through in 0.1 s, and nothing can be out of step.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use nova_protocol::{FilePath, Metainfo, metainfo::Info, peer_wire::Bitfield};
use tokio_util::sync::CancellationToken;

use crate::{
    content::{
        Cancelled, Content,
        copy::copy,
        hash::{each_piece, hash_piece},
    },
    store::Store,
};

/// Other contents in which files are looked for by name.
const BY_FILE_MAX: usize = 16;

/// What there is on this host.
#[derive(Debug, Clone, Default)]
pub struct Holdings {
    store: Option<Store>,
    contents: Vec<(Arc<Info>, PathBuf)>,
    paths: Vec<PathBuf>,
}

/// What of a torrent was found.
#[derive(Debug)]
pub(crate) struct Reused {
    /// The pieces that are where they shall be now.
    pub pieces: Bitfield,
    /// Bytes of them.
    pub bytes: u64,
}

impl Holdings {
    /// All that is in a store.
    pub fn of(store: &Store) -> Self {
        Self { store: Some(store.clone()), ..Self::default() }
    }

    /// Adds the content of another torrent, all of it or some.
    pub fn add_content(&mut self, info: Arc<Info>, root: PathBuf) {
        self.contents.push((info, root));
    }

    /// Adds a file, or a directory that has files of the torrent under the names that they have there.
    pub fn add_path(&mut self, path: PathBuf) {
        self.paths.push(path);
    }

    /// The contents of other torrents, those first that are said to be similar.
    fn contents(&self, metainfo: &Metainfo) -> Vec<(Arc<Info>, PathBuf)> {
        let mut listed = self.store.as_ref().and_then(|store| store.list().ok()).unwrap_or_default();
        listed.retain(|info_hash| *info_hash != metainfo.info_hash());
        listed.sort_by_key(|info_hash| !metainfo.similar.contains(info_hash));
        let entries = listed.into_iter().filter_map(|info_hash| self.store.as_ref()?.get(info_hash).ok()?);
        let stored = entries.map(|entry| (entry.metainfo.info.clone(), entry.content_path()));
        self.contents.iter().cloned().chain(stored).collect()
    }
}

/// Brings every piece of a torrent that is on this host to where it shall be below `root`, whose files are there.
///
/// `progress` is told, from many threads, the bytes that were looked for so far. Memory is bounded by the number of
/// pieces, not by their length.
///
/// # Errors
/// [`Cancelled`]; a piece that cannot be read or written is one that was not found.
pub(crate) fn reuse(
    metainfo: &Metainfo,
    root: &Path,
    holdings: &Holdings,
    progress: impl Fn(u64) + Sync,
    cancel: &CancellationToken,
) -> Result<Reused, Cancelled> {
    let info = &metainfo.info;
    let target = Content::writable(info.clone(), root);
    let contents = holdings.contents(metainfo);
    let held: Vec<_> = contents.iter().map(|(info, root)| Content::new(info.clone(), root)).collect();
    let by_hash = by_hash(info, &held);
    let by_file = by_file(info, &holdings.paths, &contents);
    if by_hash.is_empty() && by_file.is_empty() && !target.has_bytes() {
        return Ok(Reused { pieces: Bitfield::empty(info.piece_count()), bytes: 0 });
    }
    let (pieces, looked, bytes) =
        (Mutex::new(Bitfield::empty(info.piece_count())), AtomicU64::new(0), AtomicU64::new(0));
    each_piece(info.piece_count(), None, cancel, |index, chunk| {
        let size = u64::from(info.piece_size(index));
        let mut is_good = || {
            hash_piece(&target, index, chunk, |_, _| ControlFlow::Continue(()))
                .is_ok_and(|hash| info.piece_hash(index) == hash.as_ref())
        };
        let here = start(info, index);
        let is_found = is_good()
            || by_hash.get(&index).is_some_and(|&(content, other)| {
                let from = &held[content];
                copy((from, start(from.info(), other)), (&target, here), size).is_ok() && is_good()
            })
            || by_file.iter().any(|from| copy((from, here), (&target, here), size).is_ok() && is_good());
        if is_found {
            pieces.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
            bytes.fetch_add(size, Relaxed);
        }
        progress(looked.fetch_add(size, Relaxed) + size);
        ControlFlow::Continue(())
    })?;
    Ok(Reused { pieces: pieces.into_inner().unwrap_or_else(PoisonError::into_inner), bytes: bytes.into_inner() })
}

fn start(info: &Info, piece: u32) -> u64 {
    u64::from(piece) * u64::from(info.piece_length.get())
}

/// The content and the piece in it that has the same hash, for each piece that has one.
fn by_hash(info: &Info, held: &[Content<Arc<Info>>]) -> HashMap<u32, (usize, u32)> {
    let mut wanted: HashMap<&[u8; 20], Vec<u32>> = HashMap::new();
    for index in 0..info.piece_count() {
        wanted.entry(info.piece_hash(index).expect("below the count")).or_default().push(index);
    }
    let mut found = HashMap::new();
    for (content, other) in held.iter().enumerate() {
        if other.info().piece_length != info.piece_length {
            continue;
        }
        for piece in 0..other.info().piece_count() {
            let hash = other.info().piece_hash(piece).expect("below the count");
            // Two pieces of one hash are one piece, and of one size.
            for index in wanted.get(hash).into_iter().flatten() {
                found.entry(*index).or_insert((content, piece));
            }
        }
    }
    found
}

/// The same torrent with its files where others of the same name are, once for each place that has any.
fn by_file(info: &Arc<Info>, paths: &[PathBuf], contents: &[(Arc<Info>, PathBuf)]) -> Vec<Content<Arc<Info>>> {
    let file_itself = |path: &PathBuf| (info.is_single_file && path.is_file()).then(|| path.clone());
    let place = |path: &PathBuf, file: &FilePath| file_itself(path).or_else(|| below(path, &info.name, file));
    let named = paths.iter().map(|path| scattered(info, |file, _| place(path, file)));
    let contents = contents.iter().map(|(other, root)| {
        let files: HashMap<(&FilePath, u64), FilePath> = other
            .stored_files()
            .filter(|_| !other.is_single_file)
            .map(|file| ((&file.path, file.length), file.path.clone()))
            .collect();
        let single = (info.is_single_file && other.is_single_file && info.length == other.length).then(|| root.clone());
        scattered(info, |file, length| single.clone().or_else(|| Some(files.get(&(file, length))?.below(root))))
    });
    named.chain(contents).flatten().take(BY_FILE_MAX).collect()
}

fn scattered(info: &Arc<Info>, place: impl Fn(&FilePath, u64) -> Option<PathBuf>) -> Option<Content<Arc<Info>>> {
    let places: Vec<Option<PathBuf>> = info
        .files
        .iter()
        .map(|file| if file.kind.has_content() { place(&file.path, file.length) } else { None })
        .collect();
    places.iter().any(Option::is_some).then(|| Content::scattered(info.clone(), places))
}

/// Where a file of the torrent is that a user may have meant: a file of its name, or below a directory, or below what
/// has the torrent's name there.
fn below(path: &Path, name: &str, file: &FilePath) -> Option<PathBuf> {
    let is_named =
        path.file_name().is_some_and(|found| file.segments().last().is_some_and(|last| found == last.as_str()));
    let places = [path.to_path_buf(), file.below(path), file.below(&path.join(name))];
    places.into_iter().skip(usize::from(!is_named)).find(|place| place.is_file())
}

#[cfg(test)]
mod tests;
