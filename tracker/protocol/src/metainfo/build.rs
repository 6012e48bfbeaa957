//! New metainfo: the same content gives the same bytes, on any machine and any day.

use serde::Serialize;
use serde_bytes::Bytes;

use crate::{FilePath, PieceLength};

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
    /// Whether it may be executed.
    pub executable: bool,
    /// Where it points, below the directory, when it is a symlink.
    pub symlink: Option<FilePath>,
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
            NewKind::File { length, executable } => (attributes(*executable, false), Some(signed(*length)?), None),
            NewKind::Directory(files) if files.is_empty() => return Err(BuildError::NoFiles),
            NewKind::Directory(files) => {
                let listed = files.iter().map(|file| {
                    Ok(FileDictionary {
                        attr: attributes(file.executable, file.symlink.is_some()),
                        length: signed(file.length)?,
                        path: file.path.segments(),
                        symlink_path: file.symlink.as_ref().map(FilePath::segments),
                    })
                });
                (None, None, Some(listed.collect::<Result<_, _>>()?))
            }
        };
        Ok(encode(&InfoDictionary {
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
fn attributes(executable: bool, symlink: bool) -> Option<&'static Bytes> {
    match (executable, symlink) {
        (_, true) => Some(Bytes::new(b"l")),
        (true, false) => Some(Bytes::new(b"x")),
        (false, false) => None,
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_bencode::to_bytes(value).expect("strings, integers, lists and structs encode")
}

/// Metainfo around raw `info` bytes, which are copied as they are.
pub(super) fn metainfo(info: &[u8], trackers: &[Vec<String>], web_seeds: &[String]) -> Vec<u8> {
    let mut out = Vec::with_capacity(info.len() + 256);
    let mut entry = |key: &str, value: &[u8]| {
        out.extend_from_slice(&encode(&key));
        out.extend_from_slice(value);
    };
    entry_list(&mut entry, info, trackers, web_seeds);
    [b"d", out.as_slice(), b"e"].concat()
}

/// The entries of the outer dictionary in the order of their keys.
fn entry_list(entry: &mut impl FnMut(&str, &[u8]), info: &[u8], trackers: &[Vec<String>], web_seeds: &[String]) {
    if let Some(first) = trackers.iter().flatten().next() {
        entry("announce", &encode(first));
    }
    if trackers.iter().flatten().count() > 1 {
        entry("announce-list", &encode(&trackers));
    }
    entry("info", info);
    match web_seeds {
        [] => {}
        [one] => entry("url-list", &encode(one)),
        several => entry("url-list", &encode(&several)),
    }
}
