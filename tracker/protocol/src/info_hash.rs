use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// SHA-1 of the raw bytes of an info dictionary (BEP 3): the identity of a torrent.
///
/// Written as 40 lowercase hexadecimal digits; read in either case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct InfoHash([u8; 20]);

/// A text that is not an info hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an info hash: expected 40 hexadecimal digits")]
pub struct InfoHashError(String);

impl InfoHash {
    /// The info hash of a bencoded info dictionary.
    pub fn of(info: &[u8]) -> Self {
        Self(sha1_smol::Sha1::from(info).digest().bytes())
    }

    /// The 20 bytes that go on the wire.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl From<[u8; 20]> for InfoHash {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<InfoHash> for String {
    fn from(hash: InfoHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for InfoHash {
    type Error = InfoHashError;

    fn try_from(text: String) -> Result<Self, InfoHashError> {
        text.parse()
    }
}

impl FromStr for InfoHash {
    type Err = InfoHashError;

    fn from_str(text: &str) -> Result<Self, InfoHashError> {
        let refused = || InfoHashError(text.chars().take(80).collect());
        if text.len() != 40 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refused())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refused())?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trips_in_lower_case() {
        let text = "0123456789ABCDEF0123456789abcdef01234567";
        assert_eq!(text.parse::<InfoHash>().unwrap().to_string(), text.to_lowercase());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "0123", "g123456789abcdef0123456789abcdef01234567", "+123456789abcdef0123456789abcdef01234567"]
        {
            assert!(text.parse::<InfoHash>().is_err(), "{text}");
        }
    }

    #[test]
    fn hash_is_sha1_of_the_raw_bytes() {
        assert_eq!(InfoHash::of(b"abc").to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
