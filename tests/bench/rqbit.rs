//! librqbit among itself, with its own defaults but for discovery.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, Result, ensure};
use librqbit::{AddTorrent, AddTorrentOptions, ListenerOptions, ManagedTorrent, Session, SessionOptions};
use nova_tests::Process;

use crate::{myself, seed as start};

/// Starts this program as a seed of `torrent`.
pub fn start_seed(torrent: &Path, folder: &Path, listen: SocketAddr, log: &Path) -> Result<Process> {
    Ok(start("librqbit seed", myself("rqbit-seed")?.args([torrent, folder]).arg(listen.to_string()), log))
}

/// Runs this program as a leecher of `torrent`, to its end.
pub fn run_leech(torrent: &Path, folder: &Path, peer: SocketAddr) -> Result<()> {
    let status = myself("rqbit-leech")?.args([torrent, folder]).arg(peer.to_string()).status()?;
    ensure!(status.success(), "librqbit: {status}");
    Ok(())
}

/// Seeds until it is killed.
pub fn seed(torrent: &Path, folder: &Path, listen: SocketAddr) -> Result<()> {
    run(torrent, folder, listen, None, |_| std::future::pending())
}

/// Fetches everything from one peer.
pub fn leech(torrent: &Path, folder: &Path, peer: SocketAddr) -> Result<()> {
    let listen = SocketAddr::from(([0, 0, 0, 0], 0));
    run(torrent, folder, listen, Some(peer), |torrent| async move { torrent.wait_until_completed().await })
}

fn run<F: Future<Output = Result<()>>>(
    torrent: &Path,
    folder: &Path,
    listen: SocketAddr,
    peer: Option<SocketAddr>,
    until: impl FnOnce(Arc<ManagedTorrent>) -> F,
) -> Result<()> {
    let options = SessionOptions {
        dht: None,
        disable_local_service_discovery: true,
        listen: Some(ListenerOptions { listen_addr: listen, ..ListenerOptions::default() }),
        ..SessionOptions::default()
    };
    let add = AddTorrentOptions {
        overwrite: true,
        output_folder: folder.to_str().map(str::to_owned),
        initial_peers: peer.map(|peer| vec![peer]),
        ..AddTorrentOptions::default()
    };
    let bytes = std::fs::read(torrent)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let session = Session::new_with_opts(folder.to_path_buf(), options).await?;
        let added = session.add_torrent(AddTorrent::from_bytes(bytes), Some(add)).await?;
        until(added.into_handle().context("the torrent was not added")?).await
    })
}
