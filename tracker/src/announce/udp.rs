use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use nova_protocol::{
    announce::{AnnounceRequest, Handout},
    udp::{Request, write_announce, write_connect, write_error, write_scrape},
};
use tokio_util::sync::CancellationToken;

use super::{LOOK, ticket::Tickets};
use crate::{
    Tracker,
    metrics::{Face, Refusal},
    swarm::{Call, Store},
    vantage::Vantage,
};

/// Longer than any request: a scrape of 74 info hashes has 1,496 bytes.
const PACKET: usize = 2048;

/// Peers in an answer that no link on the way has to fragment: 1,280 bytes are IPv6's least.
const PEERS_V4: u32 = 200;
const PEERS_V6: u32 = 66;

/// The announce service over UDP (BEP 15).
///
/// Threads that wait in `recvfrom` and answer with `sendto` spend two system calls on an announce, where waiting in
/// epoll costs a third. Nobody is sent more than he sent, before he has shown that he receives at his address.
#[derive(Clone)]
pub(super) struct Server(Arc<Parts>);

struct Parts {
    tracker: Arc<Tracker>,
    socket: UdpSocket,
    tickets: Tickets,
    shutdown: CancellationToken,
}

/// Buffers that are used for one answer after the other.
#[derive(Default)]
struct Scratch {
    handout: Handout,
    out: Vec<u8>,
}

impl Server {
    pub fn new(tracker: Arc<Tracker>, socket: UdpSocket, shutdown: CancellationToken) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(LOOK))?;
        Ok(Self(Arc::new(Parts { tracker, socket, tickets: Tickets::new(Instant::now()), shutdown })))
    }

    /// A thread that answers until shutdown.
    pub fn spawn(&self) -> io::Result<JoinHandle<()>> {
        let Self(parts) = self.clone();
        thread::Builder::new().name("announce-udp".to_owned()).spawn(move || parts.run())
    }
}

impl Parts {
    fn run(&self) {
        let mut packet = [0; PACKET];
        let mut scratch = Scratch::default();
        while !self.shutdown.is_cancelled() {
            // Errors are those of answers that could not be delivered, or say that nothing came.
            let Ok((length, from)) = self.socket.recv_from(&mut packet) else { continue };
            let client = SocketAddr::new(from.ip().to_canonical(), from.port());
            scratch.out.clear();
            self.answer(&packet[..length], client, &mut scratch);
            if !scratch.out.is_empty() && self.socket.send_to(&scratch.out, from).is_err() {
                self.tracker.metrics().refused(Refusal::Undeliverable);
            }
        }
    }

    fn answer(&self, packet: &[u8], client: SocketAddr, scratch: &mut Scratch) {
        let now = Instant::now();
        let proves = |connection_id| self.tickets.accepts(connection_id, client.ip(), now);
        match Request::parse(packet) {
            Ok(Request::Connect { transaction_id }) => {
                write_connect(transaction_id, self.tickets.issue(client.ip(), now), &mut scratch.out);
                self.tracker.metrics().connected();
            }
            Ok(Request::Announce { connection_id, transaction_id, announce }) if proves(connection_id) => {
                self.announce(transaction_id, announce, client, now, scratch);
            }
            Ok(Request::Scrape { connection_id, transaction_id, info_hashes }) if proves(connection_id) => {
                let swarms = self.tracker.swarms();
                let counts = info_hashes.iter().map(|hash| swarms.counts((*hash).into()).unwrap_or_default());
                write_scrape(transaction_id, counts, &mut scratch.out);
                self.tracker.metrics().scraped(Face::Udp);
            }
            Ok(Request::Announce { transaction_id, .. } | Request::Scrape { transaction_id, .. }) => {
                self.tracker.metrics().refused(Refusal::Unproven);
                write_error(transaction_id, "connect again", &mut scratch.out);
                if scratch.out.len() > packet.len() {
                    scratch.out.clear();
                }
            }
            Err(_) => self.tracker.metrics().refused(Refusal::Malformed),
        }
    }

    fn announce(
        &self,
        transaction_id: u32,
        mut request: AnnounceRequest,
        client: SocketAddr,
        now: Instant,
        scratch: &mut Scratch,
    ) {
        let addr = SocketAddr::new(client.ip(), request.port);
        let room = if addr.is_ipv4() { PEERS_V4 } else { PEERS_V6 };
        request.num_want = request.num_want.map(|count| count.min(room));
        scratch.handout.clear();
        let call = Call { request: &request, addr, now, one_family: true };
        match self.tracker.swarms().announce(call, &mut scratch.handout) {
            Ok(head) => {
                vantage(client.ip(), &scratch.handout).see(&mut scratch.handout);
                match addr {
                    SocketAddr::V4(_) => write_announce(transaction_id, &head, &scratch.handout.v4, &mut scratch.out),
                    SocketAddr::V6(_) => write_announce(transaction_id, &head, &scratch.handout.v6, &mut scratch.out),
                }
                self.tracker.metrics().announced(Face::Udp, addr.is_ipv6(), request.event, now.elapsed());
            }
            Err(error) => {
                self.tracker.metrics().refused(error.into());
                write_error(transaction_id, &error.to_string(), &mut scratch.out);
            }
        }
    }
}

/// Datagrams do not say at which of its addresses they reached this machine; the route back does, and is asked for
/// only when an answer depends on it.
fn vantage(client: IpAddr, handout: &Handout) -> Vantage {
    let depends = !client.is_loopback() && handout.addrs().any(|addr| addr.ip().is_loopback());
    let server = if depends { route_to(client).unwrap_or(client) } else { client };
    Vantage { client, server, proxied: false }
}

fn route_to(client: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if client.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let probe = UdpSocket::bind((any, 0))?;
    probe.connect((client, 9))?;
    Ok(probe.local_addr()?.ip())
}
