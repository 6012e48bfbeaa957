//! Mode bits and owners, as `push --preserve` keeps them.
//!
//! No BEP has them. They are the list `access` of the info dictionary, which other clients pass over, sorted by path.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{File, FileKind, MetainfoError};
use crate::FilePath;

/// Who may do what with one file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Below the torrent's directory; none is that directory itself, or the single file.
    pub path: Option<FilePath>,
    /// Whether it is a directory, which may be an empty one.
    pub is_directory: bool,
    /// The nine bits of read, write and execute, and before them the sticky bit of a directory; none for a symlink, and
    /// where they are not kept.
    pub mode: Option<u32>,
    /// Where owners are kept.
    pub owner: Option<Owner>,
}

/// Whose something is, by numbers: their names are another machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct AccessDictionary {
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<i64>,
    path: Vec<ByteBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<i64>,
}

impl From<&Access> for AccessDictionary {
    fn from(access: &Access) -> Self {
        let segments = access.path.iter().flat_map(FilePath::segments);
        Self {
            gid: access.owner.map(|owner| owner.gid.into()),
            mode: access.mode.map(i64::from),
            path: segments.map(|segment| ByteBuf::from(segment.as_bytes())).collect(),
            uid: access.owner.map(|owner| owner.uid.into()),
        }
    }
}

/// Checks a list: in order, each path once, none of them below a file, which may be a symlink to somewhere else.
pub(super) fn read(
    listed: Vec<AccessDictionary>,
    files: &[File],
    is_single_file: bool,
) -> Result<Vec<Access>, MetainfoError> {
    let mut read = Vec::with_capacity(listed.len());
    for (index, entry) in listed.into_iter().enumerate() {
        read.push(entry.read(is_single_file).map_err(|fault| MetainfoError::Access(index, fault))?);
    }
    let is_sorted = |pair: &[Access]| pair[0].path < pair[1].path;
    if let Some(index) = read.windows(2).position(|pair| !is_sorted(pair)) {
        return Err(MetainfoError::Access(index + 1, "is out of order, or there twice"));
    }
    let fault = if is_single_file {
        read.iter().zip(files).find_map(|(access, file)| Some((0, access.contradiction(file)?)))
    } else {
        find_directories(&mut read, files)
    };
    fault.map_or(Ok(read), |(index, fault)| Err(MetainfoError::Access(index, fault)))
}

impl Access {
    /// What the list cannot say of this file.
    fn contradiction(&self, file: &File) -> Option<&'static str> {
        let mode = self.mode?;
        if matches!(file.kind, FileKind::Symlink(_)) {
            Some("is a symlink with a mode")
        } else if mode > 0o777 {
            Some("is a file with a sticky bit")
        } else if (mode & 0o100 != 0) != (file.kind == FileKind::Executable) {
            Some("has a mode that contradicts the executable bit of its file")
        } else {
            None
        }
    }
}

impl AccessDictionary {
    fn read(self, is_single_file: bool) -> Result<Access, &'static str> {
        let path = match self.path.as_slice() {
            [] => None,
            _ if is_single_file => return Err("is below a file"),
            segments => Some(FilePath::new(segments).map_err(|_| "has no safe path")?),
        };
        let mode = self.mode.map(|mode| u32::try_from(mode).ok().filter(|&mode| mode <= 0o1777));
        // The greatest number stands for no change when a file changes hands.
        let id = |id| u32::try_from(id).ok().filter(|&id| id != u32::MAX).ok_or("has an owner beyond 32 bits");
        let owner = match (self.uid, self.gid) {
            (None, None) => None,
            (Some(uid), Some(gid)) => Some(Owner { uid: id(uid)?, gid: id(gid)? }),
            _ => return Err("has a user or a group alone"),
        };
        if mode == Some(None) {
            return Err("has a mode beyond read, write, execute and sticky");
        }
        Ok(Access { is_directory: path.is_none() && !is_single_file, path, mode: mode.flatten(), owner })
    }
}

