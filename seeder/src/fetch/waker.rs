//! Wakes connections of librqbit that have fallen asleep.
//!
//! A connection of librqbit 9.1.0 that finds nothing to ask its peer for sleeps until any piece of the torrent is given
//! back, or for 5 s; the peer's telling of a new piece does not wake it (`task_peer_chunk_requester`). Among leechers,
//! who get pieces one by one, that is most of the time: eight of them took 11 to 30 s for what they do in 6.8 s when
//! woken. So while a torrent is incomplete, a peer of our own dials the session again and again, offers everything, and
//! leaves as soon as it is asked for a piece: that piece is given back, and everybody wakes.
//!
//! To be deleted when librqbit wakes a connection on HAVE.

use std::{io, net::SocketAddr, time::Duration};

use nova_protocol::{
    Metainfo,
    peer_wire::{HANDSHAKE_LENGTH, Message},
};
use rustix::net::sockopt::set_tcp_quickack;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::loopback::{greeting, reachable};

/// How long the session may take to ask; it does not when every missing piece is on its way.
const ASKED_WITHIN: Duration = Duration::from_millis(250);
/// The message id of a request.
const REQUEST: u8 = 6;

/// The waker of one torrent.
pub(super) struct Waker {
    session: SocketAddr,
    /// The same each time, for librqbit remembers every address.
    own: Option<SocketAddr>,
    greeting: Vec<u8>,
    length_limit: u32,
}

impl Waker {
    /// A waker for a session that listens at `listen`.
    pub(super) fn new(listen: SocketAddr, metainfo: &Metainfo) -> Self {
        let session = reachable(listen);
        let pieces = metainfo.info.piece_count();
        // More than one request would take more pieces from the others for as long as it lasts.
        let greeting = greeting(metainfo.info_hash(), pieces, Some(1));
        Self { session, own: None, greeting, length_limit: Message::length_limit(pieces) }
    }

    /// Wakes all connections, if there is a piece that nobody was asked for.
    pub(super) async fn wake(&mut self) -> io::Result<()> {
        let socket = match self.session {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_zero_linger()?;
        socket.bind(self.own.take().unwrap_or(SocketAddr::new(self.session.ip(), 0)))?;
        let own = socket.local_addr()?;
        let mut stream = socket.connect(self.session).await?;
        self.own = Some(own);
        stream.write_all(&self.greeting).await?;
        timeout(ASKED_WITHIN, asked(&mut stream, self.length_limit)).await?
    }
}

/// Reads until there is a request.
async fn asked(stream: &mut TcpStream, length_limit: u32) -> io::Result<()> {
    let mut payload = vec![0; HANDSHAKE_LENGTH];
    let mut stream = BufReader::new(stream);
    stream.read_exact(&mut payload).await?;
    loop {
        if stream.buffer().is_empty() {
            // librqbit sends each message by itself, and the next one when this one is acknowledged.
            set_tcp_quickack(&**stream.get_ref(), true)?;
        }
        let length = stream.read_u32().await?.min(length_limit);
        payload.resize(length as usize, 0);
        stream.read_exact(&mut payload).await?;
        if payload.first() == Some(&REQUEST) {
            return Ok(());
        }
    }
}
