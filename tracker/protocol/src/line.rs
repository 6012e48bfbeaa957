use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text of one line that people read: at most 200 bytes, none of them a control character, which terminals obey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Line(Box<str>);

/// A text that is no such line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Too long.
    #[error("text of {0} bytes, expected {max} at most", max = Line::MAX)]
    Length(usize),
    /// A character that drives a terminal.
    #[error("text with the control character {0:?}, expected one line of plain text")]
    Control(char),
}

impl Line {
    /// Bytes of the longest.
    pub const MAX: usize = 200;

    /// As much of a text as makes a line; control characters become spaces.
    pub fn fit(text: &str) -> Self {
        let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        line.truncate(line.floor_char_boundary(Self::MAX));
        Self(line.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Line {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, LineError> {
        if text.len() > Self::MAX {
            return Err(LineError::Length(text.len()));
        }
        text.chars().find(|c| c.is_control()).map_or_else(|| Ok(Self(text.into())), |c| Err(LineError::Control(c)))
    }
}

impl TryFrom<String> for Line {
    type Error = LineError;

    fn try_from(text: String) -> Result<Self, LineError> {
        text.parse()
    }
}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.0.into()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_drives_no_terminal() {
        assert_eq!("no space left, 3 bytes".parse::<Line>().unwrap().as_str(), "no space left, 3 bytes");
        assert_eq!("a\u{1b}[2J".parse::<Line>(), Err(LineError::Control('\u{1b}')));
        assert_eq!("x".repeat(201).parse::<Line>(), Err(LineError::Length(201)));
    }

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        let cut = Line::fit(&format!("a\n{}", "я".repeat(200)));
        assert_eq!(cut.as_str(), format!("a {}", "я".repeat(99)));
        assert_eq!(cut.as_str().parse::<Line>().unwrap(), cut);
    }
}
