//! How fast content may move.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::BLOCK_LENGTH;

/// Bytes a second, or no limit, which is written 0.
///
/// A block is sent or asked for as a whole, so no limit is below 16 KiB a second: it would let nothing pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Rate(Option<NonZeroU32>);

/// A limit that would let nothing pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a limit of {0} bytes a second lets no block of {BLOCK_LENGTH} bytes pass, expected 0 for no limit, or more")]
pub struct RateError(u32);

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self(None);

    /// Bytes a second; none when there is no limit.
    pub const fn get(self) -> Option<NonZeroU32> {
        self.0
    }
}

impl TryFrom<u32> for Rate {
    type Error = RateError;

    fn try_from(bytes: u32) -> Result<Self, RateError> {
        if (1..BLOCK_LENGTH).contains(&bytes) { Err(RateError(bytes)) } else { Ok(Self(NonZeroU32::new(bytes))) }
    }
}

impl From<Rate> for u32 {
    fn from(rate: Rate) -> Self {
        rate.0.map_or(0, NonZeroU32::get)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        u32::from(*self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_lets_a_block_pass_or_is_none() {
        assert_eq!(Rate::try_from(0), Ok(Rate::UNLIMITED));
        for bytes in [BLOCK_LENGTH, u32::MAX] {
            assert_eq!(Rate::try_from(bytes).map(u32::from), Ok(bytes));
        }
        for bytes in [1, BLOCK_LENGTH - 1] {
            let error = Rate::try_from(bytes).unwrap_err().to_string();
            assert!(error.contains(&bytes.to_string()) && error.contains("16384"), "{error}");
        }
    }
}
