//! Queries from anybody, a few hundred bytes each, and the tracker's most frequent work: nothing is allocated, and what
//! is written as clients write it is read without going through [`query::decode`].

#[cfg(test)]
mod tests;

use std::{
    net::{SocketAddr, SocketAddrV4, SocketAddrV6},
    str::FromStr,
};

use super::{AnnounceRequest, Event, RequestError};
use crate::query;

/// No address with a port, as clients write them, is longer than 47 characters.
const ADDRESS: usize = 64;

pub(super) fn parse(query: &[u8]) -> Result<AnnounceRequest, RequestError> {
    let fields = Fields::of(query);
    let port = fields.port.ok_or(RequestError::Missing("port"))?;
    let port = read_port(port).ok_or(RequestError::Number { key: "port", max: u16::MAX.into() })?;
    let left = fields.left.ok_or(RequestError::Missing("left"))?;
    Ok(AnnounceRequest {
        info_hash: twenty("info_hash", fields.info_hash)?.into(),
        peer_id: twenty("peer_id", fields.peer_id)?.into(),
        port,
        uploaded: amount("uploaded", fields.uploaded)?,
        downloaded: amount("downloaded", fields.downloaded)?,
        left: amount("left", Some(left))?,
        event: fields.event.map_or(Event::None, read_event),
        num_want: fields.num_want.and_then(|value| number::<10>(value)?.try_into().ok()),
        compact: fields.compact.is_none_or(|value| !is(value, b'0')),
        no_peer_id: fields.no_peer_id.is_some_and(|value| is(value, b'1')),
        key: fields.key.and_then(|value| number::<16>(value)?.try_into().ok()),
        ip: fields.ip.and_then(read_text),
        ipv4: fields.ipv4.and_then(|value| read_v4(value, port)),
        ipv6: fields.ipv6.and_then(|value| read_v6(value, port)),
    })
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
            let Some(field) = fields.of_key(key) else { continue };
            field.get_or_insert(value);
        }
        fields
    }

    /// By length first: one comparison finds the field, or that there is none.
    fn of_key(&mut self, key: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        Some(match key.len() {
            2 if key == b"ip" => &mut self.ip,
            3 if key == b"key" => &mut self.key,
            4 => match key {
                b"port" => &mut self.port,
                b"left" => &mut self.left,
                b"ipv4" => &mut self.ipv4,
                b"ipv6" => &mut self.ipv6,
                _ => return None,
            },
            5 if key == b"event" => &mut self.event,
            7 if key == b"numwant" => &mut self.num_want,
            7 if key == b"peer_id" => &mut self.peer_id,
            7 if key == b"compact" => &mut self.compact,
            8 if key == b"uploaded" => &mut self.uploaded,
            8 if key == b"num_want" => &mut self.num_want,
            9 if key == b"info_hash" => &mut self.info_hash,
            10 if key == b"downloaded" => &mut self.downloaded,
            10 if key == b"no_peer_id" => &mut self.no_peer_id,
            _ => return None,
        })
    }
}

pub(crate) fn twenty(key: &'static str, encoded: Option<&[u8]>) -> Result<[u8; 20], RequestError> {
    let encoded = encoded.ok_or(RequestError::Missing(key))?;
    query::decode_exact(encoded).map_err(|found| RequestError::Length { key, found })
}

/// An absent number is 0.
fn amount(key: &'static str, encoded: Option<&[u8]>) -> Result<u64, RequestError> {
    encoded.map_or(Some(0), number::<10>).ok_or(RequestError::Number { key, max: u64::MAX })
}

fn read_port(encoded: &[u8]) -> Option<u16> {
    number::<10>(encoded)?.try_into().ok()
}

/// A number of up to 16 plain digits, which cannot overflow, is read without looking back; others take the long way.
fn number<const RADIX: u64>(encoded: &[u8]) -> Option<u64> {
    if (1..=16).contains(&encoded.len()) {
        let (mut value, mut largest) = (0, 0);
        for byte in encoded {
            let digit = query::hex(*byte);
            value = u64::wrapping_add(u64::wrapping_mul(value, RADIX), digit);
            largest = largest.max(digit);
        }
        if largest < RADIX {
            return Some(value);
        }
    }
    let mut digits = query::decode(encoded).map(query::hex).peekable();
    digits.peek()?;
    digits.try_fold(
        0u64,
        |value, digit| {
            if digit < RADIX { value.checked_mul(RADIX)?.checked_add(digit) } else { None }
        },
    )
}

fn is(encoded: &[u8], byte: u8) -> bool {
    encoded == [byte] || query::decode(encoded).eq([byte])
}

/// Words that nobody knows are regular announces.
fn read_event(encoded: &[u8]) -> Event {
    let known = [Event::Started, Event::Completed, Event::Stopped, Event::Paused];
    let mut word = [0; 9];
    let word = query::decode_into(encoded, &mut word).unwrap_or_default();
    known.into_iter().find(|event| event.as_str().as_bytes() == word).unwrap_or_default()
}

fn read_text<T: FromStr>(encoded: &[u8]) -> Option<T> {
    let mut text = [0; ADDRESS];
    str::from_utf8(query::decode_into(encoded, &mut text)?).ok()?.parse().ok()
}

/// An address with a port, or one whose port is that of the announce (BEP 7).
fn read_v4(encoded: &[u8], port: u16) -> Option<SocketAddrV4> {
    read_text(encoded).or_else(|| Some(SocketAddrV4::new(read_text(encoded)?, port)))
}

/// As [`read_v4`]; zones mean nothing to others.
fn read_v6(encoded: &[u8], port: u16) -> Option<SocketAddrV6> {
    let found = read_text(encoded).or_else(|| Some(SocketAddr::new(read_text(encoded)?, port)))?;
    let SocketAddr::V6(addr) = found else { return None };
    Some(SocketAddrV6::new(*addr.ip(), addr.port(), 0, 0))
}
