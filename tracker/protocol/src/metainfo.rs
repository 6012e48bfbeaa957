//! `.torrent` files (BEP 3, with BEP 12, 19, 27, 38 and 47).
//!
//! The raw bytes of the info dictionary are kept and hashed, never a re-encoding of what was understood of it.

mod access;
mod build;
mod parse;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

pub use access::{Access, Owner};
use build::Around;
pub use build::{BuildError, NewFile, NewInfo, NewKind};
pub use parse::MetainfoError;

use crate::{FilePath, InfoHash, PieceLength, bencode};

/// What is read of metainfo from strangers before it is refused: enough for a million files.
pub const LIMITS: bencode::Limits = bencode::Limits { bytes: 64 << 20, depth: 100, values: 8_000_000 };

/// A checked `.torrent` file.
#[derive(Debug, Clone)]
pub struct Metainfo {
    bytes: Vec<u8>,
    info_span: Range<usize>,
    info_hash: InfoHash,
    /// What the info dictionary says.
    pub info: Arc<Info>,
    /// Announce URLs in tiers (BEP 12); `announce` alone is one tier of one.
    pub trackers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// Torrents that have files in common with this one (BEP 38), outside of the info dictionary: what a torrent is like
    /// is no part of what it is.
    pub similar: Vec<InfoHash>,
}

/// What an info dictionary says, checked: lengths add up, paths stay inside, every piece has its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The name that a download takes: the file's, or the directory's.
    pub name: String,
    /// Bytes in each piece but the last.
    pub piece_length: PieceLength,
    /// 20 bytes of SHA-1 for each piece.
    pub pieces: Vec<u8>,
    /// Whether peers come from the tracker alone (BEP 27).
    pub private: bool,
    /// Whether this is one file called `name`, rather than a directory called `name`.
    pub is_single_file: bool,
    /// The files in order, padding included; one when `is_single_file`.
    pub files: Vec<File>,
    /// Bytes of all files together, padding included.
    pub length: u64,
    /// Mode bits and owners, sorted by path; empty unless they were kept.
    pub access: Vec<Access>,
}

/// A file inside a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Below the torrent's directory; for a single file, its name.
    pub path: FilePath,
    /// In bytes; 0 for a symlink.
    pub length: u64,
    /// Where it starts in the content.
    pub offset: u64,
    /// What it is.
    pub kind: FileKind,
}

/// What a file is (BEP 47).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A file like any other.
    Plain,
    /// A file that may be executed.
    Executable,
    /// A symlink to this path below the torrent's directory.
    Symlink(FilePath),
    /// Zeros that are never stored.
    Padding,
}

impl FileKind {
    /// Whether it is a file with content of its own, not a symlink and not padding.
    pub const fn has_content(&self) -> bool {
        matches!(self, Self::Plain | Self::Executable)
    }
}

impl Metainfo {
    /// Reads a `.torrent` file from anybody. Linear in its length.
    ///
    /// # Errors
    /// Every variant of [`MetainfoError`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, MetainfoError> {
        parse::metainfo(bytes)
    }

    /// Wraps a bencoded info dictionary, as peers send it (BEP 9), into metainfo with these trackers and web seeds.
    ///
    /// # Errors
    /// Every variant of [`MetainfoError`].
    pub fn from_info(info: &[u8], trackers: &[Vec<String>], web_seeds: &[String]) -> Result<Self, MetainfoError> {
        Self::parse(build::metainfo(info, Around { trackers, web_seeds, similar: &[] }))
    }

    /// The same torrent, same info hash, with these trackers and web seeds in place of its own.
    #[must_use]
    pub fn with_sources(&self, trackers: &[Vec<String>], web_seeds: &[String]) -> Self {
        self.with(Around { trackers, web_seeds, similar: &self.similar })
    }

    /// The same torrent, same info hash, that names these as similar (BEP 38).
    #[must_use]
    pub fn with_similar(&self, similar: &[InfoHash]) -> Self {
        self.with(Around { trackers: &self.trackers, web_seeds: &self.web_seeds, similar })
    }

    fn with(&self, around: Around<'_>) -> Self {
        let bytes = build::metainfo(self.info_bytes(), around);
        let info_span = parse::info_span(&bytes).expect("the builder writes an info dictionary");
        Self {
            bytes,
            info_span,
            info_hash: self.info_hash,
            info: self.info.clone(),
            trackers: around.trackers.to_vec(),
            web_seeds: around.web_seeds.to_vec(),
            similar: around.similar.to_vec(),
        }
    }

    /// The identity of the torrent.
    pub const fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// The whole file, byte for byte.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The info dictionary, byte for byte.
    pub fn info_bytes(&self) -> &[u8] {
        &self.bytes[self.info_span.clone()]
    }
}

impl Info {
    /// How many pieces there are.
    pub fn piece_count(&self) -> u32 {
        u32::try_from(self.pieces.len() / 20).expect("bounded by the length of metainfo")
    }

    /// The bytes in piece `index`.
    pub fn piece_size(&self, index: u32) -> u32 {
        let piece_length = u64::from(self.piece_length.get());
        let rest = self.length.saturating_sub(u64::from(index) * piece_length);
        u32::try_from(rest.min(piece_length)).expect("at most a piece length")
    }

    /// The SHA-1 of piece `index`, if there is such a piece.
    pub fn piece_hash(&self, index: u32) -> Option<&[u8; 20]> {
        self.pieces.as_chunks::<20>().0.get(index as usize)
    }

    /// The indices of the files that have bytes in `range` of the content.
    pub fn files_in(&self, range: Range<u64>) -> impl Iterator<Item = usize> {
        let files = &self.files;
        let first = files.partition_point(|file| file.offset + file.length <= range.start);
        let end = first + files[first..].partition_point(|file| file.offset < range.end);
        (first..end).filter(|&index| files[index].length > 0)
    }

    /// The files that exist on a disk: all but padding.
    pub fn stored_files(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.kind != FileKind::Padding)
    }
}
