use std::fmt;

/// The 20 bytes by which a peer calls itself (BEP 3, BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId([u8; 20]);

impl PeerId {
    /// A peer id in the style of BEP 20, of this version of nova: `-NV0100-` and twelve bytes of the caller's choice,
    /// which should be random.
    pub fn nova(random: [u8; 12]) -> Self {
        let mut id = *b"-NV0100-\0\0\0\0\0\0\0\0\0\0\0\0";
        id[8..].copy_from_slice(&random);
        Self(id)
    }

    /// Whether it is one of nova, of any version.
    pub fn is_nova(&self) -> bool {
        self.0.starts_with(b"-NV")
    }

    /// The 20 bytes that go on the wire.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl From<[u8; 20]> for PeerId {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
