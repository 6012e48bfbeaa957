//! New metainfo: the same content gives the same bytes, on any machine and any day.

use serde::Serialize;
use serde_bytes::Bytes;

use super::{Access, FileKind, access::AccessDictionary};
use crate::{FilePath, InfoHash, PieceLength};

/// Content about to become an info dictionary, hashed already.
#[derive(Debug, Clone)]
pub struct NewInfo {
    /// The name that a download takes.
    pub name: FilePath,
    /// Bytes in each piece but the last.
    pub piece_length: PieceLength,
    /// 20 bytes of SHA-1 for each piece of the files in the order in which they will be listed.
    pub pieces: Vec<u8>,
    /// Whether peers may come from the tracker alone (BEP 27).
    pub private: bool,
    /// What the name names.
    pub kind: NewKind,
    /// Mode bits and owners, sorted by path; empty when they are not kept.
    pub access: Vec<Access>,
}

/// What the content is.
#[derive(Debug, Clone)]
pub enum NewKind {
    /// One file.
    File {
        /// In bytes.
        length: u64,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A directory with these files, at least one.
    Directory(Vec<NewFile>),
}

/// A file of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Below the directory.
    pub path: FilePath,
    /// In bytes; 0 for a symlink.
    pub length: u64,
    /// What it is.
    pub kind: FileKind,
}

/// Content that makes no torrent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A directory without files.
    #[error("no files in it: a torrent cannot hold an empty directory")]
    NoFiles,
    /// More bytes than a length can say.
    #[error("content of more than 2^63 bytes")]
    TooLong,
}

#[derive(Serialize)]
struct InfoDictionary<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    access: Vec<AccessDictionary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attr: Option<&'a Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileDictionary<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<i64>,
    name: &'a str,
    #[serde(rename = "piece length")]
    piece_length: u32,
    pieces: &'a Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    private: Option<u8>,
}

#[derive(Serialize)]
struct FileDictionary<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    attr: Option<&'a Bytes>,
    length: i64,
    path: &'a [String],
    #[serde(rename = "symlink path", skip_serializing_if = "Option::is_none")]
    symlink_path: Option<&'a [String]>,
}

impl NewInfo {
    /// The bencoded info dictionary.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn encode(&self) -> Result<Vec<u8>, BuildError> {
        let signed = |length: u64| i64::try_from(length).map_err(|_| BuildError::TooLong);
        let (attr, length, files) = match &self.kind {
            NewKind::File { length, executable } => {
                (executable.then_some(Bytes::new(b"x")), Some(signed(*length)?), None)
            }
            NewKind::Directory(files) if files.is_empty() => return Err(BuildError::NoFiles),
            NewKind::Directory(files) => {
                let listed = files.iter().map(|file| {
                    Ok(FileDictionary {
                        attr: attributes(&file.kind),
                        length: signed(file.length)?,
                        path: file.path.segments(),
                        symlink_path: match &file.kind {
                            FileKind::Symlink(target) => Some(target.segments()),
                            _ => None,
                        },
                    })
                });
                (None, None, Some(listed.collect::<Result<_, _>>()?))
            }
        };
        Ok(encode(&InfoDictionary {
            access: self.access.iter().map(AccessDictionary::from).collect(),
            attr,
            files,
            length,
            name: &self.name.to_string(),
            piece_length: self.piece_length.get(),
            pieces: Bytes::new(&self.pieces),
            private: self.private.then_some(1),
        }))
    }
}

/// The letters of BEP 47.
fn attributes(kind: &FileKind) -> Option<&'static Bytes> {
    match kind {
        FileKind::Plain => None,
        FileKind::Executable => Some(Bytes::new(b"x")),
        FileKind::Symlink(_) => Some(Bytes::new(b"l")),
        FileKind::Padding => Some(Bytes::new(b"p")),
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_bencode::to_bytes(value).expect("strings, integers, lists and structs encode")
}

/// What metainfo says beside its info dictionary.
#[derive(Default, Clone, Copy)]
pub(super) struct Around<'a> {
    pub trackers: &'a [Vec<String>],
    pub web_seeds: &'a [String],
    pub similar: &'a [InfoHash],
}

/// Metainfo around raw `info` bytes, which are copied as they are.
pub(super) fn metainfo(info: &[u8], around: Around<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(info.len() + 256);
    let mut entry = |key: &str, value: &[u8]| {
        out.extend_from_slice(&encode(&key));
        out.extend_from_slice(value);
    };
    entry_list(&mut entry, info, around);
    [b"d", out.as_slice(), b"e"].concat()
}

/// The entries of the outer dictionary in the order of their keys.
fn entry_list(entry: &mut impl FnMut(&str, &[u8]), info: &[u8], around: Around<'_>) {
    let Around { trackers, web_seeds, similar } = around;
    if let Some(first) = trackers.iter().flatten().next() {
        entry("announce", &encode(first));
    }
    if trackers.iter().flatten().count() > 1 {
        entry("announce-list", &encode(&trackers));
    }
    entry("info", info);
    if !similar.is_empty() {
        let hashes: Vec<&Bytes> = similar.iter().map(|info_hash| Bytes::new(info_hash.as_bytes())).collect();
        entry("similar", &encode(&hashes));
    }
    match web_seeds {
        [] => {}
        [one] => entry("url-list", &encode(one)),
        several => entry("url-list", &encode(&several)),
    }
}
