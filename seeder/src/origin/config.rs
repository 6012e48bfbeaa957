use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::settings::{self, SettingsError};

/// The commented file of defaults.
pub const DEFAULT_FILE: &str = include_str!("../../../config/origin.toml");

/// Settings of an origin; `config/origin.toml` explains each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the origin is called; empty to make a name once and keep it.
    pub id: String,
    /// The tracker's HTTP face.
    pub tracker: String,
    /// Where content and state are stored.
    pub data_dir: PathBuf,
    /// Where peers dial the upload engine.
    pub peers_listen: SocketAddr,
    /// Where peers dial the session that fetches.
    pub fetch_listen: SocketAddr,
    /// Where content, health and metrics are served.
    pub http_listen: SocketAddr,
    /// Connections of peers at once.
    pub connections_max: usize,
    /// Bytes of content that leave in a second; 0 for no limit.
    pub upload_limit: u32,
    /// Bytes on the disk that stay free.
    pub free_space_floor: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: String::new(),
            tracker: "http://127.0.0.1:15004".to_owned(),
            data_dir: PathBuf::from("data/origin"),
            peers_listen: SocketAddr::from(([0, 0, 0, 0], 15001)),
            fetch_listen: SocketAddr::from(([0, 0, 0, 0], 15011)),
            http_listen: SocketAddr::from(([0, 0, 0, 0], 15002)),
            connections_max: 2000,
            upload_limit: 0,
            free_space_floor: 1 << 30,
        }
    }
}

/// Holds content, serves it to every peer, and fetches what the tracker assigns to it.
///
/// Every setting has a default, and can be set in a file (--config), in the environment (`NOVA_ORIGIN_` and the
/// setting's name in upper case) or by a flag; the later wins.
#[derive(Debug, Default, Args, Serialize)]
#[command(after_help = "\
Examples:
  nova-seeder origin --tracker http://tracker.example:15004 --data-dir /var/lib/nova/origin
  nova-seeder origin --config origin.toml
A second origin on one machine needs its own directory and ports:
  nova-seeder origin --data-dir data/two --peers-listen 0.0.0.0:15101 --fetch-listen 0.0.0.0:15111 --http-listen 0.0.0.0:15102")]
pub struct Flags {
    /// File of settings in TOML; --print-config shows all of them, explained.
    #[arg(long, value_name = "FILE", env = "NOVA_ORIGIN_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Print the commented default settings, and exit.
    #[arg(long)]
    #[serde(skip)]
    pub print_config: bool,
    /// What the origin is called [default: a name made once and kept].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tracker's HTTP face [default: http://127.0.0.1:15004].
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracker: Option<String>,
    /// Where content and state are stored [default: data/origin].
    #[arg(long, value_name = "DIRECTORY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Where peers dial the upload engine [default: 0.0.0.0:15001].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers_listen: Option<SocketAddr>,
    /// Where peers dial the session that fetches [default: 0.0.0.0:15011].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch_listen: Option<SocketAddr>,
    /// Where content, health and metrics are served [default: 0.0.0.0:15002].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_listen: Option<SocketAddr>,
}

impl Config {
    /// Puts the layers together.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn load(flags: &Flags) -> Result<Self, SettingsError> {
        settings::load(flags.config.as_deref(), "NOVA_ORIGIN_", flags)
    }

    pub(super) fn upload_limit(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.upload_limit)
    }
}
