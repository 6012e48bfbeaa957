//! Scrapes over HTTP (BEP 48).

use std::io::Write;

use crate::{InfoHash, announce::RequestError, query};

/// How many info hashes one scrape may ask for.
pub const MAX_INFO_HASHES: usize = 100;

/// What a scrape says of one swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Peers that have everything.
    pub complete: u32,
    /// Peers that have ever said `completed`.
    pub downloaded: u32,
    /// Peers that do not have everything.
    pub incomplete: u32,
}

/// Reads the query string of a scrape from anybody: its info hashes, sorted, each once.
///
/// # Errors
/// [`RequestError::Missing`] when there is none, [`RequestError::TooMany`] beyond [`MAX_INFO_HASHES`],
/// [`RequestError::Length`].
pub fn parse(query: &[u8]) -> Result<Vec<InfoHash>, RequestError> {
    let asked = || query::pairs(query).filter(|(key, _)| *key == b"info_hash");
    let found = asked().count();
    if found > MAX_INFO_HASHES {
        return Err(RequestError::TooMany { found, max: MAX_INFO_HASHES });
    }
    if found == 0 {
        return Err(RequestError::Missing("info_hash"));
    }
    let read = |(_, value)| crate::announce::twenty("info_hash", Some(value)).map(InfoHash::from);
    let mut hashes = asked().map(read).collect::<Result<Vec<_>, _>>()?;
    hashes.sort_unstable();
    hashes.dedup();
    Ok(hashes)
}

/// Appends the answer to a scrape. The swarms must be sorted by info hash, each once, as [`parse`] has them.
pub fn write(swarms: impl IntoIterator<Item = (InfoHash, Counts)>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"d5:filesd");
    for (info_hash, Counts { complete, downloaded, incomplete }) in swarms {
        out.extend_from_slice(b"20:");
        out.extend_from_slice(info_hash.as_bytes());
        write!(out, "d8:completei{complete}e10:downloadedi{downloaded}e10:incompletei{incomplete}ee")
            .expect("a vector takes everything");
    }
    out.extend_from_slice(b"ee");
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "aaaaaaaaaaaaaaaaaaa";

    #[test]
    fn several_info_hashes_are_sorted_and_each_is_read_once() {
        let query = format!("info_hash={HASH}c&x=y&info_hash={HASH}b&info_hash={HASH}c");
        let hashes = parse(query.as_bytes()).unwrap();
        assert_eq!(hashes.iter().map(|hash| hash.as_bytes()[19]).collect::<Vec<_>>(), *b"bc");
    }

    #[test]
    fn none_too_many_and_broken_info_hashes_are_refused() {
        assert_eq!(parse(b""), Err(RequestError::Missing("info_hash")));
        assert_eq!(parse(b"info_hash=x"), Err(RequestError::Length { key: "info_hash", found: 1 }));
        let many = format!("info_hash={HASH}b&").repeat(101);
        assert_eq!(parse(many.as_bytes()), Err(RequestError::TooMany { found: 101, max: 100 }));
    }

    #[test]
    fn the_answer_is_canonical_bencode() {
        let hashes = parse(format!("info_hash={HASH}c&info_hash={HASH}b").as_bytes()).unwrap();
        let counts = Counts { complete: 1, downloaded: 2, incomplete: 3 };
        let mut bytes = Vec::new();
        write(hashes.into_iter().map(|hash| (hash, counts)), &mut bytes);
        let limits = crate::bencode::Limits { bytes: 1 << 10, depth: 4, values: 100 };
        let answer = crate::bencode::scan(&bytes, limits).unwrap();
        assert!(answer.get(b"files").unwrap().ends_with(b"d8:completei1e10:downloadedi2e10:incompletei3eee"));
    }
}
