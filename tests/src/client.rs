use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use nova_protocol::InfoHash;
use serde_json::json;
use tempfile::TempDir;

use crate::{Process, Signal, free_addr};

/// Debian's interpreter: the binding of libtorrent is packaged for this one.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = include_str!("client/libtorrent_client.py");

/// What [`Client::join_slowly`] downloads in a second, in KiB.
const SLOW: u32 = 1024;

/// A stock client of BitTorrent, with the tools that go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// `aria2c`, for which `mktorrent` makes torrents.
    Aria2,
    /// `transmission-daemon`. It never dials 127.0.0.0/8, so on loopback others must dial it.
    Transmission,
    /// libtorrent by Arvid Norberg, through its Python binding.
    Libtorrent,
}

/// A client in the swarm of one torrent, which it seeds once it has everything; killed when dropped.
#[derive(Debug)]
pub struct Member {
    client: Client,
    process: Process,
    /// Where a Transmission takes orders.
    control: Option<SocketAddr>,
    /// Where it listens for peers.
    pub port: u16,
    _home: TempDir,
}

impl Client {
    /// Every one that nova is tested with.
    pub const ALL: [Self; 3] = [Self::Aria2, Self::Transmission, Self::Libtorrent];

    /// What its files are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aria2 => "aria2",
            Self::Transmission => "transmission",
            Self::Libtorrent => "libtorrent",
        }
    }

    /// Makes the file `torrent` of a file or directory, with pieces of 64 KiB.
    pub fn create(self, content: &Path, announce: &str, private: bool, torrent: &Path) {
        let mut command = match self {
            Self::Aria2 => stock("mktorrent", "mktorrent"),
            Self::Transmission => stock("transmission-create", "transmission-cli"),
            Self::Libtorrent => libtorrent("create"),
        };
        match self {
            Self::Aria2 => command.args(["-l", "16", "-a", announce, "-o"]).arg(torrent),
            Self::Transmission => command.args(["-s", "64", "-t", announce, "-o"]).arg(torrent),
            Self::Libtorrent => command.args(["--piece-length=65536", "--announce", announce, "--output"]).arg(torrent),
        };
        output(command.args(private.then_some("-p")).arg(content));
    }

    /// The info hash that it finds in a `.torrent`.
    pub fn info_hash(self, torrent: &Path) -> InfoHash {
        let mut command = match self {
            Self::Aria2 => stock("aria2c", "aria2"),
            Self::Transmission => stock("transmission-show", "transmission-cli"),
            Self::Libtorrent => libtorrent("show"),
        };
        let text = output(command.args((self == Self::Aria2).then_some("-S")).arg(torrent));
        let hash =
            text.lines().find_map(|line| line.split_once("Hash: ")).unwrap_or_else(|| panic!("no hash:\n{text}"));
        hash.1.trim().parse().unwrap()
    }

    /// Joins the swarm of a `.torrent` or magnet link; content is, or comes to be, below `folder`.
    pub fn join(self, source: impl AsRef<OsStr>, folder: &Path) -> Member {
        self.start(source.as_ref(), folder, None)
    }

    /// The same, at 1 MiB a second at most.
    pub fn join_slowly(self, source: impl AsRef<OsStr>, folder: &Path) -> Member {
        self.start(source.as_ref(), folder, Some(SLOW))
    }

    fn start(self, source: &OsStr, folder: &Path, limit: Option<u32>) -> Member {
        fs::create_dir_all(folder).unwrap();
        let (home, port) = (tempfile::tempdir().unwrap(), free_addr().port());
        let control = (self == Self::Transmission).then(free_addr);
        let mut command = match self {
            Self::Aria2 => aria2(source, folder, port, limit),
            Self::Transmission => {
                transmission(home.path(), source, folder, [port, control.map_or(0, |addr| addr.port())], limit)
            }
            Self::Libtorrent => {
                let mut command = libtorrent("join");
                command.arg(format!("--port={port}")).arg(format!("--limit={}", limit.unwrap_or(0) * 1024));
                command.arg(source).arg(folder);
                command
            }
        };
        command.env("HOME", home.path()).current_dir(home.path());
        let process = Process::start(self.name(), &mut command, &home.path().join("log"));
        Member { client: self, process, control, port, _home: home }
    }
}

