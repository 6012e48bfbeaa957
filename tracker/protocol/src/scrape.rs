//! Scrapes over HTTP (BEP 48, with BEP 21).

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
    /// Those of them that fetch: partial seeds have all that they want (BEP 21).
    pub downloaders: u32,
    /// Peers that do not have everything.
    pub incomplete: u32,
}

/// What a scrape asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scrape {
    /// Everything that the tracker has.
    All,
    /// These info hashes: sorted, each once.
    Of(Vec<InfoHash>),
}

impl Scrape {
    /// Reads the query string of a scrape from anybody.
    ///
    /// # Errors
    /// [`RequestError::TooMany`] beyond [`MAX_INFO_HASHES`], [`RequestError::Length`].
    pub fn parse(query: &[u8]) -> Result<Self, RequestError> {
        let asked = || query::pairs(query).filter(|(key, _)| *key == b"info_hash");
        let found = asked().count();
        if found > MAX_INFO_HASHES {
            return Err(RequestError::TooMany { found, max: MAX_INFO_HASHES });
        }
        if found == 0 {
            return Ok(Self::All);
        }
        let read = |(_, value)| crate::announce::twenty("info_hash", Some(value)).map(InfoHash::from);
        let mut hashes = asked().map(read).collect::<Result<Vec<_>, _>>()?;
        hashes.sort_unstable();
        hashes.dedup();
        Ok(Self::Of(hashes))
    }
}

/// Appends the answer to a scrape. The swarms must be sorted by info hash, each once, as [`Scrape::Of`] has them.
pub fn write(swarms: impl IntoIterator<Item = (InfoHash, Counts)>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"d5:filesd");
    for (info_hash, counts) in swarms {
        let Counts { complete, downloaded, downloaders, incomplete } = counts;
        out.extend_from_slice(b"20:");
        out.extend_from_slice(info_hash.as_bytes());
        write!(
            out,
            "d8:completei{complete}e10:downloadedi{downloaded}e11:downloadersi{downloaders}e10:incompletei{incomplete}ee"
        )
        .expect("a vector takes everything");
    }
    out.extend_from_slice(b"ee");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &[u8]) -> Result<Vec<InfoHash>, RequestError> {
        match Scrape::parse(query)? {
            Scrape::Of(hashes) => Ok(hashes),
            Scrape::All => panic!("everything was asked for"),
        }
    }

    const HASH: &str = "aaaaaaaaaaaaaaaaaaa";

    #[test]
    fn several_info_hashes_are_sorted_and_each_is_read_once() {
        let query = format!("info_hash={HASH}c&x=y&info_hash={HASH}b&info_hash={HASH}c");
        let hashes = parse(query.as_bytes()).unwrap();
        assert_eq!(hashes.iter().map(|hash| hash.as_bytes()[19]).collect::<Vec<_>>(), *b"bc");
    }

    #[test]
    fn no_info_hash_is_all_of_them() {
        assert_eq!(Scrape::parse(b""), Ok(Scrape::All));
        assert_eq!(Scrape::parse(b"x=y&"), Ok(Scrape::All));
    }

    #[test]
    fn too_many_and_broken_info_hashes_are_refused() {
        assert_eq!(parse(b"info_hash=x"), Err(RequestError::Length { key: "info_hash", found: 1 }));
        let many = format!("info_hash={HASH}b&").repeat(101);
        assert_eq!(parse(many.as_bytes()), Err(RequestError::TooMany { found: 101, max: 100 }));
    }

    #[test]
    fn the_answer_is_canonical_bencode() {
        let hashes = parse(format!("info_hash={HASH}c&info_hash={HASH}b").as_bytes()).unwrap();
        let counts = Counts { complete: 1, downloaded: 2, downloaders: 3, incomplete: 4 };
        let mut bytes = Vec::new();
        write(hashes.into_iter().map(|hash| (hash, counts)), &mut bytes);
        let limits = crate::bencode::Limits { bytes: 1 << 10, depth: 4, values: 100 };
        let answer = crate::bencode::scan(&bytes, limits).unwrap();
        assert!(
            answer
                .get(b"files")
                .unwrap()
                .ends_with(b"d8:completei1e10:downloadedi2e11:downloadersi3e10:incompletei4eee")
        );
    }
}
