//! Super-seeding (BEP 16): who is told about which piece, and when.
//!
//! A seeder that shows everything to everybody is asked for the same pieces by everybody, since clients that start
//! together choose alike: eight librqbit leechers took 3.9 copies from it, and 3.9 times as long as the links needed.
//! Here a peer is told of a few pieces that nobody else was told of, then of more as they are sent. So each piece leaves
//! once, every upload of the seeder is of use to all, and the peers have something to give to each other from the
//! first second on. When every piece lives somewhere else, all are told of everything: plain seeding.
//!
//! No I/O, no clock and no chance here: a simulation runs thousands of peers through it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use nova_protocol::{
    PeerId,
    metainfo::Info,
    peer_wire::{Bitfield, Block},
};

/// Offers that a peer always has: one that it takes and the next.
const OPEN_MIN: usize = 2;
const OPEN_MAX: usize = 64;
/// Offers beyond those are for so much time at the peer's rate, so that requests never wait for them.
const AHEAD: Duration = Duration::from_millis(250);
/// How often a peer's rate is looked at.
const RATED_EVERY: Duration = Duration::from_millis(500);
/// An offer that a peer leaves alone for so long is made to another.
const LAPSE: Duration = Duration::from_secs(2);

/// What happened with a peer.
#[derive(Debug)]
pub enum News {
    /// It has come.
    Joined,
    /// It has a piece.
    Has(u32),
    /// It has all of these.
    HasMany(Bitfield),
    /// It was sent this.
    Sent(Block),
    /// It has nothing to wait for.
    Idle,
    /// It is gone.
    Left,
}

/// A piece that a peer shall be told of.
pub type Offer = (PeerId, u32);

/// The spreading of one torrent from this seeder.
#[derive(Debug)]
pub struct SuperSeed {
    pieces: Vec<Piece>,
    piece_length: u32,
    /// Pieces that nobody has and nobody was offered.
    fresh: BTreeSet<u32>,
    /// Where in them to go on. Seeders of the same content start at different places.
    next: u32,
    /// How many pieces nobody else has.
    unspread: usize,
    members: BTreeMap<PeerId, Member>,
    is_over: bool,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    size: u32,
    /// Members that have it.
    copies: u32,
    /// Members that were told of it and have not got it yet.
    offers: u32,
}

#[derive(Debug)]
struct Member {
    has: Bitfield,
    told: Bitfield,
    open: Vec<Open>,
    /// Bytes a second.
    rate: u128,
    rated: Instant,
    /// Bytes sent since then.
    recent: u64,
}

#[derive(Debug)]
struct Open {
    piece: u32,
    unsent: u32,
    touched: Instant,
}

impl SuperSeed {
    /// Nothing has left. `place` is any number, and another for each seeder.
    pub fn new(info: &Info, place: u32) -> Self {
        let count = info.piece_count();
        Self {
            pieces: (0..count).map(|index| Piece { size: info.piece_size(index), copies: 0, offers: 0 }).collect(),
            piece_length: info.piece_length.get(),
            fresh: (0..count).collect(),
            next: place.checked_rem(count).unwrap_or(0),
            unspread: count as usize,
            members: BTreeMap::new(),
            is_over: count == 0,
        }
    }

    /// Whether every piece lives somewhere else, so that whoever joins is told of everything at once.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Once it is over, forgets everybody, and says who has or was told of what: they shall be told of the rest.
    pub fn end(&mut self) -> impl Iterator<Item = (PeerId, Bitfield)> + use<> {
        let count = self.count();
        std::mem::take(&mut self.members).into_iter().map(move |(peer, member)| {
            let mut known = member.told;
            (0..count).filter(|&piece| member.has.has(piece)).for_each(|piece| known.insert(piece));
            (peer, known)
        })
    }

    /// What peers shall be told of now that something happened; nothing any more when it is over.
    pub fn hear(&mut self, peer: PeerId, news: News, now: Instant) -> Vec<Offer> {
        let fresh_before = self.fresh.len();
        match news {
            News::Joined => self.join(peer, now),
            News::Has(piece) => self.has(peer, piece),
            News::HasMany(pieces) => {
                (0..self.count()).filter(|&piece| pieces.has(piece)).for_each(|piece| self.has(peer, piece));
            }
            News::Sent(block) => self.sent(peer, block, now),
            News::Idle => self.lapse(peer, now),
            News::Left => self.leave(peer),
        }
        self.is_over |= self.unspread == 0;
        if self.is_over {
            return Vec::new();
        }
        let mut offers = Vec::new();
        if self.fresh.len() > fresh_before {
            // Others may have been waiting for just these.
            let everybody: Vec<PeerId> = self.members.keys().copied().collect();
            for peer in everybody {
                self.top_up(peer, now, &mut offers);
            }
        } else {
            self.top_up(peer, now, &mut offers);
        }
        offers
    }

