//! Everything in nova that crosses a wire or is parsed from strangers.
//!
//! No I/O, no async, no clock: bytes in, values out, and back. A value of one of these types is valid by
//! construction, so the rest of nova never checks it again.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod agent_id;
pub mod announce;
pub mod api;
pub mod bencode;
mod file_path;
mod info_hash;
mod line;
pub mod magnet;
pub mod metainfo;
mod peer_id;
pub mod peer_wire;
mod piece_length;
pub mod query;
mod rate;
mod reference;
pub mod scrape;
pub mod udp;

pub use agent_id::{AgentId, AgentIdError};
pub use file_path::{FilePath, FilePathError};
pub use info_hash::{InfoHash, InfoHashError};
pub use line::{Line, LineError};
pub use magnet::Magnet;
pub use metainfo::{Metainfo, MetainfoError};
pub use peer_id::PeerId;
pub use piece_length::{PieceLength, PieceLengthError};
pub use rate::{Rate, RateError};
pub use reference::{Name, Reference, ReferenceError, Tag};

/// The unit in which peers ask each other for content (BEP 3), in bytes.
pub const BLOCK_LENGTH: u32 = 16 * 1024;
