//! Announces over HTTP from one thread.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use nova_protocol::announce::AnnounceReply;

use crate::{
    load::{Load, Measured, Waiter},
    peers::Peer,
};

/// Connections, each with at most one request.
const CONNECTIONS: usize = 64;
/// Each so many answers, one is parsed as a whole.
const PARSED: u64 = 64;

/// A connection, and what is known of the answer on it.
struct Connection {
    stream: TcpStream,
    input: [u8; 4096],
    filled: usize,
    state: State,
}

enum State {
    Idle,
    /// A request was due at that time.
    Asked(Instant, Peer),
    /// Everything came; the server is to close.
    Answered,
}

/// What a read brought.
enum Came {
    Nothing,
    Answer(Instant),
    Closed,
}

/// Sends announces until the load's end, on lasting connections or each on a new one.
pub fn run(load: &Load, lasts: bool, peers: &mut dyn Iterator<Item = Peer>) -> Result<Measured> {
    let mut waiter = Waiter::new(load)?;
    let mut connections: Vec<Option<Connection>> = (0..CONNECTIONS).map(|_| None).collect();
    let mut idle: Vec<usize> = (0..CONNECTIONS).collect();
    let (mut measured, mut ready, mut request, mut next) = (Measured::default(), Vec::new(), Vec::new(), peers.next());
    let mut unanswered: Vec<(Instant, Peer)> = Vec::new();
    while !waiter.is_over() && (next.is_some() || !unanswered.is_empty() || idle.len() < CONNECTIONS) {
        while let Some(&number) = idle.last() {
            let asked = match (unanswered.pop(), next) {
                (Some(asked), _) => asked,
                (None, Some(peer)) => match waiter.due() {
                    Some(due) => {
                        next = peers.next();
                        (due, peer)
                    }
                    None => break,
                },
                (None, None) => break,
            };
            idle.pop();
            if connections[number].is_none() {
                connections[number] = Some(Connection::open(load, &waiter, number)?);
            }
            request.clear();
            asked.1.write_http(load.num_want, lasts, &mut request);
            connections[number].as_mut().context("was opened")?.ask(asked, &request)?;
        }
        waiter.wait(&mut ready)?;
        for &number in &ready {
            let Some(connection) = &mut connections[number] else { continue };
            match connection.read(load, measured.answers)? {
                Came::Nothing => {}
                Came::Answer(due) => {
                    measured.answered(due);
                    if lasts {
                        connection.state = State::Idle;
                        idle.push(number);
                    }
                }
                Came::Closed => {
                    measured.again += u64::from(lasts);
                    let was_idle = matches!(connection.state, State::Idle);
                    // Some servers close idle connections; a request that met the end goes to the next connection.
                    if let State::Asked(due, peer) = connection.state {
                        ensure!(lasts && connection.filled == 0, "closed before the answer was complete");
                        unanswered.push((due, peer));
                    }
                    close(connections[number].take());
                    idle.extend((!was_idle).then_some(number));
                }
            }
        }
    }
    measured.elapsed = waiter.elapsed();
    connections.into_iter().for_each(close);
    Ok(measured)
}

/// With a reset, so that no port is kept for a minute on either side.
fn close(connection: Option<Connection>) {
    if let Some(connection) = connection {
        let _is_closed_anyway =
            rustix::net::sockopt::set_socket_linger(&connection.stream, Some(std::time::Duration::ZERO));
    }
}

impl Connection {
    fn open(load: &Load, waiter: &Waiter, number: usize) -> Result<Self> {
        let stream = TcpStream::connect(load.target).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        waiter.add(&stream, number)?;
        Ok(Self { stream, input: [0; 4096], filled: 0, state: State::Idle })
    }

    fn ask(&mut self, asked: (Instant, Peer), request: &[u8]) -> Result<()> {
        self.state = State::Asked(asked.0, asked.1);
        self.filled = 0;
        match self.stream.write(request) {
            Ok(written) => ensure!(written == request.len(), "a request of which a part was sent"),
            // The reading side finds out that it is closed.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn read(&mut self, load: &Load, answers: u64) -> Result<Came> {
        let read = match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => return Ok(Came::Closed),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Came::Nothing),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Came::Closed),
            Err(error) => return Err(error.into()),
        };
        self.filled += read;
        let State::Asked(due, _) = self.state else { bail!("{read} bytes that nobody asked for") };
        let Some(body) = body(&self.input[..self.filled])? else { return Ok(Came::Nothing) };
        check(body, load, answers.is_multiple_of(PARSED))?;
        self.state = State::Answered;
        Ok(Came::Answer(due))
    }
}

/// The body of an answer, once it is complete.
fn body(answer: &[u8]) -> Result<Option<&[u8]>> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(answer)? else { return Ok(None) };
    ensure!(head.code == Some(200), "answered {}", String::from_utf8_lossy(answer));
    let length = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length: usize = std::str::from_utf8(length.context("an answer without a length")?.value)?.trim().parse()?;
    let body = &answer[start..];
    ensure!(body.len() <= length, "{} bytes after the answer", body.len() - length);
    Ok((body.len() == length).then_some(body))
}

/// Whether it has the peers that were asked for, so that nobody wins by refusing.
fn check(body: &[u8], load: &Load, whole: bool) -> Result<()> {
    if load.checks {
        let wanted = format!("5:peers{}:", load.num_want * 6);
        let has_peers = body.windows(wanted.len()).any(|window| window == wanted.as_bytes());
        ensure!(body.starts_with(b"d") && has_peers, "not {wanted} in {}", String::from_utf8_lossy(body));
    }
    if whole {
        let reply = AnnounceReply::parse(body).with_context(|| String::from_utf8_lossy(body).into_owned())?;
        ensure!(!load.checks || reply.peers.len() == load.num_want as usize, "{} peers", reply.peers.len());
    }
    Ok(())
}
