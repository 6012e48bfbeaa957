//! The two forms of a symlink's target: below the root, as metainfo has it (BEP 47), and as the link itself says.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use nova_protocol::FilePath;

/// Where the symlink `link` leads that says `says`, without asking the disk; `None` unless it is below the root.
pub(crate) fn resolve(link: &FilePath, says: &Path) -> Option<FilePath> {
    let (_, directory) = link.segments().split_last()?;
    let mut segments: Vec<&[u8]> = directory.iter().map(String::as_bytes).collect();
    for component in says.components() {
        match component {
            Component::Normal(segment) => segments.push(segment.as_bytes()),
            Component::CurDir => {}
            Component::ParentDir => {
                segments.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    FilePath::new(segments).ok()
}

/// What the symlink `link` says to lead to `target`.
pub(crate) fn relative(link: &FilePath, target: &FilePath) -> PathBuf {
    let (_, directory) = link.segments().split_last().expect("a path has a segment");
    let target = target.segments();
    let shared = directory.iter().zip(target).take_while(|(one, other)| one == other).count();
    let up = directory[shared..].iter().map(|_| "..");
    let says: PathBuf = up.chain(target[shared..].iter().map(String::as_str)).collect();
    if says.as_os_str().is_empty() { PathBuf::from(".") } else { says }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> FilePath {
        FilePath::parse(text).unwrap()
    }

    #[test]
    fn a_target_takes_both_forms() {
        for (link, target, says) in [
            ("link", "file", "file"),
            ("a/link", "file", "../file"),
            ("a/b/link", "a/c/file", "../c/file"),
            ("a/b/link", "a/b/file", "file"),
            ("a/b/link", "a", ".."),
            ("a/link", "a", "."),
        ] {
            assert_eq!(relative(&path(link), &path(target)), Path::new(says), "{link}");
            assert_eq!(resolve(&path(link), Path::new(says)), Some(path(target)), "{link}");
        }
    }

    #[test]
    fn a_target_outside_the_root_is_none() {
        for says in ["/etc/passwd", "../../file", "..", "../../a/b"] {
            assert_eq!(resolve(&path("a/link"), Path::new(says)), None, "{says}");
        }
    }
}
