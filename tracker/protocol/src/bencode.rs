//! A canonical bencode scanner (BEP 3).
//!
//! `serde_bencode` accepts unsorted and duplicate keys, `i007e` and trailing bytes, and overflows the stack on deep
//! nesting. [`scan`] stands in front of it: what has passed here is canonical and no deeper than [`Limits::depth`].

use std::ops::Range;

/// How much bencode is read before it is refused.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Length of the whole input, in bytes.
    pub bytes: usize,
    /// Lists and dictionaries inside each other.
    pub depth: usize,
    /// Strings, integers, lists and dictionaries in all, keys included.
    pub values: usize,
}

/// Why some bytes are not canonical bencode. Offsets count bytes from the start of the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The input is longer than [`Limits::bytes`].
    #[error("{found} bytes of bencode, expected at most {limit}")]
    TooLong {
        /// Length of the input.
        found: usize,
        /// The limit that it exceeds.
        limit: usize,
    },
    /// Nesting exceeds [`Limits::depth`].
    #[error("nested deeper than {limit} levels at byte {at}")]
    TooDeep {
        /// Where the first container beyond the limit starts.
        at: usize,
        /// The limit that it exceeds.
        limit: usize,
    },
    /// More values than [`Limits::values`].
    #[error("more than {limit} values")]
    TooMany {
        /// The limit that is exceeded.
        limit: usize,
    },
    /// The input ends inside a value.
    #[error("ends inside a value at byte {at}")]
    Truncated {
        /// The length of the input.
        at: usize,
    },
    /// A byte that cannot start a value here.
    #[error("unexpected byte 0x{found:02x} at byte {at}")]
    Unexpected {
        /// Where it is.
        at: usize,
        /// What it is.
        found: u8,
    },
    /// An integer or a length with a leading zero, `-0`, no digit, or more than 19 digits.
    #[error("malformed number at byte {at}")]
    Number {
        /// Where it starts.
        at: usize,
    },
    /// Dictionary keys that are not sorted, or that repeat.
    #[error("dictionary key at byte {at} is not after the one before it")]
    KeyOrder {
        /// Where the offending key starts.
        at: usize,
    },
    /// Bytes after the one value.
    #[error("trailing bytes at byte {at}")]
    Trailing {
        /// Where they start.
        at: usize,
    },
    /// The outermost value is not a dictionary.
    #[error("not a dictionary")]
    NotDictionary,
}

/// A dictionary that has been scanned, with its entries in place.
#[derive(Debug, Clone)]
pub struct Dictionary<'a> {
    bytes: &'a [u8],
    entries: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> Dictionary<'a> {
    /// The span of the value under `key` in the scanned bytes: canonical bencode in itself.
    pub fn span(&self, key: &[u8]) -> Option<Range<usize>> {
        self.entries
            .binary_search_by(|(k, _)| self.bytes[k.clone()].cmp(key))
            .ok()
            .map(|found| self.entries[found].1.clone())
    }

    /// The bencoded value under `key`.
    pub fn get(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.span(key).map(|span| &self.bytes[span])
    }

    /// Keys (without their length prefix) and bencoded values, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.entries.iter().map(|(key, value)| (&self.bytes[key.clone()], &self.bytes[value.clone()]))
    }
}

/// Reads `bytes` as one canonical dictionary and nothing after it.
///
/// Linear in the length of the input; memory is bounded by the limits; the stack is not used.
///
/// # Errors
/// Every variant of [`Error`], for the first offence.
pub fn scan(bytes: &[u8], limits: Limits) -> Result<Dictionary<'_>, Error> {
    let (dictionary, end) = scan_prefix(bytes, limits)?;
    if end == bytes.len() { Ok(dictionary) } else { Err(Error::Trailing { at: end }) }
}

/// Reads one canonical dictionary from the start of `bytes`, and says where it ends.
///
/// What BEP 9 needs: its messages carry raw bytes after a dictionary.
///
/// # Errors
/// As [`scan`], without [`Error::Trailing`].
pub fn scan_prefix(bytes: &[u8], limits: Limits) -> Result<(Dictionary<'_>, usize), Error> {
    if bytes.len() > limits.bytes {
        return Err(Error::TooLong { found: bytes.len(), limit: limits.bytes });
    }
    match bytes.first() {
        Some(b'd') => Scanner { bytes, limits, at: 0, values: 0, open: Vec::new(), entries: Vec::new() }.run(),
        Some(_) => Err(Error::NotDictionary),
        None => Err(Error::Truncated { at: 0 }),
    }
}

