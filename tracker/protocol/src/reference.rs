use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// What a tag is called within: `/`-separated segments of letters and digits of any script and `. _ - +`, 1 to 255
/// bytes. Read in any Unicode form, kept in NFC.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(String);

/// The part of a reference after the colon: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Tag(String);

/// `NAME:TAG`, what a user pushes to and pulls from; `:latest` when no tag is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Reference {
    /// The part before the last colon.
    pub name: Name,
    /// The part after it.
    pub tag: Tag,
}

/// A text that is not a reference, and which part of it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Empty, or longer than 255 bytes.
    #[error("name of {0} bytes, expected 1 to 255")]
    NameLength(usize),
    /// An empty, `.` or `..` segment.
    #[error("name {0:?} has a segment that is empty, \".\" or \"..\"")]
    NameSegment(String),
    /// A character that names do not have.
    #[error("name {0:?} contains {1:?}, expected letters, digits and . _ - + between slashes")]
    NameCharacter(String, char),
    /// Not `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
    #[error("tag {0:?}: expected a letter, digit or _, then at most 127 letters, digits and . _ -")]
    Tag(String),
}

impl FromStr for Name {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() > 4 * 255 {
            return Err(ReferenceError::NameLength(text.len()));
        }
        let name: String = text.nfc().collect();
        if name.is_empty() || name.len() > 255 {
            return Err(ReferenceError::NameLength(name.len()));
        }
        let allowed =
            |c: char| c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c) || "/._-+".contains(c);
        if let Some(found) = name.chars().find(|&c| !allowed(c)) {
            return Err(ReferenceError::NameCharacter(name, found));
        }
        if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(ReferenceError::NameSegment(name));
        }
        Ok(Self(name))
    }
}

impl Tag {
    /// The tag that is meant when none is given.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let mut bytes = text.bytes();
        let valid = text.len() <= 128
            && bytes.next().is_some_and(word)
            && bytes.all(|byte| word(byte) || byte == b'.' || byte == b'-');
        if valid { Ok(Self(text.to_owned())) } else { Err(ReferenceError::Tag(text.chars().take(160).collect())) }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) => (name, tag.parse()?),
            None => (text, Tag::latest()),
        };
        Ok(Self { name: name.parse()?, tag })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

/// `Display`, and the conversions that serde goes through.
macro_rules! text {
    ($($kind:ty),*) => {$(
        impl TryFrom<String> for $kind {
            type Error = ReferenceError;
            fn try_from(text: String) -> Result<Self, ReferenceError> { text.parse() }
        }
        impl From<$kind> for String {
            fn from(value: $kind) -> Self { value.to_string() }
        }
    )*};
}
text!(Name, Tag, Reference);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_is_meant_when_no_tag_is_given() {
        assert_eq!("models/demo".parse::<Reference>().unwrap().to_string(), "models/demo:latest");
    }

    #[test]
    fn references_round_trip() {
        for text in ["a:b", "models/llama-3.1+fp8:v1", "модели/模型:2026-01-01", "_x:_"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn names_are_kept_in_nfc() {
        let decomposed = "cafe\u{301}".parse::<Name>().unwrap();
        assert_eq!(decomposed, "caf\u{e9}".parse().unwrap());
    }

    #[test]
    fn other_texts_are_refused() {
        let long = "x".repeat(256);
        for text in ["", ":v1", "/a:v1", "a/:v1", "a//b", "a/../b", "a b:v1", "a:", "a:-x", "a:é", "a\n", long.as_str()]
        {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
        assert!(format!("a:{}", "t".repeat(129)).parse::<Reference>().is_err());
        assert!(format!("a:{}", "t".repeat(128)).parse::<Reference>().is_ok());
    }
}
