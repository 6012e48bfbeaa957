//! What one peer has said and is waiting for. No I/O here.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nova_protocol::{
    BLOCK_LENGTH, Metainfo,
    peer_wire::{Bitfield, Block, ExtendedHandshake, Extensions, Handshake, Message, MetadataMessage, MetadataType},
};
use tokio::sync::Notify;

use super::{PeerError, super_seed::News};

/// Requests that are kept for a peer: librqbit sends 128 at most, libtorrent up to 500.
const QUEUE: usize = 1024;
/// Bytes of answers other than content that are kept for a peer that does not read them.
const TALK: usize = 512 << 10;
/// Pieces that a peer is told of at once, when it is told of all that it does not know of.
const TOLD_AT_ONCE: usize = 4096;
/// The id under which peers send us metadata messages.
const METADATA_ID: u8 = 1;

/// One peer of a torrent that is served.
pub(super) struct Peer {
    metainfo: Arc<Metainfo>,
    /// Whether both sides speak the Fast extension.
    fast: bool,
    state: Mutex<State>,
    /// Rings when there is something to send.
    pub wake: Notify,
}

struct State {
    have: Bitfield,
    requests: VecDeque<Block>,
    talk: Vec<u8>,
    /// Pieces that the peer knows of, while it is told of the others, and among which those are of which it was not.
    rest: Option<(Bitfield, Range<u32>)>,
    /// The id under which the peer wants metadata messages, once it has said so.
    metadata_id: Option<u8>,
}

/// What shall be sent next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Whole messages.
    pub talk: Vec<u8>,
    /// Content to follow them.
    pub blocks: Vec<Block>,
}

impl Peer {
    /// A peer that has shaken hands, and is choked as yet. What it is told first waits to be sent: of all pieces, or of none
    /// yet.
    pub(super) fn new(metainfo: Arc<Metainfo>, theirs: &Handshake, is_told_all: bool, listen_port: u16) -> Self {
        let pieces = metainfo.info.piece_count();
        let fast = theirs.fast;
        let mut talk = Vec::new();
        match (is_told_all, fast) {
            (true, true) => Message::HaveAll.encode(&mut talk),
            (true, false) => Message::Bitfield(Bitfield::full(pieces).as_bytes().to_vec()).encode(&mut talk),
            (false, true) => Message::HaveNone.encode(&mut talk),
            (false, false) => {}
        }
        if theirs.extended {
            let payload = extended_handshake(&metainfo, listen_port).encode();
            Message::Extended { id: 0, payload }.encode(&mut talk);
        }
        let state =
            State { have: Bitfield::empty(pieces), requests: VecDeque::new(), talk, rest: None, metadata_id: None };
        Self { metainfo, fast, state: Mutex::new(state), wake: Notify::new() }
    }

    /// Has a message sent.
    pub(super) fn tell(&self, message: &Message) {
        message.encode(&mut self.state().talk);
        self.wake.notify_one();
    }

    /// Has the peer told of every piece that is not among these, and which it does not get first. Bit by bit: for thousands
    /// of peers and pieces the messages would take a gigabyte.
    pub(super) fn tell_rest(&self, known: Bitfield) {
        self.state().rest = Some((known, 0..self.metainfo.info.piece_count()));
        self.wake.notify_one();
    }

    /// Takes what shall be sent next, with at most `batch` blocks.
    pub(super) fn take_work(&self, batch: usize) -> Work {
        let mut state = self.state();
        state.tell_more();
        let count = state.requests.len().min(batch);
        Work { talk: std::mem::take(&mut state.talk), blocks: state.requests.drain(..count).collect() }
    }

    /// Whether the peer has everything, so that there is nothing to do for it.
    pub(super) fn is_complete(&self) -> bool {
        let state = self.state();
        state.have.is_full() && state.requests.is_empty() && state.talk.is_empty()
    }