enum Container {
    List,
    Dictionary { last_key: Option<Range<usize>>, value_is_due: bool },
}

struct Scanner<'a> {
    bytes: &'a [u8],
    limits: Limits,
    at: usize,
    values: usize,
    open: Vec<Container>,
    entries: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> Scanner<'a> {
    fn run(mut self) -> Result<(Dictionary<'a>, usize), Error> {
        loop {
            match self.peek()? {
                b'e' => self.close()?,
                found => {
                    self.values += 1;
                    if self.values > self.limits.values {
                        return Err(Error::TooMany { limit: self.limits.values });
                    }
                    match found {
                        b'0'..=b'9' => self.string()?,
                        _ if self.key_is_due() => return Err(Error::Unexpected { at: self.at, found }),
                        b'i' => self.integer()?,
                        b'l' => self.push(Container::List)?,
                        b'd' => self.push(Container::Dictionary { last_key: None, value_is_due: false })?,
                        _ => return Err(Error::Unexpected { at: self.at, found }),
                    }
                }
            }
            if self.open.is_empty() {
                return Ok((Dictionary { bytes: self.bytes, entries: self.entries }, self.at));
            }
        }
    }

    fn peek(&self) -> Result<u8, Error> {
        self.bytes.get(self.at).copied().ok_or(Error::Truncated { at: self.bytes.len() })
    }

    fn key_is_due(&self) -> bool {
        matches!(self.open.last(), Some(Container::Dictionary { value_is_due: false, .. }))
    }

    fn push(&mut self, container: Container) -> Result<(), Error> {
        if self.open.len() == self.limits.depth {
            return Err(Error::TooDeep { at: self.at, limit: self.limits.depth });
        }
        if self.open.len() == 1 {
            self.begin_entry();
        }
        self.open.push(container);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some(Container::Dictionary { value_is_due: true, .. }) = self.open.last() {
            return Err(Error::Unexpected { at: self.at, found: b'e' });
        }
        self.open.pop();
        self.at += 1;
        self.value_ended();
        Ok(())
    }

    fn integer(&mut self) -> Result<(), Error> {
        let start = self.at;
        if self.open.len() == 1 {
            self.begin_entry();
        }
        self.at += 1;
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let magnitude = self.digits(start, b'e')?;
        if negative && magnitude == 0 || magnitude > i64::MAX as u64 {
            return Err(Error::Number { at: start });
        }
        self.value_ended();
        Ok(())
    }

    fn string(&mut self) -> Result<(), Error> {
        let start = self.at;
        let length = self.digits(start, b':')?;
        let length = usize::try_from(length).map_err(|_| Error::Number { at: start })?;
        if length > self.bytes.len() - self.at {
            return Err(Error::Truncated { at: self.bytes.len() });
        }
        let content = self.at..self.at + length;
        self.at = content.end;
        let top = self.open.len() == 1;
        let Some(Container::Dictionary { last_key, value_is_due: value_is_due @ false }) = self.open.last_mut() else {
            if top {
                self.begin_entry_at(start);
            }
            self.value_ended();
            return Ok(());
        };
        if last_key.as_ref().is_some_and(|last| self.bytes[last.clone()] >= self.bytes[content.clone()]) {
            return Err(Error::KeyOrder { at: start });
        }
        *last_key = Some(content.clone());
        *value_is_due = true;
        Ok(())
    }

    /// Reads digits up to `end`, which is consumed.
    fn digits(&mut self, start: usize, end: u8) -> Result<u64, Error> {
        let first = self.at;
        let mut value: u64 = 0;
        loop {
            let byte = self.peek()?;
            let index = self.at - first;
            self.at += 1;
            if byte == end && index > 0 {
                return Ok(value);
            }
            let leading_zero = index == 1 && value == 0;
            if !byte.is_ascii_digit() || leading_zero || index == 19 {
                return Err(Error::Number { at: start });
            }
            value = value * 10 + u64::from(byte - b'0');
        }
    }

    fn begin_entry(&mut self) {
        self.begin_entry_at(self.at);
    }

    fn begin_entry_at(&mut self, start: usize) {
        if let Some(Container::Dictionary { last_key: Some(key), .. }) = self.open.last() {
            self.entries.push((key.clone(), start..start));
        }
    }

    fn value_ended(&mut self) {
        if self.open.len() == 1
            && let Some((_, value)) = self.entries.last_mut()
        {
            value.end = self.at;
        }
        if let Some(Container::Dictionary { value_is_due, .. }) = self.open.last_mut() {
            *value_is_due = false;
        }
    }
}

#[cfg(test)]
mod tests;
