use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What an agent is called: 1 to 64 letters, digits and `. _ -`, all of ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AgentId(String);

/// A text that is not the id of an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an agent id: expected 1 to 64 letters, digits and . _ -")]
pub struct AgentIdError(String);

impl FromStr for AgentId {
    type Err = AgentIdError;

    fn from_str(text: &str) -> Result<Self, AgentIdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AgentIdError(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for AgentId {
    type Error = AgentIdError;

    fn try_from(text: String) -> Result<Self, AgentIdError> {
        text.parse()
    }
}

impl From<AgentId> for String {
    fn from(id: AgentId) -> Self {
        id.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_words_of_ascii() {
        let longest = "x".repeat(64);
        for text in ["agent-6cc7cbb7", "web.7_b", longest.as_str()] {
            assert_eq!(text.parse::<AgentId>().unwrap().to_string(), text);
        }
        let long = "x".repeat(65);
        for text in ["", "a b", "a/b", "é", "a\n", long.as_str()] {
            assert!(text.parse::<AgentId>().is_err(), "{text:?}");
        }
    }
}
