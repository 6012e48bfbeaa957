use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::net::{
    SocketFlags, acceptfrom_with,
    sockopt::{Timeout, set_socket_timeout},
};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    LOOK,
    connection::{Ends, greet},
};
use crate::{Tracker, metrics::Refusal};

/// How long to wait when the process is out of file descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// Accepts connections and answers them.
///
/// Threads that wait in `accept` take a connection with one system call, where waiting in epoll takes three, and most
/// connections are for one question that has come with them.
#[derive(Clone)]
pub(super) struct Server(Arc<Parts>);

struct Parts {
    tracker: Arc<Tracker>,
    listener: TcpListener,
    runtime: Handle,
    connections: TaskTracker,
    shutdown: CancellationToken,
}

impl Server {
    /// Connections that last are tasks of the runtime in which this is called.
    pub fn new(tracker: Arc<Tracker>, listener: TcpListener, shutdown: CancellationToken) -> io::Result<Self> {
        listener.set_nonblocking(false)?;
        set_socket_timeout(&listener, Timeout::Recv, Some(LOOK))?;
        let (runtime, connections) = (Handle::current(), TaskTracker::new());
        Ok(Self(Arc::new(Parts { tracker, listener, runtime, connections, shutdown })))
    }

    /// A thread that accepts until shutdown.
    pub fn spawn(&self) -> io::Result<JoinHandle<()>> {
        let Self(parts) = self.clone();
        thread::Builder::new().name("announce-tcp".to_owned()).spawn(move || parts.run())
    }

    /// Waits until the connections that there are have ended.
    pub async fn finish(&self) {
        self.0.connections.close();
        self.0.connections.wait().await;
    }
}

impl Parts {
    fn run(&self) {
        while !self.shutdown.is_cancelled() {
            match accept(&self.listener) {
                Ok((stream, client)) => self.take(stream, client),
                // Nobody came, or was gone before his turn.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    thread::sleep(BREATH);
                }
            }
        }
    }

    /// Beyond the limit, one question is answered if it is there already: idle connections keep nobody out.
    fn take(&self, stream: TcpStream, client: IpAddr) {
        let is_full = self.connections.len() >= self.tracker.settings().connections_max as usize;
        // The address of this end matters to those who may be told of the tracker's own machine.
        let local = || stream.local_addr().map_or(client, |addr| addr.ip().to_canonical());
        let server = if client.is_loopback() { client } else { local() };
        let ends = Ends { tracker: Arc::clone(&self.tracker), client, server };
        match greet(ends, stream, is_full) {
            Some((stream, conversation)) if !is_full => {
                self.connections.spawn_on(conversation.hold(stream, self.shutdown.clone()), &self.runtime);
            }
            Some(_) => self.tracker.metrics().refused(Refusal::Busy),
            None => {}
        }
    }
}

fn accept(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let (stream, client) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let client = client.and_then(|client| SocketAddr::try_from(client).ok());
    let client = client.map_or(Ipv4Addr::UNSPECIFIED.into(), |client| client.ip().to_canonical());
    Ok((stream.into(), client))
}
