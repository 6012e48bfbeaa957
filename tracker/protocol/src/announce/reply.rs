use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use serde_bytes::ByteBuf;

use super::{
    Retry,
    handout::{read_peers_v4, read_peers_v6},
};
use crate::bencode;

/// Room for tens of thousands of peers as dictionaries.
const LIMITS: bencode::Limits = bencode::Limits { bytes: 4 << 20, depth: 8, values: 400_000 };

/// What a tracker answers to an announce, as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceReply {
    /// Seconds until the next regular announce.
    pub interval: u32,
    /// Seconds before which no announce is welcome.
    pub min_interval: Option<u32>,
    /// Peers that have everything (`complete`); 0 when the tracker does not say.
    pub seeders: u32,
    /// Peers that do not (`incomplete`); 0 when the tracker does not say.
    pub leechers: u32,
    /// Where to find others, of both families.
    pub peers: Vec<SocketAddr>,
    /// The address that the tracker sees (BEP 24).
    pub external_ip: Option<IpAddr>,
    /// Something to show to a person.
    pub warning: Option<String>,
}

/// An answer that gives no peers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The tracker refuses.
    #[error("the tracker refuses the announce: {reason}")]
    Refused {
        /// Why.
        reason: String,
        /// When it may be asked again, if it says so (BEP 31).
        retry: Option<Retry>,
    },
    /// Not canonical bencode.
    #[error("the tracker's answer is not bencode: {0}")]
    Bencode(#[from] bencode::Error),
    /// A value that is missing or of another type.
    #[error("the tracker's answer has no valid {0:?}")]
    Value(&'static str),
}

#[derive(Deserialize)]
struct DictionaryPeer {
    ip: ByteBuf,
    port: u16,
}

impl AnnounceReply {
    /// Reads the body of an answer from any tracker: peers compact or as dictionaries. Peers that are named rather
    /// than numbered are passed over. Linear in the length, which is limited to 4 MiB.
    ///
    /// # Errors
    /// Every variant of [`ReplyError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ReplyError> {
        let reply = bencode::scan(bytes, LIMITS)?;
        let text = |key: &[u8]| {
            let found: Option<ByteBuf> = reply.get(key).and_then(|value| serde_bencode::from_bytes(value).ok());
            found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        if let Some(reason) = text(b"failure reason") {
            return Err(ReplyError::Refused { reason, retry: reply.get(b"retry in").and_then(read_retry) });
        }
        let number = |key: &'static str| match reply.get(key.as_bytes()) {
            Some(value) => serde_bencode::from_bytes::<u32>(value).map(Some).map_err(|_| ReplyError::Value(key)),
            None => Ok(None),
        };
        let mut peers = Vec::new();
        if let Some(value) = reply.get(b"peers") {
            read_peers(value, &mut peers).ok_or(ReplyError::Value("peers"))?;
        }
        if let Some(value) = reply.get(b"peers6") {
            let bytes: ByteBuf = serde_bencode::from_bytes(value).map_err(|_| ReplyError::Value("peers6"))?;
            peers.extend(read_peers_v6(&bytes).ok_or(ReplyError::Value("peers6"))?);
        }
        Ok(Self {
            interval: number("interval")?.ok_or(ReplyError::Value("interval"))?,
            min_interval: number("min interval")?,
            seeders: number("complete")?.unwrap_or_default(),
            leechers: number("incomplete")?.unwrap_or_default(),
            peers,
            external_ip: reply.get(b"external ip").and_then(read_ip),
            warning: text(b"warning message"),
        })
    }
}

/// Minutes come as an integer, or as a string of digits.
fn read_retry(value: &[u8]) -> Option<Retry> {
    if let Ok(minutes) = serde_bencode::from_bytes(value) {
        return Some(Retry::InMinutes(minutes));
    }
    let text: String = serde_bencode::from_bytes(value).ok()?;
    if text == "never" { Some(Retry::Never) } else { text.parse().ok().map(Retry::InMinutes) }
}

fn read_ip(value: &[u8]) -> Option<IpAddr> {
    let bytes: ByteBuf = serde_bencode::from_bytes(value).ok()?;
    let v4 = <[u8; 4]>::try_from(&bytes[..]).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(&bytes[..]).map(IpAddr::from)).ok()
}

fn read_peers(value: &[u8], peers: &mut Vec<SocketAddr>) -> Option<()> {
    if value.starts_with(b"l") {
        let list: Vec<DictionaryPeer> = serde_bencode::from_bytes(value).ok()?;
        peers.extend(list.iter().filter_map(|peer| {
            let ip: IpAddr = str::from_utf8(&peer.ip).ok()?.parse().ok()?;
            Some(SocketAddr::new(ip, peer.port))
        }));
    } else {
        let bytes: ByteBuf = serde_bencode::from_bytes(value).ok()?;
        peers.extend(read_peers_v4(&bytes)?);
    }
    Some(())
}
