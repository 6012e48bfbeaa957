use std::{fmt, str::FromStr};

/// How much of a fleet is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many of a hundred agents.
    Percent(u64),
    /// So many agents.
    Agents(u64),
}

/// A text that is no share.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no share: expected 1% to 100%, or a number of agents such as 8")]
pub struct ShareError(String);

impl Share {
    /// Whether `complete` of `agents` are enough. Nobody of nobody is not.
    pub fn is_reached(self, complete: u64, agents: u64) -> bool {
        match self {
            Self::Percent(percent) => {
                agents > 0 && u128::from(complete) * 100 >= u128::from(percent) * u128::from(agents)
            }
            Self::Agents(count) => complete >= count,
        }
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|percent| (1..=100).contains(percent)).map(Self::Percent),
            None => text.parse().ok().filter(|count| *count > 0).map(Self::Agents),
        };
        share.ok_or_else(|| ShareError(text.to_owned()))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Agents(count) => count.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_or_a_number_of_agents() {
        assert_eq!("95%".parse(), Ok(Share::Percent(95)));
        assert_eq!("100".parse(), Ok(Share::Agents(100)));
        for text in ["", "%", "0%", "101%", "0", "-1", "95 %", "half"] {
            assert_eq!(text.parse::<Share>(), Err(ShareError(text.to_owned())));
        }
    }

    #[test]
    fn a_share_is_reached_and_not_rounded() {
        assert!(Share::Percent(95).is_reached(95, 100) && !Share::Percent(95).is_reached(94, 100));
        assert!(!Share::Percent(95).is_reached(7, 8) && Share::Percent(87).is_reached(7, 8));
        assert!(!Share::Percent(1).is_reached(0, 0), "nobody of nobody");
        assert!(Share::Agents(8).is_reached(8, 10) && !Share::Agents(8).is_reached(7, 7));
    }
}
