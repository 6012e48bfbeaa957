//! The announce service: BitTorrent's questions over HTTP (BEP 3) and UDP (BEP 15), answered from one set of swarms.
//!
//! Nothing here touches the index: an announce costs some parsing, one lock of its swarm's shard and one write.

mod answer;
mod connection;
mod head;
mod listen;
mod ticket;
mod udp;

use std::{
    io,
    net::{TcpListener, UdpSocket},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::Tracker;

/// Threads that accept connections, and threads that answer datagrams, at most: the kernel does most of the work.
const THREADS: usize = 4;

/// How often a thread that waits for somebody looks whether the tracker shuts down.
const LOOK: Duration = Duration::from_millis(200);

/// Serves announces and scrapes on a port until shutdown; then finishes what is being answered.
///
/// # Errors
/// When the sockets cannot be used.
pub(crate) async fn serve(
    tracker: &Arc<Tracker>,
    tcp: TcpListener,
    udp: UdpSocket,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let tcp = listen::Server::new(Arc::clone(tracker), tcp, shutdown.clone())?;
    let udp = udp::Server::new(Arc::clone(tracker), udp, shutdown.clone())?;
    let threads = (0..cores.min(THREADS)).flat_map(|_| [tcp.spawn(), udp.spawn()]);
    let threads: Vec<JoinHandle<()>> = threads.collect::<Result<_, _>>()?;
    shutdown.cancelled().await;
    let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
    joined.await.map_err(io::Error::other)?;
    tcp.finish().await;
    Ok(())
}