impl Member {
    /// Leaves the swarm in order. Transmission says nothing to trackers when it ends, and is told to before; aria2 ends
    /// in order after SIGINT alone.
    pub fn leave(&mut self) {
        match (self.client, self.control) {
            (Client::Aria2, _) => self.process.signal(Signal::INT),
            (_, None) => self.process.signal(Signal::TERM),
            (_, Some(control)) => {
                let mut remote = stock("transmission-remote", "transmission-cli");
                output(remote.args([&control.to_string(), "--torrent=all", "--stop"]));
            }
        }
    }
}

fn aria2(source: &OsStr, folder: &Path, port: u16, limit: Option<u32>) -> Command {
    let mut command = stock("aria2c", "aria2");
    command.args(["--no-conf", "--interface=lo", "--bt-enable-lpd=false"]);
    // It asks trackers over UDP from the socket of its DHT, which knows nobody here.
    command.args(["--enable-dht=true", "--enable-dht6=false", "--enable-peer-exchange=false"]);
    command.arg(format!("--dht-listen-port={port}"));
    // What is there already is looked at, and seeded without end.
    command.args(["--check-integrity", "--seed-ratio=0", "--file-allocation=none", "--disk-cache=0"]);
    command.args(["--console-log-level=info", "--show-console-readout=false", "--summary-interval=0"]);
    command.arg(format!("--listen-port={port}")).arg(format!("--dir={}", folder.display()));
    command.arg(format!("--max-overall-download-limit={}K", limit.unwrap_or(0)));
    command.arg(source);
    command
}

fn transmission(home: &Path, source: &OsStr, folder: &Path, ports: [u16; 2], limit: Option<u32>) -> Command {
    let [port, control] = ports;
    let settings = json!({
        // Bound to an address of one family, it reaches trackers of that family alone.
        "bind-address-ipv4": "0.0.0.0",
        "bind-address-ipv6": "::",
        "peer-port": port,
        "rpc-bind-address": "127.0.0.1",
        "rpc-port": control,
        "dht-enabled": false,
        "lpd-enabled": false,
        "pex-enabled": false,
        "port-forwarding-enabled": false,
        "cache-size-mb": 0,
        "speed-limit-down": limit.unwrap_or(0),
        "speed-limit-down-enabled": limit.is_some(),
        "download-dir": folder,
        "watch-dir": watched(home, source),
        "watch-dir-enabled": true,
    });
    fs::write(home.join("settings.json"), settings.to_string()).unwrap();
    let mut command = stock("transmission-daemon", "transmission-daemon");
    command.args(["--foreground", "--log-debug", "--config-dir"]).arg(home);
    command
}

/// The directory from which Transmission takes what it shall join.
fn watched(home: &Path, source: &OsStr) -> PathBuf {
    let folder = home.join("watched");
    fs::create_dir(&folder).unwrap();
    match source.to_str().filter(|text| text.starts_with("magnet:")) {
        Some(link) => fs::write(folder.join("a.magnet"), link).unwrap(),
        None => drop(fs::copy(source, folder.join("a.torrent")).unwrap()),
    }
    folder
}

fn libtorrent(task: &str) -> Command {
    let found = Command::new(PYTHON).args(["-c", "import libtorrent"]).output();
    assert!(found.is_ok_and(|output| output.status.success()), "no libtorrent: apt-get install python3-libtorrent");
    let mut command = Command::new(PYTHON);
    command.args(["-c", SCRIPT, task]);
    command
}

/// A program that a Debian package brings.
fn stock(program: &str, package: &str) -> Command {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| panic!("no {program}: apt-get install {package}")))
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}
