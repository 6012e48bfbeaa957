//! Announces over UDP (BEP 15) from one thread.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nova_protocol::udp::{Reply, Request};

use crate::{
    load::{Load, Measured, Waiter},
    peers::Peer,
};

/// Sockets, each with a connection id.
const SOCKETS: usize = 16;
/// Requests in flight on all sockets together, a power of two: fewer than a socket's default buffer holds.
const IN_FLIGHT: usize = 128;
/// After that a datagram counts as lost.
const PATIENCE: Duration = Duration::from_millis(500);
/// Each so many answers, one is parsed as a whole.
const PARSED: u64 = 64;

/// A request that waits for its answer.
#[derive(Clone, Copy)]
struct Asked {
    transaction_id: u32,
    due: Instant,
    sent: Instant,
    peer: Peer,
}

struct Client {
    sockets: Vec<(UdpSocket, u64)>,
    /// By the low bits of their transaction ids. Those of one socket are [`SOCKETS`] apart.
    asked: Vec<Option<Asked>>,
    idle: Vec<usize>,
    count: u32,
    packet: Vec<u8>,
}

/// Sends announces until the load's end.
pub fn run(load: &Load, peers: &mut dyn Iterator<Item = Peer>) -> Result<Measured> {
    let mut client = Client::connect(load)?;
    let mut waiter = Waiter::new(load)?;
    for (number, (socket, _)) in client.sockets.iter().enumerate() {
        waiter.add(socket, number)?;
    }
    let (mut measured, mut ready, mut next) = (Measured::default(), Vec::new(), peers.next());
    let mut checked = Instant::now();
    while !waiter.is_over() && (next.is_some() || client.idle.len() < IN_FLIGHT) {
        while let (Some(&slot), Some(peer)) = (client.idle.last(), next) {
            let Some(due) = waiter.due() else { break };
            client.idle.pop();
            next = peers.next();
            client.ask(load, slot, due, peer);
        }
        waiter.wait(&mut ready)?;
        for &number in &ready {
            client.receive(load, number, &mut measured)?;
        }
        if checked.elapsed() > PATIENCE / 4 {
            checked = Instant::now();
            measured.again += client.ask_again(load);
        }
    }
    measured.elapsed = waiter.elapsed();
    Ok(measured)
}

/// Whether anybody answers a connect there.
pub fn answers(load: &Load) -> bool {
    connect(load).is_ok()
}

/// A socket and its connection id.
fn connect(load: &Load) -> Result<(UdpSocket, u64)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(load.target)?;
    socket.set_read_timeout(Some(Duration::from_millis(300)))?;
    let (mut packet, mut answer) = (Vec::new(), [0; 2048]);
    Request::Connect { transaction_id: 1 }.write(&mut packet);
    socket.send(&packet)?;
    let length = socket.recv(&mut answer).context("no answer over UDP")?;
    let Reply::Connect { transaction_id: 1, connection_id } = Reply::parse(&answer[..length], false)? else {
        bail!("a connect was not answered with a connection id");
    };
    socket.set_nonblocking(true)?;
    Ok((socket, connection_id))
}

impl Client {
    fn connect(load: &Load) -> Result<Self> {
        Ok(Self {
            sockets: (0..SOCKETS).map(|_| connect(load)).collect::<Result<_>>()?,
            asked: vec![None; IN_FLIGHT],
            idle: (0..IN_FLIGHT).collect(),
            count: 0,
            packet: Vec::with_capacity(98),
        })
    }

    fn ask(&mut self, load: &Load, slot: usize, due: Instant, peer: Peer) {
        self.count = self.count.wrapping_add(1);
        let low = u32::try_from(slot).expect("below IN_FLIGHT");
        let transaction_id = self.count << IN_FLIGHT.trailing_zeros() | low;
        let (socket, connection_id) = &self.sockets[slot % SOCKETS];
        self.packet.clear();
        peer.write_udp(load.num_want, *connection_id, transaction_id, &mut self.packet);
        self.asked[slot] = Some(Asked { transaction_id, due, sent: Instant::now(), peer });
        // What cannot be sent now is sent again like what got lost.
        let _may_be_lost = socket.send(&self.packet);
    }

    fn receive(&mut self, load: &Load, number: usize, measured: &mut Measured) -> Result<()> {
        let mut answer = [0; 2048];
        while let Ok(length) = self.sockets[number].0.recv(&mut answer) {
            let answer = &answer[..length];
            ensure!(length >= 20, "an answer of {length} bytes: {}", String::from_utf8_lossy(answer));
            ensure!(answer[..4] == [0, 0, 0, 1], "not an announce answer: {}", String::from_utf8_lossy(&answer[8..]));
            let transaction_id = u32::from_be_bytes([answer[4], answer[5], answer[6], answer[7]]);
            let slot = transaction_id as usize % IN_FLIGHT;
            // Otherwise it is late: the same request was sent again and answered already.
            let Some(asked) = self.asked[slot].take_if(|asked| asked.transaction_id == transaction_id) else {
                continue;
            };
            let peers = (length - 20) / 6;
            ensure!(!load.checks || peers == load.num_want as usize, "{peers} peers instead of {}", load.num_want);
            if measured.answers.is_multiple_of(PARSED) {
                Reply::parse(answer, false)?;
            }
            measured.answered(asked.due);
            self.idle.push(slot);
        }
        Ok(())
    }

    /// Sends again what has waited for too long, and says how many that were.
    fn ask_again(&mut self, load: &Load) -> u64 {
        let late = |asked: &Asked| asked.sent.elapsed() > PATIENCE;
        let late: Vec<usize> = (0..IN_FLIGHT).filter(|slot| self.asked[*slot].as_ref().is_some_and(late)).collect();
        for &slot in &late {
            let asked = self.asked[slot].take().expect("is late");
            self.ask(load, slot, asked.due, asked.peer);
        }
        late.len() as u64
    }
}