/// What is no file is a directory. Sorted by segments, what lies below a file comes right after it. Says which entry is
/// wrong first, and how.
fn find_directories(listed: &mut [Access], files: &[File]) -> Option<(usize, &'static str)> {
    if listed.is_empty() {
        return None;
    }
    let mut files: Vec<&File> = files.iter().filter(|file| file.kind != FileKind::Padding).collect();
    files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    let mut files = files.into_iter().peekable();
    let mut before = None;
    for (index, access) in listed.iter_mut().enumerate() {
        let Some(path) = &access.path else { continue };
        while let Some(file) = files.next_if(|file| file.path <= *path) {
            before = Some(file);
        }
        let fault = match before {
            Some(file) if file.path == *path => access.contradiction(file),
            Some(file) if path.segments().starts_with(file.path.segments()) => Some("is below a file"),
            _ => {
                access.is_directory = true;
                None
            }
        };
        if let Some(fault) = fault {
            return Some((index, fault));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Metainfo, PieceLength,
        metainfo::{NewFile, NewInfo, NewKind},
    };

    /// A directory with the file `a/f` and the symlink `l`, and this list.
    fn with(access: Vec<Access>) -> Result<Vec<Access>, MetainfoError> {
        let path = |text| FilePath::parse(text).unwrap();
        let info = NewInfo {
            name: path("demo"),
            piece_length: PieceLength::for_total(0),
            pieces: Vec::new(),
            private: true,
            kind: NewKind::Directory(vec![
                NewFile { path: path("l"), length: 0, kind: FileKind::Symlink(path("a")) },
                NewFile { path: path("a/f"), length: 0, kind: FileKind::Plain },
            ]),
            access,
        };
        let read = Metainfo::from_info(&info.encode().unwrap(), &[], &[])?;
        Ok(read.info.access.clone())
    }

    fn entry(path: &str, mode: Option<u32>, owner: Option<(u32, u32)>) -> Access {
        let path = FilePath::parse(path).ok();
        Access { path, is_directory: false, mode, owner: owner.map(|(uid, gid)| Owner { uid, gid }) }
    }

    #[test]
    fn it_reads_back_as_it_was_built_and_what_is_no_file_is_a_directory() {
        let all = [("", 0o1777), ("a", 0o750), ("a/b", 0o000), ("a/f", 0o640), ("b", 0o1000)];
        let mut listed = all.map(|(path, mode)| entry(path, Some(mode), Some((0, 4_294_967_294)))).to_vec();
        listed.push(entry("l", None, Some((1, 2))));
        let read = with(listed.clone()).unwrap();
        let directories: Vec<bool> = read.iter().map(|access| access.is_directory).collect();
        assert_eq!(directories, [true, true, true, false, true, false]);
        let as_built: Vec<_> = read.into_iter().map(|access| Access { is_directory: false, ..access }).collect();
        assert_eq!(as_built, listed);
    }

    #[test]
    fn a_list_that_could_reach_outside_or_that_contradicts_the_files_is_refused() {
        let mode = |path| entry(path, Some(0o755), None);
        let refused = [
            (vec![mode("l")], "access 0 is a symlink with a mode"),
            (vec![entry("a/f", Some(0o644), None), mode("l/x")], "access 1 is below a file"),
            (vec![mode("a/f/x")], "access 0 is below a file"),
            (vec![mode("b"), mode("a")], "access 1 is out of order, or there twice"),
            (vec![mode(""), mode("")], "access 1 is out of order, or there twice"),
            (vec![mode("a/f")], "access 0 has a mode that contradicts the executable bit of its file"),
            (vec![entry("a/f", Some(0o1644), None)], "access 0 is a file with a sticky bit"),
            (vec![entry("a", Some(0o2755), None)], "access 0 has a mode beyond read, write, execute and sticky"),
            (vec![entry("a", None, Some((u32::MAX, 0)))], "access 0 has an owner beyond 32 bits"),
        ];
        for (listed, expected) in refused {
            assert_eq!(with(listed).unwrap_err().to_string(), expected);
        }
        let around = |access: &str| {
            let info = format!("d6:accessl{access}e6:lengthi0e4:name1:n12:piece lengthi65536e6:pieces0:e");
            Metainfo::parse(format!("d4:info{info}e").into_bytes())
        };
        assert!(around("d4:modei420e4:pathlee").is_ok());
        for access in [
            "d4:modei493e4:pathlee",
            "d4:modei932e4:pathlee",
            "d4:modei420e4:pathl1:aee",
            "d4:modei-1e4:pathlee",
            "d4:pathle3:uidi0ee",
            "d4:modei420ee",
            "i1e",
        ] {
            assert!(around(access).is_err(), "{access}");
        }
        let outside = "d5:filesld6:lengthi0e4:pathl1:feee4:name1:n12:piece lengthi65536e6:pieces0:e";
        let outside = outside.replace("d5:files", "d6:accessld4:modei511e4:pathl2:..eee5:files");
        assert!(matches!(Metainfo::parse(format!("d4:info{outside}e").into_bytes()), Err(MetainfoError::Access(0, _))));
    }
}