    fn count(&self) -> u32 {
        u32::try_from(self.pieces.len()).expect("pieces are counted with 32 bits")
    }

    fn join(&mut self, peer: PeerId, now: Instant) {
        let nothing = || Bitfield::empty(self.count());
        let member = Member { has: nothing(), told: nothing(), open: Vec::new(), rate: 0, rated: now, recent: 0 };
        self.members.insert(peer, member);
    }

    fn leave(&mut self, peer: PeerId) {
        let Some(member) = self.members.remove(&peer) else { return };
        for open in &member.open {
            self.close(open.piece);
        }
        for piece in (0..self.count()).filter(|&piece| member.has.has(piece)) {
            let known = &mut self.pieces[piece as usize];
            known.copies -= 1;
            self.unspread += usize::from(known.copies == 0);
            self.refresh(piece);
        }
    }

    fn has(&mut self, peer: PeerId, piece: u32) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        if piece as usize >= self.pieces.len() || member.has.has(piece) {
            return;
        }
        member.has.insert(piece);
        let open = member.open.iter().position(|open| open.piece == piece);
        let was_open = open.map(|index| member.open.swap_remove(index)).is_some();
        let known = &mut self.pieces[piece as usize];
        self.unspread -= usize::from(known.copies == 0);
        known.copies += 1;
        self.fresh.remove(&piece);
        if was_open {
            self.close(piece);
        }
    }

    fn sent(&mut self, peer: PeerId, block: Block, now: Instant) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        member.recent += u64::from(block.length);
        let elapsed = now.duration_since(member.rated);
        if elapsed >= RATED_EVERY {
            member.rate = u128::from(member.recent) * 1000 / elapsed.as_millis();
            (member.rated, member.recent) = (now, 0);
        }
        let Some(open) = member.open.iter_mut().find(|open| open.piece == block.piece) else { return };
        open.unsent = open.unsent.saturating_sub(block.length);
        open.touched = now;
        if open.unsent == 0 {
            // It will not say so: it knows that we have the piece.
            self.has(peer, block.piece);
        }
    }

    /// Takes back what the peer leaves alone: it has it from elsewhere, or does not want it.
    fn lapse(&mut self, peer: PeerId, now: Instant) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        let lapsed = |open: &mut Open| now.duration_since(open.touched) >= LAPSE;
        let lapsed: Vec<u32> = member.open.extract_if(.., lapsed).map(|open| open.piece).collect();
        for piece in lapsed {
            self.close(piece);
        }
    }

    fn close(&mut self, piece: u32) {
        self.pieces[piece as usize].offers -= 1;
        self.refresh(piece);
    }

    fn refresh(&mut self, piece: u32) {
        let known = self.pieces[piece as usize];
        if known.copies == 0 && known.offers == 0 {
            self.fresh.insert(piece);
        }
    }

    fn top_up(&mut self, peer: PeerId, now: Instant, offers: &mut Vec<Offer>) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        let ahead = member.rate * AHEAD.as_millis() / 1000 / u128::from(self.piece_length);
        let wanted = usize::try_from(ahead).map_or(OPEN_MAX, |ahead| (OPEN_MIN + ahead).min(OPEN_MAX));
        while member.open.len() < wanted {
            // What it has left alone once is not offered to it again.
            let mut fresh = self.fresh.range(self.next..).chain(self.fresh.range(..self.next));
            let Some(&piece) = fresh.find(|&&piece| !member.told.has(piece)) else { return };
            self.fresh.remove(&piece);
            self.next = piece + 1;
            let known = &mut self.pieces[piece as usize];
            known.offers += 1;
            member.told.insert(piece);
            member.open.push(Open { piece, unsent: known.size, touched: now });
            offers.push((peer, piece));
        }
    }
}

#[cfg(test)]
mod tests;
