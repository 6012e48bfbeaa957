//! What must hold for any bytes from anybody. cargo-fuzz looks for bytes for which it does not; the test
//! `tracker/protocol/tests/corpus.rs` tries the corpus and mutations of it.

mod bencode;
mod query;
mod reply;
mod udp;

pub use bencode::bencode_scan;
pub use query::{announce_query, scrape_query};
pub use reply::announce_reply;
pub use udp::udp_packet;
