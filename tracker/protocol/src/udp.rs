//! Announces and scrapes over UDP (BEP 15, with BEP 21 and 41).
//!
//! A client asks for a connection id first, which shows that it receives at its address, and then says it with each
//! request. All integers are big endian.

mod reply;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};

pub use reply::{Reply, write_announce, write_connect, write_error, write_scrape};

use crate::{
    InfoHash, PeerId,
    announce::{AnnounceRequest, Event},
};

/// What a connect has in the place of a connection id.
pub const PROTOCOL_ID: u64 = 0x0417_2710_1980;

/// How many info hashes one scrape may ask for.
pub const MAX_SCRAPE: usize = 74;

/// Action numbers, of requests and answers.
const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// Event numbers. BEP 21 gives its event none over UDP; 4 is what libtorrent sends.
const EVENTS: [Event; 5] = [Event::None, Event::Completed, Event::Started, Event::Stopped, Event::Paused];

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// It wants a connection id.
    Connect {
        /// Comes back with the answer.
        transaction_id: u32,
    },
    /// It announces itself.
    Announce {
        /// As it was given.
        connection_id: u64,
        /// Comes back with the answer.
        transaction_id: u32,
        /// What it says.
        announce: AnnounceRequest,
    },
    /// It wants to know how many peers there are.
    Scrape {
        /// As it was given.
        connection_id: u64,
        /// Comes back with the answer.
        transaction_id: u32,
        /// Of which swarms.
        info_hashes: &'a [[u8; 20]],
    },
}

/// A datagram that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Something is missing at its end.
    #[error("a datagram of {0} bytes, expected more")]
    Short(usize),
    /// An action that is not defined.
    #[error("unknown action {0}")]
    Action(u32),
    /// A connect without the protocol id.
    #[error("not the protocol id")]
    Protocol,
    /// A scrape of no info hashes, too many, or parts of some.
    #[error("a scrape of {0} bytes, expected 1 to {MAX_SCRAPE} info hashes")]
    Scrape(usize),
    /// Peers that are cut off.
    #[error("peers of {0} bytes")]
    Peers(usize),
}

impl<'a> Request<'a> {
    /// Reads a datagram from anybody. What follows an announce (BEP 41) is passed over.
    ///
    /// # Errors
    /// [`PacketError::Short`], [`PacketError::Action`], [`PacketError::Protocol`], [`PacketError::Scrape`].
    pub fn parse(packet: &'a [u8]) -> Result<Self, PacketError> {
        let mut fields = Fields(packet);
        let short = PacketError::Short(packet.len());
        let head = (|| Some((fields.u64()?, fields.u32()?, fields.u32()?)))();
        let (connection_id, action, transaction_id) = head.ok_or(short.clone())?;
        match action {
            CONNECT if connection_id == PROTOCOL_ID => Ok(Self::Connect { transaction_id }),
            CONNECT => Err(PacketError::Protocol),
            ANNOUNCE => {
                let announce = fields.announce().ok_or(short)?;
                Ok(Self::Announce { connection_id, transaction_id, announce })
            }
            SCRAPE => match fields.0.as_chunks::<20>() {
                (info_hashes @ [_, ..], []) if info_hashes.len() <= MAX_SCRAPE => {
                    Ok(Self::Scrape { connection_id, transaction_id, info_hashes })
                }
                _ => Err(PacketError::Scrape(fields.0.len())),
            },
            other => Err(PacketError::Action(other)),
        }
    }

    /// Appends the datagram.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Connect { transaction_id } => write_head(PROTOCOL_ID, CONNECT, *transaction_id, out),
            Self::Announce { connection_id, transaction_id, announce } => {
                write_head(*connection_id, ANNOUNCE, *transaction_id, out);
                write_request(announce, out);
            }
            Self::Scrape { connection_id, transaction_id, info_hashes } => {
                write_head(*connection_id, SCRAPE, *transaction_id, out);
                out.extend_from_slice(info_hashes.as_flattened());
            }
        }
    }
}

fn write_head(connection_id: u64, action: u32, transaction_id: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&connection_id.to_be_bytes());
    out.extend_from_slice(&action.to_be_bytes());
    out.extend_from_slice(&transaction_id.to_be_bytes());
}

fn write_request(announce: &AnnounceRequest, out: &mut Vec<u8>) {
    out.extend_from_slice(announce.info_hash.as_bytes());
    out.extend_from_slice(announce.peer_id.as_bytes());
    for amount in [announce.downloaded, announce.left, announce.uploaded] {
        out.extend_from_slice(&amount.to_be_bytes());
    }
    let event = EVENTS.iter().position(|event| *event == announce.event).expect("every event has a number");
    let ip = match announce.ip {
        Some(IpAddr::V4(ip)) => ip.to_bits(),
        _ => 0,
    };
    // Minus one stands for the tracker's choice.
    let num_want = announce.num_want.map_or(u32::MAX, |count| count.min(i32::MAX.unsigned_abs()));
    let event = u32::try_from(event).expect("one of five");
    for number in [event, ip, announce.key.unwrap_or_default(), num_want] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&announce.port.to_be_bytes());
}

/// What is left of a datagram.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn announce(&mut self) -> Option<AnnounceRequest> {
        let (info_hash, peer_id) = (InfoHash::from(self.take()?), PeerId::from(self.take()?));
        let (downloaded, left, uploaded) = (self.u64()?, self.u64()?, self.u64()?);
        let (event, ip, key, num_want) = (self.u32()?, self.u32()?, self.u32()?, self.u32()?);
        let event = EVENTS.get(event as usize).copied().unwrap_or_default();
        Some(AnnounceRequest {
            info_hash,
            peer_id,
            port: self.u16()?,
            uploaded,
            downloaded,
            left,
            event,
            num_want: (num_want <= i32::MAX.unsigned_abs()).then_some(num_want),
            compact: true,
            no_peer_id: true,
            key: Some(key),
            ip: (ip != 0).then(|| Ipv4Addr::from_bits(ip).into()),
            ipv4: None,
            ipv6: None,
        })
    }
}
