//! A secret that whoever asks an agent must know.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Fewer can be guessed.
const LEAST: usize = 16;
const MOST: usize = 1024;

/// A bearer token: 16 to 1024 visible ASCII characters. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// A token as settings give it: in place or in a file, or not at all.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TokenText(String);

/// Not a token, or not one token. The text is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Too short or too long.
    #[error("a token of {0} characters, expected {LEAST} to {MOST}; `openssl rand -hex 32` makes one")]
    Length(usize),
    /// It could not be sent in a header.
    #[error("a token with a space or a character that is not visible ASCII; `openssl rand -hex 32` makes one")]
    Character,
    /// Two ways to say it.
    #[error("both {0} and {0}_file are set, expected one of them")]
    Both(&'static str),
    /// The file cannot be read.
    #[error("cannot read the token in {}: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Token {
    /// The token of two settings, `NAME` and `NAME_file`, of which at most one may be set. The file has the token
    /// alone, with blanks around it or not.
    ///
    /// # Errors
    /// Every variant of [`TokenError`].
    pub fn of_settings(name: &'static str, text: &TokenText, file: &Path) -> Result<Option<Self>, TokenError> {
        match (text.0.as_str(), file.as_os_str().is_empty()) {
            ("", true) => Ok(None),
            (text, true) => text.parse().map(Some),
            ("", false) => {
                let found = fs::read_to_string(file);
                let found = found.map_err(|source| TokenError::File { path: file.to_path_buf(), source })?;
                found.trim().parse().map(Some)
            }
            _ => Err(TokenError::Both(name)),
        }
    }

    /// Whether somebody knows it. How long this takes does not depend on what they said.
    pub fn is(&self, said: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), said.as_bytes()).is_ok()
    }

    /// What to send in `Authorization`.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Character);
        }
        if !(LEAST..=MOST).contains(&text.len()) {
            return Err(TokenError::Length(text.len()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "TokenText(none)" } else { "TokenText(..)" })
    }
}

impl From<&str> for TokenText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Serialize for TokenText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TokenText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsText)
    }
}

/// Takes text alone. What else it finds is not repeated in the error: it may well be the token.
struct AsText;

impl AsText {
    fn refuse<E: de::Error>() -> Result<TokenText, E> {
        Err(E::custom("not text, expected a token in quotes, and within more quotes in an environment variable"))
    }
}

impl de::Visitor<'_> for AsText {
    type Value = TokenText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TokenText, E> {
        Ok(TokenText(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<TokenText, E> {
        Self::refuse()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<TokenText, E> {
        Self::refuse()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<TokenText, E> {
        Self::refuse()
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<TokenText, E> {
        Self::refuse()
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<TokenText, E> {
        Self::refuse()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<TokenText, E> {
        Self::refuse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef";

    #[test]
    fn a_token_is_long_enough_and_fits_in_a_header() {
        assert!(GOOD.parse::<Token>().is_ok());
        for text in ["", "short", "0123456789 abcdef", "0123456789abcdé", &"x".repeat(1025)] {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_same_token_is_it() {
        let token: Token = GOOD.parse().unwrap();
        assert!(token.is(GOOD));
        for other in ["", "0123456789abcdeF", "0123456789abcde", "0123456789abcdef0"] {
            assert!(!token.is(other), "{other}");
        }
    }

    #[test]
    fn a_token_comes_from_one_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("{GOOD}\n")).unwrap();
        let (none, text, nowhere) = (TokenText::default(), TokenText::from(GOOD), Path::new(""));
        assert!(Token::of_settings("token", &none, nowhere).unwrap().is_none());
        assert!(Token::of_settings("token", &text, nowhere).unwrap().unwrap().is(GOOD));
        assert!(Token::of_settings("token", &none, file.path()).unwrap().unwrap().is(GOOD));
        assert!(matches!(Token::of_settings("token", &text, file.path()), Err(TokenError::Both("token"))));
        let gone = Token::of_settings("token", &none, Path::new("/no/such/file")).unwrap_err().to_string();
        assert!(gone.contains("/no/such/file"), "{gone}");
    }

    #[test]
    fn a_token_is_not_in_errors_nor_in_logs() {
        let shown = format!("{:?} {:?}", GOOD.parse::<Token>().unwrap(), TokenText::from(GOOD));
        assert!(!shown.contains(GOOD));
        let number = serde_json::from_str::<TokenText>("1234567890123456").unwrap_err().to_string();
        assert!(!number.contains("1234567890123456") && number.contains("quotes"), "{number}");
        let spaced = "0123 456789abcdef".parse::<Token>().unwrap_err().to_string();
        assert!(!spaced.contains("456789"), "{spaced}");
    }
}
