use serde::{Deserialize, Serialize};

use crate::bencode;

const LIMITS: bencode::Limits = bencode::Limits { bytes: 64 << 10, depth: 8, values: 1000 };

/// The handshake of BEP 10, as far as nova uses it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedHandshake {
    /// Extension messages that the sender reads, and the ids it wants for them.
    #[serde(default)]
    pub m: Extensions,
    /// Bytes in the info dictionary (BEP 9), when the sender will send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_size: Option<u32>,
    /// The port that the sender listens on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<u16>,
    /// How many requests the sender queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reqq: Option<u32>,
    /// The sender's name and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v: Option<String>,
}

/// Ids for extension messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extensions {
    /// For BEP 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ut_metadata: Option<u8>,
}

/// A message of BEP 9, without the bytes that may follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataMessage {
    /// See [`MetadataType`].
    msg_type: u8,
    /// Which 16 KiB of the info dictionary.
    pub piece: u32,
    /// Bytes in the info dictionary, with data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_size: Option<u32>,
}

/// What a message of BEP 9 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataType {
    /// Please send this.
    Request,
    /// Here it is.
    Data,
    /// It will not come.
    Reject,
}

impl ExtendedHandshake {
    /// Bencode, as the payload of message 0.
    pub fn encode(&self) -> Vec<u8> {
        serde_bencode::to_bytes(self).expect("a struct of integers and strings encodes")
    }

    /// Reads what a peer sent. A handshake that is not bencode, or has values of other types, counts as empty: it is
    /// advice, and some clients send bytes where UTF-8 is due.
    pub fn decode(payload: &[u8]) -> Self {
        let known = bencode::scan(payload, LIMITS).ok();
        known.and_then(|_| serde_bencode::from_bytes(payload).ok()).unwrap_or_default()
    }
}

impl MetadataMessage {
    /// A message about piece `piece` of an info dictionary.
    pub fn new(kind: MetadataType, piece: u32, total_size: Option<u32>) -> Self {
        Self { msg_type: kind as u8, piece, total_size }
    }

    /// What the message is, if it is one that BEP 9 knows.
    pub fn kind(&self) -> Option<MetadataType> {
        [MetadataType::Request, MetadataType::Data, MetadataType::Reject]
            .into_iter()
            .find(|&kind| kind as u8 == self.msg_type)
    }

    /// Bencode, to be followed by the bytes when this is data.
    pub fn encode(&self) -> Vec<u8> {
        serde_bencode::to_bytes(self).expect("a struct of integers encodes")
    }

    /// Reads a message, and where the bytes after it start.
    ///
    /// # Errors
    /// [`bencode::Error`] when it is not canonical bencode; `None` when the fields are not those of BEP 9.
    pub fn decode(payload: &[u8]) -> Result<Option<(Self, usize)>, bencode::Error> {
        let (_, end) = bencode::scan_prefix(payload, LIMITS)?;
        Ok(serde_bencode::from_bytes(&payload[..end]).ok().map(|message| (message, end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_handshake_round_trips_and_is_canonical() {
        let shake = ExtendedHandshake {
            m: Extensions { ut_metadata: Some(3) },
            metadata_size: Some(31_235),
            p: Some(15_001),
            reqq: Some(512),
            v: Some("nova 0.1.0".into()),
        };
        assert!(bencode::scan(&shake.encode(), LIMITS).is_ok());
        assert_eq!(ExtendedHandshake::decode(&shake.encode()), shake);
    }

    #[test]
    fn a_handshake_that_makes_no_sense_counts_as_empty() {
        for payload in [&b""[..], b"i1e", b"d1:mi1ee", b"d1:v1:\xffe", &b"l".repeat(9000)] {
            assert_eq!(ExtendedHandshake::decode(payload), ExtendedHandshake::default());
        }
    }

    #[test]
    fn metadata_is_followed_by_raw_bytes() {
        let message = MetadataMessage::new(MetadataType::Data, 2, Some(40_000));
        let payload = [message.encode(), b"RAW".to_vec()].concat();
        let (read, end) = MetadataMessage::decode(&payload).unwrap().unwrap();
        assert_eq!((read.kind(), &payload[end..]), (Some(MetadataType::Data), &b"RAW"[..]));
        assert_eq!(read, message);
    }
}
