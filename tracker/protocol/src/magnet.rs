//! Magnet links (BEP 9): an info hash, and where to ask for the rest.

use std::{fmt, str::FromStr};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::InfoHash;

/// What a magnet link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Magnet {
    /// `xt=urn:btih:`, in hexadecimal or base32.
    pub info_hash: InfoHash,
    /// `dn`, what to call it.
    pub name: Option<String>,
    /// `tr`, announce URLs.
    pub trackers: Vec<String>,
}

/// A text that is not a magnet link of BitTorrent v1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MagnetError {
    /// It does not start with `magnet:?`.
    #[error("not a magnet link: expected magnet:?xt=urn:btih:...")]
    Scheme,
    /// No `xt=urn:btih:` of 40 hexadecimal or 32 base32 digits.
    #[error("no info hash in the magnet link: expected xt=urn:btih: and 40 hexadecimal digits")]
    NoInfoHash,
}

impl FromStr for Magnet {
    type Err = MagnetError;

    fn from_str(text: &str) -> Result<Self, MagnetError> {
        let query = text.strip_prefix("magnet:?").ok_or(MagnetError::Scheme)?;
        let mut info_hash = None;
        let mut name = None;
        let mut trackers = Vec::new();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = percent_decode_str(value).decode_utf8_lossy();
            match key {
                "xt" => info_hash = info_hash.or_else(|| value.strip_prefix("urn:btih:").and_then(read_hash)),
                "dn" => name = name.or_else(|| Some(value.replace('+', " "))),
                "tr" => trackers.push(value.into_owned()),
                _ => {}
            }
        }
        Ok(Self { info_hash: info_hash.ok_or(MagnetError::NoInfoHash)?, name, trackers })
    }
}

fn read_hash(text: &str) -> Option<InfoHash> {
    text.parse().ok().or_else(|| read_base32(text))
}

/// 32 digits of RFC 4648 base32.
fn read_base32(text: &str) -> Option<InfoHash> {
    if text.len() != 32 {
        return None;
    }
    let mut bytes = [0; 20];
    for (five, eight) in bytes.as_chunks_mut::<5>().0.iter_mut().zip(text.as_bytes().as_chunks::<8>().0) {
        let mut bits: u64 = 0;
        for digit in eight {
            let value = match digit.to_ascii_uppercase() {
                letter @ b'A'..=b'Z' => letter - b'A',
                number @ b'2'..=b'7' => number - b'2' + 26,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        five.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(bytes.into())
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "magnet:?xt=urn:btih:{}", self.info_hash)?;
        if let Some(name) = &self.name {
            write!(f, "&dn={}", utf8_percent_encode(name, NON_ALPHANUMERIC))?;
        }
        self.trackers.iter().try_for_each(|url| write!(f, "&tr={}", utf8_percent_encode(url, NON_ALPHANUMERIC)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn links_round_trip() {
        let link = Magnet {
            info_hash: HASH.parse().unwrap(),
            name: Some("a b&c/ü".into()),
            trackers: vec!["http://t:1/announce?x=y&z".into(), "udp://u:2".into()],
        };
        assert_eq!(link.to_string().parse(), Ok(link));
    }

    #[test]
    fn an_info_hash_may_be_in_base32() {
        let link = "magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH".parse::<Magnet>().unwrap();
        assert_eq!(link.info_hash.to_string(), HASH);
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!("http://x".parse::<Magnet>(), Err(MagnetError::Scheme));
        for text in ["magnet:?", "magnet:?dn=x", "magnet:?xt=urn:btmh:1220", "magnet:?xt=urn:btih:123"] {
            assert_eq!(text.parse::<Magnet>(), Err(MagnetError::NoInfoHash), "{text}");
        }
    }
}
