//! libtorrent through its Python module, with its own defaults but for discovery.

use std::{net::SocketAddr, path::Path, process::Command};

use anyhow::{Result, ensure};
use nova_tests::Process;

use crate::seed as start;

const CLIENT: &str = include_str!("libtorrent.py");

/// Starts a seed of `torrent`.
pub fn start_seed(torrent: &Path, folder: &Path, listen: SocketAddr, log: &Path) -> Process {
    start("libtorrent seed", client("seed", torrent, folder).arg(listen.to_string()), log)
}

/// Fetches everything from one peer.
pub fn run_leech(torrent: &Path, folder: &Path, peer: SocketAddr) -> Result<()> {
    let status = client("leech", torrent, folder).arg(peer.to_string()).status()?;
    ensure!(status.success(), "libtorrent: {status}");
    Ok(())
}

fn client(role: &str, torrent: &Path, folder: &Path) -> Command {
    // Debian's own interpreter: it is the one that has Debian's module.
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", CLIENT, role]).args([torrent, folder]);
    command
}
