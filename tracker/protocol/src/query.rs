//! Query strings as BitTorrent clients send them: bytes, not text.
//!
//! Values are percent-encoded in any mixture of upper case hex, lower case hex and raw bytes; `+` is a space. A `%`
//! that two hexadecimal digits do not follow stands for itself, as browsers have it.

use std::fmt::Write;

/// The pairs of a query string, still encoded. Empty pairs are passed over; a pair without `=` has an empty value.
pub fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = query;
    std::iter::from_fn(move || {
        while let [b'&', tail @ ..] = rest {
            rest = tail;
        }
        if rest.is_empty() {
            return None;
        }
        // Keys are too short for a search with vectors; values need not be.
        let key_ends = rest.iter().position(|&byte| byte == b'=' || byte == b'&').unwrap_or(rest.len());
        let (key, tail) = rest.split_at(key_ends);
        let [b'=', tail @ ..] = tail else {
            rest = tail;
            return Some((key, &b""[..]));
        };
        let (value, tail) = tail.split_at(tail.iter().position(|&byte| byte == b'&').unwrap_or(tail.len()));
        rest = tail;
        Some((key, value))
    })
}

/// The bytes that an encoded value stands for, without allocation.
pub fn decode(encoded: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = encoded;
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => match (HEX[usize::from(*high)], HEX[usize::from(*low)]) {
                (high @ 0..16, low @ 0..16) => (high << 4 | low, tail),
                _ => (first, rest.split_at(1).1),
            },
            (b'+', tail) => (b' ', tail),
            (_, tail) => (first, tail),
        };
        rest = tail;
        Some(byte)
    })
}

/// Decodes a value that must be exactly `N` bytes, without allocation; otherwise says how many bytes it is.
///
/// # Errors
/// The length in bytes of what was found.
pub fn decode_exact<const N: usize>(encoded: &[u8]) -> Result<[u8; N], usize> {
    if let Some(bytes) = decode_well_formed(encoded) {
        return Ok(bytes);
    }
    let mut bytes = [0; N];
    let mut length = 0;
    for byte in decode(encoded) {
        if let Some(slot) = bytes.get_mut(length) {
            *slot = byte;
        }
        length += 1;
    }
    if length == N { Ok(bytes) } else { Err(length) }
}

/// Exactly `N` bytes in which two digits follow every `%`: what clients send, without the care for what they do not.
fn decode_well_formed<const N: usize>(encoded: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (mut at, mut digits) = (0, 0);
    for slot in &mut bytes {
        let first = *encoded.get(at)?;
        *slot = if first == b'%' {
            let [high, low] = encoded.get(at + 1..at + 3)? else { return None };
            let (high, low) = (HEX[usize::from(*high)], HEX[usize::from(*low)]);
            digits |= high | low;
            at += 3;
            high << 4 | low
        } else {
            at += 1;
            if first == b'+' { b' ' } else { first }
        };
    }
    (at == encoded.len() && digits < 16).then_some(bytes)
}

/// Decodes a value into `bytes`, if it fits, and gives the part that is filled.
pub(crate) fn decode_into<'a>(encoded: &[u8], bytes: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    for byte in decode(encoded) {
        *bytes.get_mut(length)? = byte;
        length += 1;
    }
    bytes.get(..length)
}

/// Decodes a value that is text, if it is UTF-8.
pub fn decode_text(encoded: &[u8]) -> Option<String> {
    String::from_utf8(decode(encoded).collect()).ok()
}

/// Appends `bytes`, percent-encoded but for the unreserved characters of RFC 3986.
pub fn encode(out: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a string takes everything");
        }
    }
}

/// What each byte is worth as a hexadecimal digit; 255 when it is none.
const HEX: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value as usize];
        table[digit as usize] = value;
        table[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    table
};

/// The value of a hexadecimal digit of either case; 255 when it is none.
pub(crate) fn hex(digit: u8) -> u64 {
    HEX[usize::from(digit)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoded: &[u8]) -> Vec<u8> {
        decode(encoded).collect()
    }

    #[test]
    fn every_form_of_percent_encoding_is_read() {
        assert_eq!(decoded(b"%aB%Ab%00\xff-a+b%2B"), b"\xab\xab\0\xff-a b+");
    }

    #[test]
    fn a_percent_sign_without_two_digits_stands_for_itself() {
        assert_eq!(decoded(b"%zz%4%%41%"), b"%zz%4%A%");
    }

    #[test]
    fn missing_and_extra_separators_are_passed_over() {
        let found: Vec<_> = pairs(b"&&a=1&b&=x&c==&").collect();
        assert_eq!(found, [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"", b"x"), (b"c", b"=")]);
    }

    #[test]
    fn exact_lengths_are_exact() {
        assert_eq!(decode_exact::<3>(b"a%62c"), Ok(*b"abc"));
        assert_eq!(decode_exact::<3>(b"abcd"), Err(4));
        assert_eq!(decode_exact::<3>(b""), Err(0));
    }

    #[test]
    fn every_byte_round_trips() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        encode(&mut text, &all);
        assert!(text.is_ascii());
        assert_eq!(decoded(text.as_bytes()), all);
    }
}
