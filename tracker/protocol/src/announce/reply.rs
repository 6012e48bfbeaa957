use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
};

use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::{
    PeerId, bencode,
    compact::{read_peers_v4, read_peers_v6, write_peer_v4, write_peer_v6},
};

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
    /// Something to show to a person.
    pub warning: Option<String>,
}

/// An answer that gives no peers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The tracker refuses, for this reason.
    #[error("the tracker refuses the announce: {0}")]
    Refused(String),
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
            return Err(ReplyError::Refused(reason));
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
            warning: text(b"warning message"),
        })
    }
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

/// All of an answer but the peers, as a tracker writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHead {
    /// Seconds until the next regular announce.
    pub interval: u32,
    /// Seconds before which no announce is welcome.
    pub min_interval: u32,
    /// Peers that have everything.
    pub complete: u32,
    /// Peers that do not.
    pub incomplete: u32,
    /// Peers that have ever said `completed`.
    pub downloaded: u32,
}

/// A peer that a peer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyPeer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// How it calls itself; an origin that has not announced has none.
    pub peer_id: Option<PeerId>,
}

/// How peers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 6 bytes each in `peers` (BEP 23), 18 bytes each in `peers6` (BEP 7).
    Compact,
    /// Dictionaries.
    Dictionary,
    /// Dictionaries without peer ids (`no_peer_id`).
    DictionaryWithoutId,
}

impl ReplyHead {
    /// Appends the answer; the buffer is all that is allocated.
    pub fn write(&self, peers: &[ReplyPeer], form: Form, out: &mut Vec<u8>) {
        let Self { interval, min_interval, complete, incomplete, downloaded } = self;
        put(out, format_args!("d8:completei{complete}e10:downloadedi{downloaded}e10:incompletei{incomplete}e"));
        put(out, format_args!("8:intervali{interval}e12:min intervali{min_interval}e5:peers"));
        match form {
            Form::Compact => write_compact(peers, out),
            Form::Dictionary => write_dictionaries(peers, true, out),
            Form::DictionaryWithoutId => write_dictionaries(peers, false, out),
        }
        out.push(b'e');
    }
}

/// Appends a refusal; its HTTP status is 200, or clients do not show it.
pub fn write_failure(reason: &str, out: &mut Vec<u8>) {
    put(out, format_args!("d14:failure reason{}:{reason}e", reason.len()));
}

fn write_compact(peers: &[ReplyPeer], out: &mut Vec<u8>) {
    let v4 = peers.iter().filter(|peer| peer.addr.is_ipv4()).count();
    let v6 = peers.len() - v4;
    put(out, format_args!("{}:", v4 * 6));
    for peer in peers {
        if let SocketAddr::V4(addr) = peer.addr {
            write_peer_v4(out, addr);
        }
    }
    if v6 > 0 {
        put(out, format_args!("6:peers6{}:", v6 * 18));
    }
    for peer in peers {
        if let SocketAddr::V6(addr) = peer.addr {
            write_peer_v6(out, addr);
        }
    }
}

fn write_dictionaries(peers: &[ReplyPeer], with_id: bool, out: &mut Vec<u8>) {
    out.push(b'l');
    for peer in peers {
        // The length comes before the text, so the text is laid out first; no address is longer than 45 characters.
        let mut text = [0; 45];
        let mut rest = &mut text[..];
        write!(rest, "{}", peer.addr.ip()).expect("fits every address");
        let length = 45 - rest.len();
        put(out, format_args!("d2:ip{length}:"));
        out.extend_from_slice(&text[..length]);
        if let Some(id) = peer.peer_id.filter(|_| with_id) {
            out.extend_from_slice(b"7:peer id20:");
            out.extend_from_slice(id.as_bytes());
        }
        put(out, format_args!("4:porti{}ee", peer.addr.port()));
    }
    out.push(b'e');
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes everything");
}
