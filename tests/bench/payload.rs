//! What a link carries of content.

/// Bytes of a full frame, of which the lab's shaper counts each, and what TCP makes of them.
pub const FRAME: u32 = 1514;
pub const PAYLOAD: u32 = 1448;
