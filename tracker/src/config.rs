//! What a tracker can be told: built-in defaults, then a file, then `NOVA_TRACKER_*`, then flags.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use nova_protocol::InfoHash;
use serde::{Deserialize, Serialize};

use crate::{
    agents,
    swarm::{Pace, Rules},
};

/// The commented file of defaults.
pub const DEFAULT_FILE: &str = include_str!("../../config/tracker.toml");

/// Bytes of memory that the leases of all agents together may take.
const AGENTS_BYTES: usize = 512 << 20;

/// Settings of a tracker; `config/tracker.toml` explains each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where BitTorrent clients announce and scrape.
    pub announce_listen: SocketAddr,
    /// Where the index, metrics and the dashboard are served.
    pub http_listen: SocketAddr,
    /// Where the index is stored.
    pub data_dir: PathBuf,
    /// The announce URL in `.torrent` files; empty to derive it from each request.
    pub announce_url: String,
    /// Whether info hashes that are not in the index may be announced.
    pub open: bool,
    /// Info hashes that may be announced though they are not in the index.
    pub allow: Vec<InfoHash>,
    /// Whether a scrape without info hashes is answered with all of them.
    pub full_scrape: bool,
    /// What every announce is answered with for a person to read; nothing when empty.
    pub warning: String,
    /// Complete copies on live origins before a tag may point to a torrent.
    pub min_replicas: u32,
    /// Origins that each torrent is assigned to.
    pub replicas: u32,
    /// How long an origin is live after it renewed its lease, in seconds.
    pub lease_seconds: u64,
    /// How long an agent is live after it renewed its lease, in seconds; longer in a large fleet.
    pub agent_lease_seconds: u64,
    /// Renewals of agents' leases a second that the leases aim to stay below.
    pub agent_renewals_per_second: u32,
    /// Agents that are live at once.
    pub agents_max: u32,
    /// Shortest announce interval, in seconds.
    pub interval_min_seconds: u32,
    /// Longest announce interval, in seconds.
    pub interval_max_seconds: u32,
    /// Announces a second that intervals aim to stay below.
    pub announces_per_second: u32,
    /// Swarms of info hashes that are not in the index, in an open tracker.
    pub swarms_max: u32,
    /// Peers in all swarms together.
    pub peers_max: u32,
    /// Peers in one handout.
    pub num_want_max: u32,
    /// Leechers of a torrent that are told of each origin.
    pub leechers_per_origin: u32,
    /// Patterns on `NAME:TAG` of tags that never move.
    pub immutable_tags: Vec<String>,
    /// Proxies whose `X-Forwarded-For` and `ip=` are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Connections that each listener keeps open.
    pub connections_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            announce_listen: SocketAddr::from(([0, 0, 0, 0], 15003)),
            http_listen: SocketAddr::from(([0, 0, 0, 0], 15004)),
            data_dir: PathBuf::from("data/tracker"),
            announce_url: String::new(),
            open: false,
            allow: Vec::new(),
            full_scrape: false,
            warning: String::new(),
            min_replicas: 1,
            replicas: 2,
            lease_seconds: 10,
            agent_lease_seconds: 30,
            agent_renewals_per_second: 1000,
            agents_max: 100_000,
            interval_min_seconds: 2,
            interval_max_seconds: 1800,
            announces_per_second: 1000,
            swarms_max: 1_000_000,
            peers_max: 10_000_000,
            num_want_max: 200,
            leechers_per_origin: 32,
            immutable_tags: Vec::new(),
            trusted_proxies: Vec::new(),
            connections_max: 10_000,
        }
    }
}

/// Serves announces and the index of nova.
///
/// Every setting has a default, and can be set in a file (--config), in the environment (`NOVA_TRACKER_` and the
/// setting's name in upper case) or by a flag; the later wins.
#[derive(Debug, Default, Parser, Serialize)]
#[command(
    name = "nova-tracker",
    version,
    after_help = "\
Examples:
  nova-tracker --data-dir /var/lib/nova/tracker
  nova-tracker --config tracker.toml --http-listen 127.0.0.1:15004
  NOVA_TRACKER_MIN_REPLICAS=2 nova-tracker --config tracker.toml

