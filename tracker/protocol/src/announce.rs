//! Announces over HTTP (BEP 3, with BEP 7, 21, 23, 24 and 31).

mod handout;
mod parse;
mod reply;
#[cfg(test)]
mod tests;
mod write;

use std::{
    fmt::{self, Write},
    net::{IpAddr, SocketAddrV4, SocketAddrV6},
};

pub use handout::{CompactAddr, Handout, read_peers_v4, read_peers_v6};
pub(crate) use parse::twenty;
pub use reply::{AnnounceReply, ReplyError};
pub use write::{Form, Reply, ReplyHead, Retry, write_failure};

use crate::{InfoHash, PeerId, query};

/// Why a peer announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Event {
    /// It has come.
    Started,
    /// It has just got the last piece.
    Completed,
    /// It is about to leave.
    Stopped,
    /// It has all that it wants, which is not all there is (BEP 21).
    Paused,
    /// The interval is over.
    #[default]
    None,
}

impl Event {
    /// The word on the wire; empty for a regular announce.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::None => "",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a peer says of itself when it announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceRequest {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The peer.
    pub peer_id: PeerId,
    /// Where it listens; 0 when it does not.
    pub port: u16,
    /// Bytes that it has sent since it came.
    pub uploaded: u64,
    /// Bytes that it has received since it came.
    pub downloaded: u64,
    /// Bytes that it still needs; 0 makes it a seeder.
    pub left: u64,
    /// Why it announces.
    pub event: Event,
    /// How many peers it would like; the tracker's choice when absent.
    pub num_want: Option<u32>,
    /// Whether peers come as 6 or 18 bytes each (BEP 23); as dictionaries otherwise.
    pub compact: bool,
    /// Whether dictionaries may go without peer ids.
    pub no_peer_id: bool,
    /// Proof of being the same peer after a change of address: up to 8 hexadecimal digits.
    pub key: Option<u32>,
    /// The address that it claims to have.
    pub ip: Option<IpAddr>,
    /// The IPv4 address that it claims to have beside the one it announces from (BEP 7).
    pub ipv4: Option<SocketAddrV4>,
    /// The IPv6 address that it claims to have beside the one it announces from (BEP 7).
    pub ipv6: Option<SocketAddrV6>,
}

/// A query that is not an announce, or not a scrape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A key that every request has is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// `info_hash` or `peer_id` of another length.
    #[error("{key} of {found} bytes, expected 20")]
    Length {
        /// Which.
        key: &'static str,
        /// Its length in bytes.
        found: usize,
    },
    /// A number that is none, is negative, or too large.
    #[error("{key} is not a number from 0 to {max}")]
    Number {
        /// Which.
        key: &'static str,
        /// The largest that is accepted.
        max: u64,
    },
    /// More info hashes than a scrape may ask for.
    #[error("{found} info hashes, expected at most {max}")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
}

impl AnnounceRequest {
    /// Reads the query string of an announce from anybody, in linear time and without allocation. The first of a
    /// repeated key counts. Unknown keys, `trackerid` among them, are passed over; so are a `numwant`, a `key`, an
    /// `event` and addresses that cannot be read.
    ///
    /// # Errors
    /// [`RequestError::Missing`] without `info_hash`, `peer_id`, `port` or `left`; [`RequestError::Length`];
    /// [`RequestError::Number`].
    pub fn parse(query: &[u8]) -> Result<Self, RequestError> {
        parse::parse(query)
    }

    /// The query string of this announce, without `?`.
    pub fn to_query(&self) -> String {
        let mut query = String::with_capacity(256);
        query.push_str("info_hash=");
        query::encode(&mut query, self.info_hash.as_bytes());
        query.push_str("&peer_id=");
        query::encode(&mut query, self.peer_id.as_bytes());
        let Self { port, uploaded, downloaded, left, .. } = self;
        let compact = u8::from(self.compact);
        write!(query, "&port={port}&uploaded={uploaded}&downloaded={downloaded}&left={left}&compact={compact}")
            .expect("a string takes everything");
        let optional = [
            (self.event != Event::None).then(|| format!("&event={}", self.event)),
            self.num_want.map(|count| format!("&numwant={count}")),
            self.no_peer_id.then(|| "&no_peer_id=1".to_owned()),
            self.key.map(|key| format!("&key={key:08X}")),
            self.ip.map(|ip| format!("&ip={ip}").replace(':', "%3A")),
            self.ipv4.map(|addr| format!("&ipv4={addr}").replace(':', "%3A")),
            self.ipv6.map(|addr| format!("&ipv6={addr}").replace(':', "%3A")),
        ];
        query.extend(optional.into_iter().flatten());
        query
    }
}
