//! Wakes connections of librqbit that have fallen asleep.
//!
//! A connection of librqbit 9.1.0 that finds nothing to ask its peer for sleeps until any piece of the torrent is given
//! back, or for 5 s; the peer's telling of a new piece does not wake it (`task_peer_chunk_requester`). Among leechers,
//! who get pieces one by one, that is most of the time: eight of them took 11 to 30 s for what they do in 6.8 s when
//! woken. So while a torrent is incomplete, a peer of our own dials the session again and again, offers everything,
//! and leaves as soon as it is asked for a piece: that piece is given back, and everybody wakes.
//!
//! To be deleted when librqbit wakes a connection on HAVE.

use std::{io, net::SocketAddr, time::Duration};

use nova_protocol::{
    InfoHash, Metainfo, PeerId,
    peer_wire::{Bitfield, HANDSHAKE_LENGTH, Handshake, Message},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use super::{Fetcher, State};

/// Between two calls while bytes come in: 20 to 100 ms are all good.
const PAUSE: Duration = Duration::from_millis(30);
/// The same, after some calls in a row that nothing came of.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long the session may take to ask; it does not when every missing piece is on its way.
const ASKED_WITHIN: Duration = Duration::from_millis(250);
/// The message id of a request.
const REQUEST: u8 = 6;

/// Keeps the connections of a torrent awake until it is complete, failed or removed.
pub(super) async fn keep_awake(fetcher: Fetcher, metainfo: &Metainfo) {
    let info_hash = metainfo.info_hash();
    let mut caller = Caller::new(fetcher.addr, info_hash, metainfo.info.piece_count());
    let (mut pause, mut fetched) = (PAUSE, 0);
    while let Some(status) = fetcher.status(info_hash) {
        match status.state {
            State::Complete | State::Failed => return,
            State::Checking => {}
            State::Fetching => {
                if let Err(error) = caller.call().await {
                    tracing::trace!(%info_hash, %error, "not woken");
                }
            }
        }
        let now: u64 = status.sources.iter().map(|(_, bytes)| bytes).sum();
        pause = if now == fetched { (pause * 2).min(PAUSE_MAX) } else { PAUSE };
        fetched = now;
        sleep(pause).await;
    }
}

struct Caller {
    session: SocketAddr,
    /// The same each time, for librqbit remembers every address.
    own: Option<SocketAddr>,
    greeting: Vec<u8>,
    length_limit: u32,
}

impl Caller {
    fn new(listen: SocketAddr, info_hash: InfoHash, pieces: u32) -> Self {
        let mut session = listen;
        if listen.ip().is_unspecified() {
            session.set_ip(match listen {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let handshake = Handshake { info_hash, peer_id: PeerId::nova(rand::random()), fast: false, extended: false };
        let mut greeting = handshake.encode().to_vec();
        Message::Bitfield(Bitfield::full(pieces).as_bytes().to_vec()).encode(&mut greeting);
        Message::Unchoke.encode(&mut greeting);
        Self { session, own: None, greeting, length_limit: Message::length_limit(pieces) }
    }

    /// Offers everything and leaves on the first request.
    async fn call(&mut self) -> io::Result<()> {
        let socket = match self.session {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_zero_linger()?;
        let own = self.own.take().unwrap_or(SocketAddr::new(self.session.ip(), 0));
        socket.bind(own)?;
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
    stream.read_exact(&mut payload).await?;
    loop {
        let length = stream.read_u32().await?.min(length_limit);
        payload.resize(length as usize, 0);
        stream.read_exact(&mut payload).await?;
        if payload.first() == Some(&REQUEST) {
            return Ok(());
        }
    }
}
