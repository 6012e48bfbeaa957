use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::Args;
use nova_protocol::Rate;
use serde::{Deserialize, Serialize};

use super::{
    cache::Room,
    schedule::{Clock, Window},
};
use crate::{
    fetch::{self, Limits, TorrentLimits},
    follow::{
        self, Follow,
        config::{Entry, EntryError},
    },
    listen::{GroupError, Listen, Mode, Permissions, text_or_number},
    settings::{self, SettingsError},
    token::{Token, TokenError, TokenText},
};

/// The commented file of defaults.
pub const DEFAULT_FILE: &str = include_str!("../../../config/agent.toml");

/// Settings of an agent; `config/agent.toml` explains each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the agent is called; empty to make a name once and keep it.
    pub id: String,
    /// The tracker's HTTP face.
    pub tracker: String,
    /// Where content and state are stored.
    pub data_dir: PathBuf,
    /// Where peers dial.
    pub peers_listen: SocketAddr,
    /// Where pulls of this host are taken.
    pub http_listen: Listen,
    /// Who may connect, when that is a unix socket.
    pub socket_mode: Mode,
    /// The group of that socket, by name or number; that of the process when empty.
    #[serde(deserialize_with = "text_or_number")]
    pub socket_group: String,
    /// What must be said to ask for anything but health; nothing when empty.
    pub token: TokenText,
    /// A file with the token, in place of `token`.
    pub token_file: PathBuf,
    /// Requests in flight to each peer, of 16 KiB each; 0 for as many as the round trip needs.
    pub request_window: usize,
    /// Bytes that content may take of the disk; 0 for as many as there are.
    pub cache_budget: u64,
    /// Bytes that stay free on the disk.
    pub free_space_floor: u64,
    /// Patterns of references whose content is never evicted.
    pub pins: Vec<String>,
    /// Seconds without a byte from peers before content comes from an origin over HTTP.
    pub stall_timeout: NonZeroU32,
    /// Peers of one torrent at once.
    pub peers_max: NonZeroU32,
    /// Bytes of content that leave in a second, all torrents together; 0 for no limit.
    pub upload_limit: Rate,
    /// Bytes of content that come in a second, all torrents together; 0 for no limit.
    pub download_limit: Rate,
    /// Bytes of content of one torrent that leave in a second; 0 for no limit.
    pub torrent_upload_limit: Rate,
    /// Bytes of content of one torrent that come in a second; 0 for no limit.
    pub torrent_download_limit: Rate,
    /// What the times of the schedule mean.
    pub schedule_clock: Clock,
    /// Limits of all torrents together by the time of day; the first window that matches holds.
    pub schedule: Vec<Window>,
    /// Tags, and where their content is kept.
    pub follow: Vec<Entry>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: String::new(),
            tracker: "http://127.0.0.1:15004".to_owned(),
            data_dir: PathBuf::from("data/agent"),
            peers_listen: SocketAddr::from(([0, 0, 0, 0], 16001)),
            http_listen: Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 16002))),
            socket_mode: Mode::OWNER_AND_GROUP,
            socket_group: String::new(),
            token: TokenText::default(),
            token_file: PathBuf::new(),
            request_window: 0,
            cache_budget: 0,
            free_space_floor: 1 << 30,
            pins: Vec::new(),
            stall_timeout: NonZeroU32::new(30).expect("not zero"),
            peers_max: NonZeroU32::new(128).expect("not zero"),
            upload_limit: Rate::UNLIMITED,
            download_limit: Rate::UNLIMITED,
            torrent_upload_limit: Rate::UNLIMITED,
            torrent_download_limit: Rate::UNLIMITED,
            schedule_clock: Clock::Local,
            schedule: Vec::new(),
            follow: Vec::new(),
        }
    }
}

/// Pulls for every user of this host, once, and goes on seeding.
///
/// Every setting has a default, and can be set in a file (--config), in the environment (`NOVA_AGENT_` and the
/// setting's name in upper case) or by a flag; the later wins.
#[derive(Debug, Default, Args, Serialize)]
#[command(after_help = "\
Examples:
  nova-seeder agent --tracker http://tracker.example:15004 --data-dir /var/lib/nova/agent
  nova-seeder agent --config agent.toml
Then `nova-cli pull NAME:TAG` on this host goes through it.")]
pub struct Flags {
    /// File of settings in TOML; --print-config shows all of them, explained.
    #[arg(long, value_name = "FILE", env = "NOVA_AGENT_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Print the commented default settings, and exit.
    #[arg(long)]
    #[serde(skip)]
    pub print_config: bool,
    /// What the agent is called [default: a name made once and kept].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tracker's HTTP face [default: http://127.0.0.1:15004].
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracker: Option<String>,
    /// Where content and state are stored [default: data/agent].
    #[arg(long, value_name = "DIRECTORY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Where peers dial [default: 0.0.0.0:16001].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers_listen: Option<SocketAddr>,
    /// Where pulls of this host are taken: ADDRESS:PORT, or unix:/PATH for a socket [default: 127.0.0.1:16002].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_listen: Option<Listen>,
}

impl Config {
    /// Puts the layers together.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn load(flags: &Flags) -> Result<Self, SettingsError> {
        settings::load(flags.config.as_deref(), "NOVA_AGENT_", flags)
    }

    /// What is followed: each tag, and where its content is kept.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn follows(&self) -> Result<Vec<Follow>, EntryError> {
        follow::config::read(&self.follow)
    }

    pub(super) fn token(&self) -> Result<Option<Token>, TokenError> {
        Token::of_settings("token", &self.token, &self.token_file)
    }

    pub(super) fn permissions(&self) -> Result<Permissions, GroupError> {
        Permissions::new(self.socket_mode, &self.socket_group)
    }

    pub(super) fn stall_after(&self) -> Duration {
        Duration::from_secs(self.stall_timeout.get().into())
    }

    pub(super) fn room(&self) -> Room {
        Room { budget: (self.cache_budget > 0).then_some(self.cache_budget), floor: self.free_space_floor }
    }

    pub(super) fn request_window(&self) -> fetch::Window {
        match self.request_window {
            0 => fetch::Window::OneOfMany,
            requests => fetch::Window::Fixed(requests),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            upload: self.upload_limit,
            download: self.download_limit,
            torrent: TorrentLimits {
                upload: self.torrent_upload_limit,
                download: self.torrent_download_limit,
                peers: Some(self.peers_max),
            },
        }
    }
}