BitTorrent clients announce at http://HOST:15003/announce. Open http://HOST:15004/ in a browser for the tags."
)]
pub struct Flags {
    /// File of settings in TOML; --print-config shows all of them, explained.
    #[arg(long, value_name = "FILE", env = "NOVA_TRACKER_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Print the commented default settings, and exit.
    #[arg(long)]
    #[serde(skip)]
    pub print_config: bool,
    /// Where BitTorrent clients announce [default: 0.0.0.0:15003].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announce_listen: Option<SocketAddr>,
    /// Where the index and the dashboard are served [default: 0.0.0.0:15004].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_listen: Option<SocketAddr>,
    /// Where the index is stored [default: data/tracker].
    #[arg(long, value_name = "DIRECTORY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// The announce URL in .torrent files [default: the host that each request names].
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announce_url: Option<String>,
    /// Let anybody announce anything.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    /// Complete copies on live origins before a tag may move [default: 1].
    #[arg(long, value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<u32>,
    /// Origins that each torrent is assigned to [default: 2].
    #[arg(long, value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings in {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// An unknown setting, or a value of the wrong type.
    #[error("bad setting: {0}")]
    Setting(Box<figment::Error>),
    /// More complete copies demanded than origins assigned.
    #[error("replicas is {replicas}, expected at least min_replicas, which is {min_replicas}")]
    Replicas {
        /// Origins that each torrent is assigned to.
        replicas: u32,
        /// Complete copies before a tag may move.
        min_replicas: u32,
    },
    /// Zero where something is counted or timed.
    #[error("{0} is 0, expected at least 1")]
    Zero(&'static str),
    /// The intervals are the wrong way round.
    #[error("interval_min_seconds is {min}, expected at most interval_max_seconds, which is {max}")]
    Intervals {
        /// The shortest.
        min: u32,
        /// The longest.
        max: u32,
    },
    /// Not a pattern.
    #[error("immutable_tags: {0}")]
    Pattern(#[from] globset::Error),
}

impl Config {
    /// Puts the layers together and checks the result.
    ///
    /// # Errors
    /// Every variant of [`ConfigError`].
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let mut layers = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = &flags.config {
            layers = layers.merge(Toml::string(&read(path)?));
        }
        layers =
            layers.merge(Env::prefixed("NOVA_TRACKER_").ignore(&["config", "log"])).merge(Serialized::defaults(flags));
        let config: Self = layers.extract().map_err(|error| ConfigError::Setting(Box::new(error)))?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// [`ConfigError::Replicas`], [`ConfigError::Zero`], [`ConfigError::Intervals`], [`ConfigError::Pattern`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { replicas, min_replicas, interval_min_seconds: min, interval_max_seconds: max, .. } = *self;
        if replicas < min_replicas {
            return Err(ConfigError::Replicas { replicas, min_replicas });
        }
        if min > max {
            return Err(ConfigError::Intervals { min, max });
        }
        let counts = [
            ("lease_seconds", self.lease_seconds),
            ("agent_lease_seconds", self.agent_lease_seconds),
            ("agent_renewals_per_second", self.agent_renewals_per_second.into()),
            ("agents_max", self.agents_max.into()),
            ("interval_min_seconds", min.into()),
            ("announces_per_second", self.announces_per_second.into()),
            ("swarms_max", self.swarms_max.into()),
            ("peers_max", self.peers_max.into()),
            ("num_want_max", self.num_want_max.into()),
            ("leechers_per_origin", self.leechers_per_origin.into()),
            ("connections_max", self.connections_max.into()),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(ConfigError::Zero(name));
        }
        self.immutable()?;
        Ok(())
    }

    /// How swarms are kept.
    pub(crate) const fn rules(&self) -> Rules {
        Rules {
            open: self.open,
            swarms_max: self.swarms_max as usize,
            peers_max: self.peers_max as usize,
            num_want_max: self.num_want_max as usize,
            leechers_per_origin: self.leechers_per_origin as usize,
            pace: Pace {
                min: self.interval_min_seconds,
                max: self.interval_max_seconds,
                budget: self.announces_per_second,
            },
        }
    }

    /// How agents are kept.
    pub(crate) const fn agent_rules(&self) -> agents::Rules {
        agents::Rules {
            lease: Duration::from_secs(self.agent_lease_seconds),
            renewals_per_second: self.agent_renewals_per_second,
            agents_max: self.agents_max as usize,
            bytes_max: AGENTS_BYTES,
        }
    }

    /// The names of settings that differ and that only a restart changes.
    pub(crate) fn fixed_settings_that_differ(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let fixed = [
            ("announce_listen", self.announce_listen == other.announce_listen),
            ("http_listen", self.http_listen == other.http_listen),
            ("data_dir", self.data_dir == other.data_dir),
            ("lease_seconds", self.lease_seconds == other.lease_seconds),
        ];
        fixed.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name)
    }

    /// What matches the references of tags that never move; `*` stands for anything, slashes included.
    ///
    /// # Errors
    /// [`ConfigError::Pattern`].
    pub(crate) fn immutable(&self) -> Result<globset::GlobSet, ConfigError> {
        let mut set = globset::GlobSetBuilder::new();
        for pattern in &self.immutable_tags {
            set.add(globset::Glob::new(pattern)?);
        }
        Ok(set.build()?)
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::File(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::load(&Flags { config: Some(file.path().to_owned()), ..Flags::default() })
    }

    #[test]
    fn the_commented_file_says_the_defaults() {
        assert_eq!(from_file(DEFAULT_FILE).unwrap(), Config::default());
        let settings: figment::value::Dict = Figment::from(Toml::string(DEFAULT_FILE)).extract().unwrap();
        let built_in: figment::value::Dict = Figment::from(Serialized::defaults(Config::default())).extract().unwrap();
        assert_eq!(settings.keys().collect::<Vec<_>>(), built_in.keys().collect::<Vec<_>>());
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "replicas = 3\nmin_replicas = 2").unwrap();
        let flags = Flags { config: Some(file.path().to_owned()), replicas: Some(5), ..Flags::default() };
        let config = Config::load(&flags).unwrap();
        assert_eq!((config.replicas, config.min_replicas, config.open), (5, 2, false));
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let error = from_file("replica = 3").unwrap_err().to_string();
        assert!(error.contains("replica") && error.contains("replicas"), "{error}");
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        assert!(matches!(from_file("min_replicas = 3"), Err(ConfigError::Replicas { .. })));
        assert!(matches!(from_file("interval_min_seconds = 9999"), Err(ConfigError::Intervals { .. })));
        assert!(matches!(from_file("lease_seconds = 0"), Err(ConfigError::Zero("lease_seconds"))));
        assert!(matches!(from_file("immutable_tags = ['[']"), Err(ConfigError::Pattern(_))));
    }

    #[test]
    fn a_star_in_a_pattern_crosses_slashes() {
        let set = from_file("immutable_tags = ['release/*:v*']").unwrap().immutable().unwrap();
        assert!(set.is_match("release/a/b:v1"));
        assert!(!set.is_match("nightly/a:v1") && !set.is_match("release/a:latest"));
    }
}
