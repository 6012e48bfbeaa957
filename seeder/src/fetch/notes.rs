//! librqbit's notes of the pieces that a torrent has: a file with one bit for each, in its folder of state.
//!
//! Written before a torrent is added, they spare it librqbit's own look at the disk, which reads everything that is
//! there, and holes too, on the session's one thread.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nova_protocol::{InfoHash, peer_wire::Bitfield};

/// Where the notes of a torrent are.
fn path(state: &Path, info_hash: InfoHash) -> PathBuf {
    state.join(format!("{info_hash}.bitv"))
}

/// Whether there are notes of a torrent.
pub(super) fn exist(state: &Path, info_hash: InfoHash) -> bool {
    path(state, info_hash).exists()
}

/// Forgets every torrent but these.
pub(super) fn keep(state: &Path, torrents: &[InfoHash]) {
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let noted = name.to_str().and_then(|name| name.split('.').next()?.parse::<InfoHash>().ok());
        if noted.is_some_and(|noted| !torrents.contains(&noted)) {
            let _may_be_gone = fs::remove_file(entry.path());
        }
    }
}

/// Forgets a torrent. The session does so too, unless it never had it.
pub(super) fn forget(state: &Path, info_hash: InfoHash) {
    let _may_be_gone = fs::remove_file(path(state, info_hash));
}

/// Notes that a torrent has these pieces.
pub(super) fn write(state: &Path, info_hash: InfoHash, pieces: &Bitfield) -> io::Result<()> {
    fs::create_dir_all(state)?;
    let (path, partial) = (path(state, info_hash), state.join(format!("{info_hash}.partial")));
    fs::write(&partial, pieces.as_bytes())?;
    fs::rename(partial, path)
}
