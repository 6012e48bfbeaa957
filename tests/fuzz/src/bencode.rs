use std::collections::BTreeMap;

use nova_protocol::bencode::{Limits, scan, scan_prefix};

const LIMITS: Limits = Limits { bytes: 1 << 16, depth: 16, values: 1 << 12 };

/// A value, read without any care for whether it is canonical.
enum Value {
    Integer(i128),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Dictionary(BTreeMap<Vec<u8>, Value>),
}

impl Value {
    /// Takes a value from the front of `rest`.
    fn read(rest: &mut &[u8]) -> Self {
        match rest[0] {
            b'i' => Self::Integer(number(&take(rest, b'e')[1..])),
            b'l' => Self::List(items(rest)),
            b'd' => {
                let mut items = items(rest).into_iter();
                let mut entries = BTreeMap::new();
                while let (Some(Self::Bytes(key)), Some(value)) = (items.next(), items.next()) {
                    entries.insert(key, value);
                }
                Self::Dictionary(entries)
            }
            _ => {
                let length = usize::try_from(number(take(rest, b':'))).expect("a length");
                let (bytes, tail) = rest.split_at(length);
                *rest = tail;
                Self::Bytes(bytes.to_vec())
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(value) => out.extend_from_slice(format!("i{value}e").as_bytes()),
            Self::Bytes(bytes) => write_bytes(bytes, out),
            Self::List(items) => {
                out.push(b'l');
                for item in items {
                    item.write(out);
                }
                out.push(b'e');
            }
            Self::Dictionary(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    write_bytes(key, out);
                    value.write(out);
                }
                out.push(b'e');
            }
        }
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
}

/// What is inside a list or a dictionary.
fn items(rest: &mut &[u8]) -> Vec<Value> {
    *rest = &rest[1..];
    let mut items = Vec::new();
    while rest[0] != b'e' {
        items.push(Value::read(rest));
    }
    *rest = &rest[1..];
    items
}

/// What comes before `end`, which is taken too.
fn take<'a>(rest: &mut &'a [u8], end: u8) -> &'a [u8] {
    let at = rest.iter().position(|byte| *byte == end).expect("every number ends");
    let (taken, tail) = rest.split_at(at);
    *rest = &tail[1..];
    taken
}

fn number(digits: &[u8]) -> i128 {
    str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).expect("digits")
}

/// What the scanner takes is written as it was read, entry by entry and as a whole.
pub fn bencode_scan(bytes: &[u8]) {
    let Ok((dictionary, end)) = scan_prefix(bytes, LIMITS) else {
        assert!(scan(bytes, LIMITS).is_err());
        return;
    };
    assert_eq!(scan(bytes, LIMITS).is_ok(), end == bytes.len());
    let bytes = &bytes[..end];
    let mut rest = bytes;
    let mut written = Vec::new();
    Value::read(&mut rest).write(&mut written);
    assert_eq!((written.as_slice(), rest), (bytes, &b""[..]));
    let mut by_entries = vec![b'd'];
    for (key, value) in dictionary.entries() {
        assert_eq!(dictionary.get(key), Some(value));
        assert_eq!(dictionary.span(key).map(|span| &bytes[span]), Some(value));
        write_bytes(key, &mut by_entries);
        by_entries.extend_from_slice(value);
    }
    by_entries.push(b'e');
    assert_eq!(by_entries, bytes);
    assert!(2 * dictionary.entries().count() < LIMITS.values);
}
