use std::net::SocketAddr;

use super::{ANNOUNCE, CONNECT, ERROR, Fields, PacketError, SCRAPE};
use crate::{
    announce::{ReplyHead, read_peers_v4, read_peers_v6},
    scrape::Counts,
};

/// What a tracker answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A connection id.
    Connect {
        /// That of the request.
        transaction_id: u32,
        /// To be said with each request for the next minute.
        connection_id: u64,
    },
    /// Where others are.
    Announce {
        /// That of the request.
        transaction_id: u32,
        /// Seconds until the next regular announce.
        interval: u32,
        /// Peers that do not have everything.
        leechers: u32,
        /// Peers that have.
        seeders: u32,
        /// Where to find others, of the family of the one who asked.
        peers: Vec<SocketAddr>,
    },
    /// How many peers there are.
    Scrape {
        /// That of the request.
        transaction_id: u32,
        /// In the order of the request.
        swarms: Vec<Counts>,
    },
    /// Nothing of that.
    Error {
        /// That of the request.
        transaction_id: u32,
        /// Why.
        message: String,
    },
}

impl Reply {
    /// Reads a datagram from any tracker; peers have IPv6 addresses when the request went over IPv6.
    ///
    /// # Errors
    /// [`PacketError::Short`], [`PacketError::Action`], [`PacketError::Scrape`], [`PacketError::Peers`].
    pub fn parse(packet: &[u8], is_ipv6: bool) -> Result<Self, PacketError> {
        let mut fields = Fields(packet);
        let short = || PacketError::Short(packet.len());
        let (action, transaction_id) = (|| Some((fields.u32()?, fields.u32()?)))().ok_or_else(short)?;
        match action {
            CONNECT => {
                let connection_id = fields.u64().ok_or_else(short)?;
                Ok(Self::Connect { transaction_id, connection_id })
            }
            ANNOUNCE => {
                let numbers = (|| Some((fields.u32()?, fields.u32()?, fields.u32()?)))();
                let (interval, leechers, seeders) = numbers.ok_or_else(short)?;
                let peers = if is_ipv6 {
                    read_peers_v6(fields.0).map(Iterator::collect)
                } else {
                    read_peers_v4(fields.0).map(Iterator::collect)
                };
                let peers = peers.ok_or(PacketError::Peers(fields.0.len()))?;
                Ok(Self::Announce { transaction_id, interval, leechers, seeders, peers })
            }
            SCRAPE => {
                let (swarms, []) = fields.0.as_chunks::<12>() else { return Err(PacketError::Scrape(fields.0.len())) };
                Ok(Self::Scrape { transaction_id, swarms: swarms.iter().map(counts).collect() })
            }
            ERROR => Ok(Self::Error { transaction_id, message: String::from_utf8_lossy(fields.0).into_owned() }),
            other => Err(PacketError::Action(other)),
        }
    }
}

fn counts(bytes: &[u8; 12]) -> Counts {
    let mut fields = Fields(bytes);
    let mut next = || fields.u32().expect("there are three");
    let (complete, downloaded, incomplete) = (next(), next(), next());
    Counts { complete, downloaded, downloaders: incomplete, incomplete }
}

/// Appends the answer to a connect.
pub fn write_connect(transaction_id: u32, connection_id: u64, out: &mut Vec<u8>) {
    write(&[CONNECT, transaction_id], out);
    out.extend_from_slice(&connection_id.to_be_bytes());
}

/// Appends the answer to an announce, with peers of 6 or 18 bytes each.
pub fn write_announce<const N: usize>(transaction_id: u32, head: &ReplyHead, peers: &[[u8; N]], out: &mut Vec<u8>) {
    write(&[ANNOUNCE, transaction_id, head.interval, head.incomplete, head.complete], out);
    out.extend_from_slice(peers.as_flattened());
}

/// Appends the answer to a scrape, in the order of the request.
pub fn write_scrape(transaction_id: u32, swarms: impl IntoIterator<Item = Counts>, out: &mut Vec<u8>) {
    write(&[SCRAPE, transaction_id], out);
    for Counts { complete, downloaded, incomplete, .. } in swarms {
        write(&[complete, downloaded, incomplete], out);
    }
}

/// Appends a refusal.
pub fn write_error(transaction_id: u32, message: &str, out: &mut Vec<u8>) {
    write(&[ERROR, transaction_id], out);
    out.extend_from_slice(message.as_bytes());
}

fn write(numbers: &[u32], out: &mut Vec<u8>) {
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
}
