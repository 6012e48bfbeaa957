//! One connection, from handshake to parting.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use nova_protocol::peer_wire::{Block, HANDSHAKE_LENGTH, Handshake, Message};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{
    Engine, PeerError,
    torrent::{Membership, Torrent},
};

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Peers say something every two minutes (BEP 3).
const SILENCE: Duration = Duration::from_mins(3);
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// When there is nothing to send for so long, what was offered may be of no use to the peer.
const IDLE: Duration = Duration::from_secs(1);
/// How long a peer may take to read a batch of blocks.
const BATCH_WITHIN: Duration = Duration::from_mins(2);

type Reader = BufReader<OwnedReadHalf>;

impl Engine {
    /// Serves a peer that has dialled.
    pub(super) async fn answered(&self, stream: TcpStream) -> Result<(), PeerError> {
        let (mut reader, mut writer) = split(stream)?;
        let theirs = read_handshake(&mut reader).await?;
        let torrent = self.torrent(theirs.info_hash).ok_or(PeerError::UnknownTorrent(theirs.info_hash))?;
        let membership = self.admit(torrent, &theirs)?;
        writer.write_all(&self.handshake(&membership.torrent).encode()).await?;
        self.serve(&membership, reader, writer).await
    }

    /// Serves a peer that was dialled.
    pub(super) async fn dialled(&self, stream: TcpStream, torrent: Arc<Torrent>) -> Result<(), PeerError> {
        let (mut reader, mut writer) = split(stream)?;
        let ours = self.handshake(&torrent);
        writer.write_all(&ours.encode()).await?;
        let theirs = read_handshake(&mut reader).await?;
        if theirs.info_hash != ours.info_hash {
            return Err(PeerError::Violation("answers for another torrent"));
        }
        let membership = self.admit(torrent, &theirs)?;
        self.serve(&membership, reader, writer).await
    }

    fn handshake(&self, torrent: &Torrent) -> Handshake {
        Handshake { info_hash: torrent.metainfo.info_hash(), peer_id: self.peer_id, fast: true, extended: true }
    }

    fn admit(&self, torrent: Arc<Torrent>, theirs: &Handshake) -> Result<Membership, PeerError> {
        if theirs.peer_id == self.peer_id {
            return Err(PeerError::Itself);
        }
        torrent.join(theirs, self.addr.port()).ok_or(PeerError::AlreadyConnected)
    }

    async fn serve(&self, membership: &Membership, reader: Reader, writer: OwnedWriteHalf) -> Result<(), PeerError> {
        let torrent = &membership.torrent;
        tokio::select! {
            ended = listen(membership, reader, Message::length_limit(torrent.metainfo.info.piece_count())) => ended,
            ended = self.talk(membership, writer) => ended,
            () = torrent.stop.cancelled() => Ok(()),
        }
    }

    /// Sends what the peer waits for, until it has everything.
    async fn talk(&self, membership: &Membership, mut writer: OwnedWriteHalf) -> Result<(), PeerError> {
        let Membership { torrent, peer, .. } = membership;
        let mut silent_since = Instant::now();
        loop {
            let mut work = peer.take_work(self.limit.batch);
            if work.talk.is_empty() && work.blocks.is_empty() {
                if peer.is_complete() {
                    return Ok(());
                }
                if timeout(IDLE, peer.wake.notified()).await.is_ok() {
                    continue;
                }
                membership.is_idle();
                if silent_since.elapsed() < KEEP_ALIVE {
                    continue;
                }
                Message::KeepAlive.encode(&mut work.talk);
            }
            silent_since = Instant::now();
            let bytes = work.blocks.iter().map(|block| block.length).sum::<u32>();
            self.limit.acquire(bytes).await;
            let frames = frames(torrent, work.talk, &work.blocks).await?;
            timeout(BATCH_WITHIN, writer.write_all(&frames)).await.map_err(|_| PeerError::TooSlow("reading"))??;
            membership.sent(&work.blocks);
        }
    }
}

fn split(stream: TcpStream) -> io::Result<(Reader, OwnedWriteHalf)> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    Ok((BufReader::new(reader), writer))
}

async fn read_handshake(reader: &mut Reader) -> Result<Handshake, PeerError> {
    let mut bytes = [0; HANDSHAKE_LENGTH];
    let read = timeout(HANDSHAKE_WITHIN, reader.read_exact(&mut bytes)).await;
    read.map_err(|_| PeerError::TooSlow("handshake"))??;
    Ok(Handshake::decode(&bytes)?)
}

/// Reads messages until the peer leaves.
async fn listen(membership: &Membership, mut reader: Reader, length_limit: u32) -> Result<(), PeerError> {
    let mut payload = Vec::new();
    loop {
        let length = match timeout(SILENCE, reader.read_u32()).await.map_err(|_| PeerError::TooSlow("message"))? {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if length > length_limit {
            return Err(PeerError::Violation("message of excessive length"));
        }
        payload.resize(length as usize, 0);
        timeout(SILENCE, reader.read_exact(&mut payload)).await.map_err(|_| PeerError::TooSlow("message"))??;
        membership.hears(Message::decode(&payload)?)?;
    }
}

/// The bytes to send: messages, then blocks, each behind its header.
async fn frames(torrent: &Arc<Torrent>, mut talk: Vec<u8>, blocks: &[Block]) -> Result<Vec<u8>, PeerError> {
    if blocks.is_empty() {
        return Ok(talk);
    }
    let (torrent, fault, blocks) = (torrent.clone(), torrent.fault.clone(), blocks.to_vec());
    let read = move || -> io::Result<Vec<u8>> {
        let piece_length = u64::from(torrent.metainfo.info.piece_length.get());
        for block in blocks {
            talk.extend_from_slice(&Message::piece_header(block));
            let start = talk.len();
            talk.resize(start + block.length as usize, 0);
            let offset = u64::from(block.piece) * piece_length + u64::from(block.offset);
            torrent.content.read_at(offset, &mut talk[start..])?;
        }
        Ok(talk)
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?.map_err(|error| {
        fault.cancel();
        PeerError::Content(error)
    })
}