    /// Notes what the peer says, and tells what of that decides what it is told.
    ///
    /// # Errors
    /// [`PeerError::Violation`] for what a leecher must not say.
    pub(super) fn hears(&self, message: Message) -> Result<Option<News>, PeerError> {
        let info = &self.metainfo.info;
        let mut state = self.state();
        let mut news = None;
        match message {
            Message::Request(block) => {
                if !block.fits(info.piece_size(block.piece)) {
                    return Err(PeerError::Violation("request outside the content"));
                }
                self.request(&mut state, block)?;
            }
            Message::Cancel(block) => {
                let waiting = state.requests.iter().position(|waiting| *waiting == block);
                if let Some(index) = waiting {
                    state.requests.remove(index);
                    self.reject(&mut state, block);
                }
            }
            Message::Have(piece) => {
                state.have.insert(piece);
                news = Some(News::Has(piece));
            }
            Message::Bitfield(bytes) => {
                let read = Bitfield::decode(bytes, info.piece_count());
                state.have = read.map_err(|_| PeerError::Violation("bitfield of another torrent"))?;
                news = Some(News::HasMany(state.have.clone()));
            }
            Message::HaveAll => {
                state.have = Bitfield::full(info.piece_count());
                news = Some(News::HasMany(state.have.clone()));
            }
            Message::Extended { id: 0, payload } => {
                state.metadata_id = ExtendedHandshake::decode(&payload).m.ut_metadata.filter(|&id| id != 0);
            }
            Message::Extended { id: METADATA_ID, payload } => self.metadata(&mut state, &payload),
            Message::Piece { .. } => return Err(PeerError::Violation("content that was not asked for")),
            _ => return Ok(None),
        }
        if state.talk.len() > TALK {
            return Err(PeerError::Violation("asks faster than it reads"));
        }
        drop(state);
        self.wake.notify_one();
        Ok(news)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, state: &mut State, block: Block) -> Result<(), PeerError> {
        if state.requests.len() < QUEUE {
            state.requests.push_back(block);
        } else if self.fast {
            self.reject(state, block);
        } else {
            return Err(PeerError::Violation("more requests than we queue"));
        }
        Ok(())
    }

    /// BEP 6 wants every request answered, by content or by this.
    fn reject(&self, state: &mut State, block: Block) {
        if self.fast {
            Message::Reject(block).encode(&mut state.talk);
        }
    }

    /// Answers a request for a part of the info dictionary (BEP 9); a private torrent's is not given (BEP 27).
    fn metadata(&self, state: &mut State, payload: &[u8]) {
        let (Some(id), Ok(Some((request, _)))) = (state.metadata_id, MetadataMessage::decode(payload)) else { return };
        if request.kind() != Some(MetadataType::Request) {
            return;
        }
        let info = self.metainfo.info_bytes();
        let parts = if self.metainfo.info.private {
            None
        } else {
            info.chunks(BLOCK_LENGTH as usize).nth(request.piece as usize)
        };
        let payload = match parts {
            Some(part) => {
                let size = u32::try_from(info.len()).expect("metainfo is at most 64 MiB");
                let header = MetadataMessage::new(MetadataType::Data, request.piece, Some(size));
                [header.encode(), part.to_vec()].concat()
            }
            None => MetadataMessage::new(MetadataType::Reject, request.piece, None).encode(),
        };
        Message::Extended { id, payload }.encode(&mut state.talk);
    }
}

impl State {
    fn tell_more(&mut self) {
        let Some((known, untold)) = &mut self.rest else { return };
        let is_news = |piece: &u32| !known.has(*piece) && !self.have.has(*piece);
        let talk = &mut self.talk;
        untold.filter(is_news).take(TOLD_AT_ONCE).for_each(|piece| Message::Have(piece).encode(talk));
        if untold.start == untold.end {
            self.rest = None;
        }
    }
}

fn extended_handshake(metainfo: &Metainfo, listen_port: u16) -> ExtendedHandshake {
    let size = u32::try_from(metainfo.info_bytes().len()).expect("metainfo is at most 64 MiB");
    let public = !metainfo.info.private;
    ExtendedHandshake {
        m: Extensions { ut_metadata: public.then_some(METADATA_ID) },
        metadata_size: public.then_some(size),
        p: Some(listen_port),
        reqq: u32::try_from(QUEUE).ok(),
        v: Some(concat!("nova ", env!("CARGO_PKG_VERSION")).to_owned()),
    }
}

#[cfg(test)]
mod tests;
