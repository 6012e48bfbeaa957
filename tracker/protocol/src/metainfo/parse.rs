//! Metainfo from strangers.

use std::{ops::Range, sync::Arc};

use serde::Deserialize;
use serde_bytes::ByteBuf;

use super::{
    File, FileKind, Info, LIMITS, Metainfo,
    access::{self, AccessDictionary},
};
use crate::{FilePath, FilePathError, InfoHash, PieceLength, PieceLengthError, bencode};

/// Torrents that one may be similar to.
const SIMILAR_MAX: usize = 64;

/// Why some bytes are not metainfo.
#[derive(Debug, thiserror::Error)]
pub enum MetainfoError {
    /// Not canonical bencode.
    #[error("not canonical bencode: {0}")]
    Bencode(#[from] bencode::Error),
    /// No `info` in it.
    #[error("no info dictionary")]
    NoInfo,
    /// A key is missing or has a value of the wrong type.
    #[error("malformed {0}: {1}")]
    Shape(&'static str, serde_bencode::Error),
    /// BitTorrent v2 alone (BEP 52).
    #[error("a BitTorrent v2 torrent without v1 metadata, expected v1 or hybrid")]
    OnlyV2,
    /// The name cannot be a file's.
    #[error("name: {0}")]
    Name(FilePathError),
    /// The path of a file is not safe.
    #[error("file {0}: {1}")]
    Path(usize, FilePathError),
    /// The target of a symlink is not safe.
    #[error("symlink {0}: {1}")]
    Symlink(FilePath, FilePathError),
    /// A path that is there twice, or that is a file and a directory.
    #[error("file {0} is in the way of another")]
    Conflict(FilePath),
    /// A single file that is a symlink or padding: it has no content of its own.
    #[error("the single file {0} is a symlink or padding")]
    Kind(FilePath),
    /// Both `length` and `files`, or neither.
    #[error("expected either length or files")]
    Layout,
    /// A negative length, or a sum beyond 2^63.
    #[error("file {0} has length {1}")]
    Length(usize, i64),
    /// A symlink with content.
    #[error("symlink {0} has a length")]
    SymlinkLength(FilePath),
    /// An entry of `access`, and what is wrong with it.
    #[error("access {0} {1}")]
    Access(usize, &'static str),
    /// The piece length is out of range.
    #[error(transparent)]
    PieceLength(#[from] PieceLengthError),
    /// The number of hashes is not the number of pieces.
    #[error("{found} bytes of piece hashes, expected {expected}")]
    Pieces {
        /// The length of `pieces`.
        found: usize,
        /// Twenty for each piece.
        expected: u64,
    },
}

#[derive(Deserialize)]
struct InfoDictionary {
    access: Option<Vec<AccessDictionary>>,
    name: ByteBuf,
    #[serde(rename = "piece length")]
    piece_length: i64,
    pieces: Option<ByteBuf>,
    #[serde(default)]
    private: i64,
    length: Option<i64>,
    files: Option<Vec<FileDictionary>>,
    attr: Option<ByteBuf>,
    #[serde(rename = "symlink path")]
    symlink_path: Option<Vec<ByteBuf>>,
}

#[derive(Deserialize)]
struct FileDictionary {
    length: i64,
    path: Vec<ByteBuf>,
    attr: Option<ByteBuf>,
    #[serde(rename = "symlink path")]
    symlink_path: Option<Vec<ByteBuf>>,
}

pub(super) fn metainfo(bytes: Vec<u8>) -> Result<Metainfo, MetainfoError> {
    let outer = bencode::scan(&bytes, LIMITS)?;
    let info_span = outer.span(b"info").ok_or(MetainfoError::NoInfo)?;
    let (trackers, web_seeds) = sources(&outer);
    let similar = similar(&outer);
    let info_bytes = &bytes[info_span.clone()];
    let info_hash = InfoHash::of(info_bytes);
    let info = Arc::new(info(info_bytes)?);
    Ok(Metainfo { bytes, info_span, info_hash, info, trackers, web_seeds, similar })
}

pub(super) fn info_span(bytes: &[u8]) -> Result<Range<usize>, MetainfoError> {
    bencode::scan(bytes, LIMITS)?.span(b"info").ok_or(MetainfoError::NoInfo)
}

fn read<'de, T: Deserialize<'de>>(outer: &bencode::Dictionary<'de>, key: &[u8]) -> Option<T> {
    serde_bencode::from_bytes(outer.get(key)?).ok()
}

/// Advice too: so many are believed, and what is no info hash is passed over.
fn similar(outer: &bencode::Dictionary<'_>) -> Vec<InfoHash> {
    let listed = read::<Vec<ByteBuf>>(outer, b"similar").unwrap_or_default();
    let hashes = listed.iter().filter_map(|bytes| Some(InfoHash::from(<[u8; 20]>::try_from(bytes.as_slice()).ok()?)));
    hashes.take(SIMILAR_MAX).collect()
}

/// Trackers and web seeds are advice: one that cannot be read is passed over.
fn sources(outer: &bencode::Dictionary<'_>) -> (Vec<Vec<String>>, Vec<String>) {
    let text = |bytes: ByteBuf| String::from_utf8(bytes.into_vec()).ok();
    let listed = read::<Vec<Vec<ByteBuf>>>(outer, b"announce-list").unwrap_or_default();
    let mut tiers: Vec<Vec<String>> =
        listed.into_iter().map(|tier| tier.into_iter().filter_map(text).collect()).collect();
    tiers.retain(|tier: &Vec<String>| !tier.is_empty());
    if tiers.is_empty() {
        tiers.extend(read::<ByteBuf>(outer, b"announce").and_then(text).map(|url| vec![url]));
    }
    let web_seeds = read::<Vec<ByteBuf>>(outer, b"url-list")
        .or_else(|| read::<ByteBuf>(outer, b"url-list").map(|url| vec![url]))
        .unwrap_or_default();
    (tiers, web_seeds.into_iter().filter_map(text).filter(|url| !url.is_empty()).collect())
}

fn info(bytes: &[u8]) -> Result<Info, MetainfoError> {
    let entries = bencode::scan(bytes, LIMITS)?;
    if entries.get(b"meta version").is_some() && entries.get(b"pieces").is_none() {
        return Err(MetainfoError::OnlyV2);
    }
    let dictionary: InfoDictionary =
        serde_bencode::from_bytes(bytes).map_err(|error| MetainfoError::Shape("info dictionary", error))?;
    let piece_length = PieceLength::new(dictionary.piece_length)?;
    let name = FilePath::new([&dictionary.name]).map_err(MetainfoError::Name)?;
    let is_single_file = dictionary.length.is_some();
    let listed = match (dictionary.length, dictionary.files) {
        (Some(length), None) => vec![FileDictionary {
            length,
            path: vec![dictionary.name],
            attr: dictionary.attr,
            symlink_path: dictionary.symlink_path,
        }],
        (None, Some(files)) if !files.is_empty() => files,
        _ => return Err(MetainfoError::Layout),
    };
    let (files, length) = files(listed)?;
    if is_single_file && matches!(files[0].kind, FileKind::Symlink(_) | FileKind::Padding) {
        return Err(MetainfoError::Kind(name));
    }
    let pieces = dictionary.pieces.unwrap_or_default().into_vec();
    let expected = piece_length.pieces_in(length).saturating_mul(20);
    if pieces.len() as u64 != expected {
        return Err(MetainfoError::Pieces { found: pieces.len(), expected });
    }
    let access = access::read(dictionary.access.unwrap_or_default(), &files, is_single_file)?;
    let private = dictionary.private == 1;
    Ok(Info { name: name.to_string(), piece_length, pieces, private, is_single_file, files, length, access })
}

fn files(listed: Vec<FileDictionary>) -> Result<(Vec<File>, u64), MetainfoError> {
    let mut offset: u64 = 0;
    let mut files = Vec::with_capacity(listed.len());
    for (index, file) in listed.into_iter().enumerate() {
        let path = FilePath::new(&file.path).map_err(|error| MetainfoError::Path(index, error))?;
        let refused = || MetainfoError::Length(index, file.length);
        let length = u64::try_from(file.length).map_err(|_| refused())?;
        let end = offset.checked_add(length).filter(|&end| i64::try_from(end).is_ok()).ok_or_else(refused)?;
        let kind = kind(&path, file.attr.as_ref().map_or(&[], |attr| attr.as_slice()), file.symlink_path)?;
        if length > 0 && matches!(kind, FileKind::Symlink(_)) {
            return Err(MetainfoError::SymlinkLength(path));
        }
        files.push(File { path, length, offset, kind });
        offset = end;
    }
    refuse_conflicts(&files)?;
    Ok((files, offset))
}

fn kind(path: &FilePath, attr: &[u8], target: Option<Vec<ByteBuf>>) -> Result<FileKind, MetainfoError> {
    let symlink = |error| MetainfoError::Symlink(path.clone(), error);
    Ok(if attr.contains(&b'p') {
        FileKind::Padding
    } else if attr.contains(&b'l') {
        FileKind::Symlink(FilePath::new(target.unwrap_or_default()).map_err(symlink)?)
    } else if attr.contains(&b'x') {
        FileKind::Executable
    } else {
        FileKind::Plain
    })
}

/// No two files share a path, and no file lies below another: so a symlink is never part of a path.
///
/// Sorted by segments, what lies below a file comes right after it.
fn refuse_conflicts(files: &[File]) -> Result<(), MetainfoError> {
    let mut paths: Vec<&FilePath> =
        files.iter().filter(|file| file.kind != FileKind::Padding).map(|file| &file.path).collect();
    paths.sort_unstable();
    match paths.windows(2).find(|pair| pair[1].segments().starts_with(pair[0].segments())) {
        Some(pair) => Err(MetainfoError::Conflict(pair[0].clone())),
        None => Ok(()),
    }
}
