use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::net::{
    SocketFlags, acceptfrom_with,
    sockopt::{Timeout, set_socket_timeout},
};
use tokio::{runtime::Handle, task::AbortHandle};
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
    /// Connections that outlasted their first request, oldest first, and some that have ended.
    lasting: Mutex<VecDeque<AbortHandle>>,
    shutdown: CancellationToken,
}

impl Server {
    /// Connections that last are tasks of the runtime in which this is called.
    pub fn new(tracker: Arc<Tracker>, listener: TcpListener, shutdown: CancellationToken) -> io::Result<Self> {
        listener.set_nonblocking(false)?;
        set_socket_timeout(&listener, Timeout::Recv, Some(LOOK))?;
        let (runtime, connections) = (Handle::current(), TaskTracker::new());
        let lasting = Mutex::default();
        Ok(Self(Arc::new(Parts { tracker, listener, runtime, connections, lasting, shutdown })))
    }

    /// A thread that accepts until shutdown.
    pub fn spawn(&self) -> io::Result<JoinHandle<()>> {
        let Self(parts) = self.clone();
        thread::Builder::new().name("announce-tcp".to_owned()).spawn(move || parts.run())
    }

    /// Ends the connections that there are. Each request that came whole has been answered.
    pub async fn finish(&self) {
        self.0.connections.close();
        self.0.lasting().drain(..).for_each(|task| task.abort());
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

    fn take(&self, stream: TcpStream, client: IpAddr) {
        // The address of this end matters to those who may be told of the tracker's own machine.
        let local = || stream.local_addr().map_or(client, |addr| addr.ip().to_canonical());
        let server = if client.is_loopback() { client } else { local() };
        let ends = Ends { tracker: Arc::clone(&self.tracker), client, server };
        if let Some((stream, conversation)) = greet(ends, stream) {
            // One thread at a time, or two would take the last place.
            let mut lasting = self.lasting();
            self.make_room(&mut lasting);
            let task = self.connections.spawn_on(conversation.hold(stream), &self.runtime);
            lasting.push_back(task.abort_handle());
        }
    }

    /// Ends the oldest connections when there are as many as there may be: a client that is cut off comes again, and
    /// idle connections keep nobody out.
    fn make_room(&self, lasting: &mut VecDeque<AbortHandle>) {
        let limit = self.tracker.settings().connections_max as usize;
        if self.connections.len() >= limit
            && let Some(oldest) = std::iter::from_fn(|| lasting.pop_front()).find(|task| !task.is_finished())
        {
            oldest.abort();
            self.tracker.metrics().refused(Refusal::Busy);
        }
        if lasting.len() > limit + limit / 4 {
            lasting.retain(|task| !task.is_finished());
        }
    }

    fn lasting(&self) -> MutexGuard<'_, VecDeque<AbortHandle>> {
        self.lasting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let (stream, client) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let client = client.and_then(|client| SocketAddr::try_from(client).ok());
    let client = client.map_or(Ipv4Addr::UNSPECIFIED.into(), |client| client.ip().to_canonical());
    Ok((stream.into(), client))
}
