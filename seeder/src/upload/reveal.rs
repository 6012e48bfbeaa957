//! Who is told about which piece, and when.
//!
//! Everybody is told about everything on joining: plain seeding. Whatever scheduling there will be decides here, and
//! nowhere else, what a peer may ask for.

use nova_protocol::peer_wire::{Bitfield, Message};

/// What a peer is told right after the handshake.
pub(super) fn on_join(pieces: u32, fast: bool) -> Message {
    if fast { Message::HaveAll } else { Message::Bitfield(Bitfield::full(pieces).as_bytes().to_vec()) }
}
