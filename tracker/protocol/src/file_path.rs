use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

/// A path below the root of a torrent that cannot leave it, on Unix or on Windows.
///
/// At least one segment; none empty, `.` or `..`; none with a separator, a NUL or a drive; 255 bytes each and 4,096
/// in all. Written with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct FilePath(Vec<String>);

/// A path that could leave its root, or that no file system would hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilePathError {
    /// No segment at all.
    #[error("empty path")]
    Empty,
    /// A segment that is not UTF-8, with its bytes escaped.
    #[error("path segment {0:?} is not UTF-8")]
    NotUtf8(String),
    /// A segment that is refused, and why.
    #[error("path segment {0:?} {1}")]
    Segment(String, &'static str),
    /// More than 4,096 bytes in all.
    #[error("path of {0} bytes, expected at most 4096")]
    TooLong(usize),
}

impl FilePath {
    /// A path of these segments.
    ///
    /// # Errors
    /// Every variant of [`FilePathError`].
    pub fn new<S: AsRef<[u8]>>(segments: impl IntoIterator<Item = S>) -> Result<Self, FilePathError> {
        let segments = segments.into_iter().map(|segment| parse(segment.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let length = segments.iter().map(|segment| segment.len() + 1).sum::<usize>();
        match length {
            0 => Err(FilePathError::Empty),
            1..=4096 => Ok(Self(segments)),
            _ => Err(FilePathError::TooLong(length)),
        }
    }

    /// Reads a path written with `/`.
    ///
    /// # Errors
    /// Every variant of [`FilePathError`].
    pub fn parse(text: &str) -> Result<Self, FilePathError> {
        Self::new(text.split('/'))
    }

    /// The segments, at least one.
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// Where this path lies below `root`.
    pub fn below(&self, root: &Path) -> PathBuf {
        self.0.iter().fold(root.to_path_buf(), |path, segment| path.join(segment))
    }
}

fn parse(segment: &[u8]) -> Result<String, FilePathError> {
    let text = std::str::from_utf8(segment).map_err(|_| FilePathError::NotUtf8(segment.escape_ascii().to_string()))?;
    let drive = matches!(segment, [letter, b':', ..] if letter.is_ascii_alphabetic());
    let fault = match text {
        "" => "is empty",
        "." | ".." => "leaves its place",
        _ if text.contains(['/', '\\']) => "contains a separator",
        _ if text.contains('\0') => "contains a NUL byte",
        _ if drive => "starts with a drive",
        _ if text.len() > 255 => "is longer than 255 bytes",
        _ => return Ok(text.to_owned()),
    };
    Err(FilePathError::Segment(text.chars().take(80).collect(), fault))
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl From<FilePath> for String {
    fn from(path: FilePath) -> Self {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_root() {
        for text in ["", "/etc/passwd", "a/../b", "..", "a//b", "a/", ".", "a\\..\\b", "C:/x", "c:evil", "a/\0"] {
            assert!(FilePath::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_of_every_script_are_kept() {
        for text in ["a", "ünï/日本語", "12:30.log", "with space/~", "-rf"] {
            assert_eq!(FilePath::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_name_that_is_not_utf8_is_named_in_the_error() {
        let error = FilePath::new([&b"caf\xe9"[..]]).unwrap_err();
        assert_eq!(error.to_string(), r#"path segment "caf\\xe9" is not UTF-8"#);
    }

    #[test]
    fn lengths_are_limited() {
        assert!(FilePath::new(["x".repeat(255)]).is_ok());
        assert!(FilePath::new(["x".repeat(256)]).is_err());
        assert!(FilePath::new(vec!["x".repeat(255); 17]).is_err());
    }
}
