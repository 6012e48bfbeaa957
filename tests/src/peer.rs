use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use nova_protocol::{
    BLOCK_LENGTH, InfoHash, PeerId,
    metainfo::Info,
    peer_wire::{Block, HANDSHAKE_LENGTH, Handshake, Message},
};

/// How long the other side may say nothing. librqbit lets go of a silent peer after 10 s by itself.
const SILENCE: Duration = Duration::from_secs(5);
/// Requests in flight.
const WINDOW: usize = 16;

/// A peer that is the test itself, and has nothing.
#[derive(Debug)]
pub struct Peer(TcpStream);

impl Peer {
    /// Dials a peer and shakes hands; none when it closes without an answer.
    pub fn join(addr: SocketAddr, info_hash: InfoHash) -> Option<Self> {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        let peer_id = PeerId::nova(rand::random());
        let ours = Handshake { info_hash, peer_id, fast: false, extended: false };
        let mut theirs = [0; HANDSHAKE_LENGTH];
        match stream.write_all(&ours.encode()).and_then(|()| stream.read_exact(&mut theirs)) {
            Err(error) if is_end(&error) => return None,
            shaken => shaken.unwrap(),
        }
        assert_eq!(Handshake::decode(&theirs).unwrap().info_hash, info_hash);
        Some(Self(stream))
    }

    /// Fetches everything, in order, from one who has everything.
    pub fn fetch(&mut self, info: &Info) -> Vec<u8> {
        let mut blocks = (0..info.piece_count()).flat_map(|piece| {
            let size = info.piece_size(piece);
            let block = move |offset: u32| Block { piece, offset, length: BLOCK_LENGTH.min(size - offset) };
            (0..size).step_by(BLOCK_LENGTH as usize).map(block)
        });
        blocks.by_ref().take(WINDOW).for_each(|block| self.ask(block));
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < info.length {
            if let Message::Piece { data, .. } = self.hear() {
                bytes.extend(data);
                if let Some(block) = blocks.next() {
                    self.ask(block);
                }
            }
        }
        bytes
    }

    /// Whether the other side has ended the connection, or does so soon.
    pub fn is_closed(mut self) -> bool {
        self.0.read_to_end(&mut Vec::new()).map_or_else(|error| is_end(&error), |_| true)
    }

    fn ask(&mut self, block: Block) {
        let mut bytes = Vec::new();
        Message::Request(block).encode(&mut bytes);
        self.0.write_all(&bytes).unwrap();
    }

    fn hear(&mut self) -> Message {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut payload = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut payload).unwrap();
        Message::decode(&payload).unwrap()
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
