//! What the commands can be told once for all: built-in defaults, then a file, then `NOVA_CLI_*`, then flags.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use anyhow::{Context as _, Result};
use figment::{
    Figment, Profile,
    providers::Serialized,
    value::{Dict, Value},
};
use nova_seeder::{
    settings,
    token::{Token, TokenError, TokenText},
};
use serde::{Deserialize, Serialize};

use crate::{arguments::Options, env::Env};

/// The commented file of defaults.
pub const DEFAULT_FILE: &str = include_str!("../../config/cli.toml");

const PREFIX: &str = "NOVA_CLI_";

/// Settings of the commands; `config/cli.toml` explains each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The tracker's HTTP face.
    pub tracker: String,
    /// The agent of this host.
    pub agent: String,
    /// The token of that agent; none when empty.
    pub agent_token: TokenText,
    /// A file with that token, in place of `agent_token`.
    pub agent_token_file: PathBuf,
    /// Where a push, or a pull without an agent, listens for peers.
    pub listen: SocketAddr,
    /// Seconds without a byte from peers before a pull without an agent takes content from an origin over HTTP.
    pub stall_timeout: NonZeroU32,
    /// What histories say of who pushed; empty for user@host.
    pub pusher: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tracker: "http://127.0.0.1:15004".to_owned(),
            agent: "http://127.0.0.1:16002".to_owned(),
            agent_token: TokenText::default(),
            agent_token_file: PathBuf::new(),
            listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            stall_timeout: NonZeroU32::new(30).expect("not zero"),
            pusher: String::new(),
        }
    }
}

impl Config {
    /// Puts the layers together.
    pub(crate) fn load(env: &Env, options: &Options) -> Result<Self> {
        let mut layers = Figment::from(Serialized::defaults(Self::default()));
        let file = options.config.clone().or_else(|| env.variable("NOVA_CLI_CONFIG").map(Into::into));
        if let Some(file) = file {
            let text = std::fs::read_to_string(env.path(&file));
            let text = text.with_context(|| format!("cannot read the settings in {}", file.display()))?;
            let settings = settings::parse(&file, &text)?;
            layers = layers.merge(Serialized::from(settings, Profile::Default));
        }
        layers = layers.merge(Serialized::from(of_variables(env), Profile::Default));
        if let Some(tracker) = &options.tracker {
            layers = layers.merge(Serialized::default("tracker", tracker));
        }
        layers.extract().context("bad setting, in the file of settings or in NOVA_CLI_*")
    }

    /// The token of the agent, if there is one.
    pub(crate) fn agent_token(&self) -> Result<Option<Token>, TokenError> {
        Token::of_settings("agent_token", &self.agent_token, &self.agent_token_file)
    }
}

/// The settings that are made in the environment.
fn of_variables(env: &Env) -> Dict {
    let named = env.variables.iter().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
    let settings = named.filter(|(key, value)| *key != "CONFIG" && !value.is_empty());
    settings.map(|(key, value)| (key.to_lowercase(), Value::from(value.as_str()))).collect()
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};

    use super::*;

    fn load(file: Option<&str>, variables: &[(&str, &str)], tracker: Option<&str>) -> Result<Config> {
        let directory = tempfile::tempdir().unwrap();
        let (mut env, ..) = Env::captured(directory.path(), ["tags"]);
        env.variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = file.map(|text| {
            std::fs::write(directory.path().join("cli.toml"), text).unwrap();
            "cli.toml".into()
        });
        Config::load(&env, &Options { config, tracker: tracker.map(str::to_owned), ..Options::default() })
    }

    #[test]
    fn the_commented_file_says_the_defaults() {
        assert_eq!(load(Some(DEFAULT_FILE), &[], None).unwrap(), Config::default());
        let settings: Dict = Figment::from(Toml::string(DEFAULT_FILE)).extract().unwrap();
        let built_in: Dict = Figment::from(Serialized::defaults(Config::default())).extract().unwrap();
        assert_eq!(settings.keys().collect::<Vec<_>>(), built_in.keys().collect::<Vec<_>>());
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let file = Some("tracker = 'file:1'\nagent = 'file:2'\npusher = 'file'");
        let variables = [("NOVA_CLI_TRACKER", "env:1"), ("NOVA_CLI_AGENT", "env:2")];
        let config = load(file, &variables, Some("flag:1")).unwrap();
        assert_eq!([config.tracker, config.agent, config.pusher], ["flag:1", "env:2", "file"]);
    }

    #[test]
    fn an_unknown_setting_is_named() {
        for error in [load(Some("trakcer = 'x'"), &[], None), load(None, &[("NOVA_CLI_TRAKCER", "x")], None)] {
            let error = format!("{:#}", error.unwrap_err());
            assert!(error.contains("trakcer") && error.contains("tracker"), "{error}");
        }
    }
}
