//! Settings in layers: built-in defaults, then a file, then the environment, then flags.

use std::{
    io,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Profile,
    providers::{Env, Format, Serialized, Toml},
    value::Dict,
};
use serde::{Serialize, de::DeserializeOwned};

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings in {}: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not a file of settings: {reason}", path.display())]
    Toml {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// An unknown setting, or a value of the wrong type.
    #[error("bad setting: {0}")]
    Setting(Box<figment::Error>),
}

/// Puts the layers together. `prefix` is that of the environment, such as `NOVA_ORIGIN_`; `flags` are those that were
/// given.
///
/// # Errors
/// [`SettingsError`].
pub fn load<T>(file: Option<&Path>, prefix: &str, flags: impl Serialize) -> Result<T, SettingsError>
where
    T: Default + Serialize + DeserializeOwned,
{
    let mut layers = Figment::from(Serialized::defaults(T::default()));
    if let Some(path) = file {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| SettingsError::File { path: path.to_path_buf(), source })?;
        layers = layers.merge(Serialized::from(parse(path, &text)?, Profile::Default));
    }
    let layers = layers.merge(Env::prefixed(prefix).ignore(&["config", "log"])).merge(Serialized::defaults(flags));
    layers.extract().map_err(|error| SettingsError::Setting(Box::new(error)))
}

/// Reads a file of settings. Where it is not TOML the error shows the line, unless there is a token on it.
///
/// # Errors
/// [`SettingsError::Toml`].
pub fn parse(path: &Path, text: &str) -> Result<Dict, SettingsError> {
    Figment::from(Toml::string(text)).extract().map_err(|error| {
        let message = error.to_string();
        let shown = message.lines().filter(|line| !(line.contains(" | ") && line.contains("token")));
        let reason = shown.collect::<Vec<_>>().join("\n");
        SettingsError::Toml { path: path.to_path_buf(), reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent, origin};

    fn from_file<T>(text: &str) -> Result<T, SettingsError>
    where
        T: Default + Serialize + DeserializeOwned,
    {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(Some(file.path()), "NOVA_TEST_", serde_json::json!({}))
    }

    /// Reads a commented file of defaults, and counts its settings.
    fn assert_says_the_defaults<T>(file: &str)
    where
        T: Default + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        assert_eq!(from_file::<T>(file).unwrap(), T::default());
        let stated = file.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).count();
        assert_eq!(stated, serde_json::to_value(T::default()).unwrap().as_object().unwrap().len());
    }

    #[test]
    fn the_commented_files_say_the_defaults() {
        assert_says_the_defaults::<origin::Config>(origin::DEFAULT_FILE);
        assert_says_the_defaults::<agent::Config>(agent::DEFAULT_FILE);
    }

    #[test]
    fn an_error_shows_the_line_but_never_a_token() {
        let error = from_file::<agent::Config>("tracker = \"x\ntoken = \"y\"").unwrap_err().to_string();
        assert!(error.contains("is not a file of settings") && error.contains("tracker"), "{error}");
        for text in ["token = \"0123456789abcdef", "token = 0123456789abcdef", "token = [0123456789abcdef]"] {
            let error = from_file::<agent::Config>(text).unwrap_err().to_string();
            assert!(!error.contains("123456789"), "{error}");
        }
        let error = from_file::<agent::Config>("token = 1234567890123456").unwrap_err().to_string();
        assert!(error.contains("token") && error.contains("quotes") && !error.contains("123456789"), "{error}");
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let error = from_file::<origin::Config>("traker = 'x'").unwrap_err().to_string();
        assert!(error.contains("traker"), "{error}");
    }

    #[test]
    fn what_an_agent_follows_is_read_and_a_wrong_word_in_it_is_named() {
        let read = |text: &str| from_file::<agent::Config>(&format!("[[follow]]\nreference = 'demo'\n{text}"));
        let config = read("link = '/srv/demo'\ndelivery = 'hardlink'\nexec = 'true'").unwrap();
        let follow = &config.follows().unwrap()[0];
        assert_eq!((follow.reference.to_string().as_str(), follow.exec.as_deref()), ("demo:latest", Some("true")));
        for (text, word) in [("linc = 'x'", "linc"), ("delivery = 'symlink'", "symlink"), ("exec = 7", "exec")] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("follow") && error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "id = 'file'\ntracker = 'file'").unwrap();
        let flags = serde_json::json!({ "id": "flag" });
        let config: origin::Config = load(Some(file.path()), "NOVA_TEST_", flags).unwrap();
        assert_eq!((config.id.as_str(), config.tracker.as_str()), ("flag", "file"));
    }
}
