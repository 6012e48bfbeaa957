//! Announces over HTTP (BEP 3, with BEP 7, 21, 23, 24 and 31).

mod handout;
mod reply;
#[cfg(test)]
mod tests;
mod write;

use std::{
    fmt::{self, Write},
    net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6},
    str::FromStr,
};

pub use handout::{CompactAddr, Handout, read_peers_v4, read_peers_v6};
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

    /// Words that nobody knows are regular announces.
    fn read(encoded: &[u8]) -> Self {
        let known = [Self::Started, Self::Completed, Self::Stopped, Self::Paused];
        known.into_iter().find(|event| query::decode(encoded).eq(event.as_str().bytes())).unwrap_or_default()
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
    /// Reads the query string of an announce from anybody; nothing is allocated unless there is an `ip`. The first of a
    /// repeated key counts; unknown keys (`trackerid` too) are passed over, and so are `numwant`, `key` and addresses that cannot be
    /// read.
    ///
    /// # Errors
    /// [`RequestError::Missing`] without `info_hash`, `peer_id`, `port` or `left`; [`RequestError::Length`];
    /// [`RequestError::Number`].
    pub fn parse(query: &[u8]) -> Result<Self, RequestError> {
        let fields = Fields::of(query);
        let port = number("port", Some(fields.port.ok_or(RequestError::Missing("port"))?), u16::MAX.into())?;
        let left = fields.left.ok_or(RequestError::Missing("left"))?;
        let port = u16::try_from(port).expect("at most 65535");
        Ok(Self {
            info_hash: twenty("info_hash", fields.info_hash)?.into(),
            peer_id: twenty("peer_id", fields.peer_id)?.into(),
            port,
            uploaded: number("uploaded", fields.uploaded, u64::MAX)?,
            downloaded: number("downloaded", fields.downloaded, u64::MAX)?,
            left: number("left", Some(left), u64::MAX)?,
            event: Event::read(fields.event.unwrap_or_default()),
            num_want: fields.num_want.and_then(|value| small(value, 10)),
            compact: fields.compact.is_none_or(|value| !query::decode(value).eq(*b"0")),
            no_peer_id: fields.no_peer_id.is_some_and(|value| query::decode(value).eq(*b"1")),
            key: fields.key.and_then(|value| small(value, 16)),
            ip: fields.ip.and_then(read_addr),
            ipv4: fields.ipv4.and_then(|value| read_endpoint(value, port)).and_then(v4),
            ipv6: fields.ipv6.and_then(|value| read_endpoint(value, port)).and_then(v6),
        })
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

/// Where each value is in the query, still encoded.
#[derive(Default)]
struct Fields<'a> {
    info_hash: Option<&'a [u8]>,
    peer_id: Option<&'a [u8]>,
    port: Option<&'a [u8]>,
    uploaded: Option<&'a [u8]>,
    downloaded: Option<&'a [u8]>,
    left: Option<&'a [u8]>,
    event: Option<&'a [u8]>,
    num_want: Option<&'a [u8]>,
    compact: Option<&'a [u8]>,
    no_peer_id: Option<&'a [u8]>,
    key: Option<&'a [u8]>,
    ip: Option<&'a [u8]>,
    ipv4: Option<&'a [u8]>,
    ipv6: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn of(query: &'a [u8]) -> Self {
        let mut fields = Self::default();
        for (key, value) in query::pairs(query) {
            let field = match key {
                b"info_hash" => &mut fields.info_hash,
                b"peer_id" => &mut fields.peer_id,
                b"port" => &mut fields.port,
                b"uploaded" => &mut fields.uploaded,
                b"downloaded" => &mut fields.downloaded,
                b"left" => &mut fields.left,
                b"event" => &mut fields.event,
                b"numwant" | b"num_want" => &mut fields.num_want,
                b"compact" => &mut fields.compact,
                b"no_peer_id" => &mut fields.no_peer_id,
                b"key" => &mut fields.key,
                b"ip" => &mut fields.ip,
                b"ipv4" => &mut fields.ipv4,
                b"ipv6" => &mut fields.ipv6,
                _ => continue,
            };
            field.get_or_insert(value);
        }
        fields
    }
}

pub(crate) fn twenty(key: &'static str, encoded: Option<&[u8]>) -> Result<[u8; 20], RequestError> {
    let encoded = encoded.ok_or(RequestError::Missing(key))?;
    query::decode_exact(encoded).map_err(|found| RequestError::Length { key, found })
}

/// An absent number is 0.
fn number(key: &'static str, encoded: Option<&[u8]>, max: u64) -> Result<u64, RequestError> {
    let value = digits(encoded.unwrap_or(b"0"), 10);
    value.filter(|value| *value <= max).ok_or(RequestError::Number { key, max })
}

fn small(encoded: &[u8], radix: u32) -> Option<u32> {
    digits(encoded, radix).and_then(|value| value.try_into().ok())
}

fn digits(encoded: &[u8], radix: u32) -> Option<u64> {
    let mut bytes = query::decode(encoded).peekable();
    bytes.peek()?;
    bytes.try_fold(0u64, |value, byte| {
        let digit = char::from(byte).to_digit(radix)?;
        value.checked_mul(radix.into())?.checked_add(digit.into())
    })
}

/// No address with a port is longer than 56 characters, each of which may be three in the query.
fn read_addr<T: FromStr>(encoded: &[u8]) -> Option<T> {
    if encoded.len() <= 3 * 56 { query::decode_text(encoded)?.parse().ok() } else { None }
}

/// An address with a port, or one whose port is that of the announce.
fn read_endpoint(encoded: &[u8], port: u16) -> Option<SocketAddr> {
    read_addr(encoded).or_else(|| Some(SocketAddr::new(read_addr(encoded)?, port)))
}

const fn v4(addr: SocketAddr) -> Option<SocketAddrV4> {
    if let SocketAddr::V4(addr) = addr { Some(addr) } else { None }
}

const fn v6(addr: SocketAddr) -> Option<SocketAddrV6> {
    if let SocketAddr::V6(addr) = addr { Some(addr) } else { None }
}
