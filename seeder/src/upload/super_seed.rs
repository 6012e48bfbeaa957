//! Super-seeding (BEP 16): who is told about which piece, and when.
//!
//! A seeder that shows everything to everybody is asked for the same pieces by everybody, since clients that start
//! together choose alike: eight librqbit leechers took 3.9 copies from it, and 3.9 times as long as the links needed.
//! Here a peer is told of a few pieces that nobody else was told of, then of more as they are sent. So each piece leaves
//! once, every upload of the seeder is of use to all, and the peers have something to give to each other from the
//! first second on. When every piece lives somewhere else, all are told of everything: plain seeding.
//!
//! Only as many offers are open as the seeder sends in a quarter of a second, and those have the next who had the fewest.
//! If each of a thousand peers had one, their pieces would all be there at the same time, after all of the content had
//! left, and nobody had anything to give until then: simulated, 2.5 times the bound instead of 1.6.
//!
//! No I/O, no clock and no chance here: a simulation runs thousands of peers through it.

mod order;
mod pace;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use nova_protocol::{
    BLOCK_LENGTH, PeerId,
    metainfo::Info,
    peer_wire::{Bitfield, Block},
};
use order::Order;
use pace::Pace;

/// Offers that a peer always has: one that it takes and the next.
const OPEN_MIN: usize = 2;
/// Bytes that one who is alone has in more offers, to the nearest number of pieces. librqbit falls asleep when it has
/// asked for all that it knows of: there must be enough for what is sent at the moment and for what it asks for meanwhile.
const ASKED: u32 = 12 * BLOCK_LENGTH;
const OPEN_MAX: usize = 64;
/// Offers that all peers have together at the least.
const ALL_OPEN_MIN: usize = 16;
/// For how long an offer counts among them: those who are slow to take theirs do not keep others from having some.
const COUNTS: Duration = Duration::from_millis(500);
/// More than so many do not all know each other, and are offered the last pieces first.
const CROWD: usize = 20;
/// An offer that a peer leaves alone for so long is made to another, sooner when it is one of the last: others wait for it.
const LAPSE: Duration = Duration::from_secs(2);
const LAPSE_LAST: Duration = Duration::from_millis(500);
/// How often offers that lapsed are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

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
    /// It has nothing to wait for: time passes.
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
    order: Order,
    /// Pieces that nobody has and nobody was offered.
    fresh: BTreeSet<u32>,
    /// How many pieces nobody else has.
    unspread: usize,
    members: BTreeMap<PeerId, Member>,
    /// Members that may have another offer, those first who had the fewest.
    hungry: BTreeSet<(u32, PeerId)>,
    /// Open offers that count, as they were made, and some that are not open any more.
    made: VecDeque<(Instant, PeerId, u32)>,
    counted: usize,
    pace: Option<Pace>,
    looked: Option<Instant>,
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
    /// Offers that were made to it.
    offers: u32,
    pace: Pace,
}

#[derive(Debug)]
struct Open {
    piece: u32,
    unsent: u32,
    touched: Instant,
    counts: bool,
}

impl SuperSeed {
    /// Nothing has left. `turn` is any number, and another for each seeder.
    pub fn new(info: &Info, turn: u32) -> Self {
        let count = info.piece_count();
        Self {
            pieces: (0..count).map(|index| Piece { size: info.piece_size(index), copies: 0, offers: 0 }).collect(),
            piece_length: info.piece_length.get(),
            order: Order::new(count, turn),
            fresh: (0..count).collect(),
            unspread: count as usize,
            members: BTreeMap::new(),
            hungry: BTreeSet::new(),
            made: VecDeque::new(),
            counted: 0,
            pace: None,
            looked: None,
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
        self.hungry.clear();
        self.made.clear();
        std::mem::take(&mut self.members).into_iter().map(move |(peer, member)| {
            let mut known = member.told;
            (0..count).filter(|&piece| member.has.has(piece)).for_each(|piece| known.insert(piece));
            (peer, known)
        })
    }

    /// What peers shall be told of now that something happened; nothing any more when it is over.
    pub fn hear(&mut self, peer: PeerId, news: News, now: Instant) -> Vec<Offer> {
        match news {
            News::Joined => self.join(peer, now),
            News::Has(piece) => self.has(peer, piece),
            News::HasMany(pieces) => {
                (0..self.count()).filter(|&piece| pieces.has(piece)).for_each(|piece| self.has(peer, piece));
            }
            News::Sent(block) => self.sent(peer, block, now),
            News::Idle => {}
            News::Left => self.leave(peer),
        }
        self.is_over |= self.unspread == 0;
        if self.is_over {
            return Vec::new();
        }
        self.lapse(now);
        self.seat(peer);
        self.offer(now)
    }

    fn count(&self) -> u32 {
        u32::try_from(self.pieces.len()).expect("pieces are counted with 32 bits")
    }

    fn join(&mut self, peer: PeerId, now: Instant) {
        let nothing = || Bitfield::empty(self.count());
        let member = Member { has: nothing(), told: nothing(), open: Vec::new(), offers: 0, pace: Pace::new(now) };
        self.members.insert(peer, member);
    }

    fn leave(&mut self, peer: PeerId) {
        let Some(member) = self.members.remove(&peer) else { return };
        self.hungry.remove(&(member.offers, peer));
        for open in &member.open {
            self.close(open);
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
        let open = open.map(|index| member.open.swap_remove(index));
        let known = &mut self.pieces[piece as usize];
        self.unspread -= usize::from(known.copies == 0);
        known.copies += 1;
        self.fresh.remove(&piece);
        if let Some(open) = open {
            self.close(&open);
        }
    }

    fn sent(&mut self, peer: PeerId, block: Block, now: Instant) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        member.pace.sent(block.length, now);
        self.pace.get_or_insert_with(|| Pace::new(now)).sent(block.length, now);
        let has_all = match member.open.iter_mut().find(|open| open.piece == block.piece) {
            Some(open) => {
                open.unsent = open.unsent.saturating_sub(block.length);
                open.touched = now;
                open.unsent == 0
            }
            // One that took so long that the offer has lapsed.
            None => {
                self.pieces.get(block.piece as usize).is_some_and(|piece| block.offset + block.length == piece.size)
            }
        };
        if has_all {
            // It will not say so: it knows that we have the piece.
            self.has(peer, block.piece);
        }
    }

    /// Takes back what peers leave alone: they have it from elsewhere, do not want it, or cannot take it.
    fn lapse(&mut self, now: Instant) {
        if self.looked.is_some_and(|looked| now.duration_since(looked) < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        let patience = if self.fresh.is_empty() { LAPSE_LAST } else { LAPSE };
        let is_over = |open: &mut Open| now.duration_since(open.touched) >= patience;
        let mut lapsed = Vec::new();
        for (&peer, member) in &mut self.members {
            lapsed.extend(member.open.extract_if(.., is_over).map(|open| (peer, open)));
        }
        for (peer, open) in lapsed {
            self.close(&open);
            self.seat(peer);
        }
    }

    fn close(&mut self, open: &Open) {
        self.counted -= usize::from(open.counts);
        self.pieces[open.piece as usize].offers -= 1;
        self.refresh(open.piece);
    }

    fn refresh(&mut self, piece: u32) {
        let known = self.pieces[piece as usize];
        if known.copies == 0 && known.offers == 0 {
            self.fresh.insert(piece);
        }
    }

    /// Has a member among the hungry exactly if it may have another offer.
    fn seat(&mut self, peer: PeerId) {
        let Some(member) = self.members.get(&peer) else { return };
        let asked = ((ASKED + self.piece_length / 2) / self.piece_length) as usize / self.members.len();
        let wanted = (OPEN_MIN + asked + member.pace.ahead(self.piece_length)).min(OPEN_MAX);
        let place = (member.offers, peer);
        if member.open.len() < wanted {
            self.hungry.insert(place)
        } else {
            self.hungry.remove(&place)
        };
    }

    /// Makes as many offers as there may be.
    fn offer(&mut self, now: Instant) -> Vec<Offer> {
        self.discount(now);
        let limit = ALL_OPEN_MIN + self.pace.as_ref().map_or(0, |pace| pace.ahead(self.piece_length));
        let (mut offers, mut in_vain) = (Vec::new(), Vec::new());
        while self.counted < limit
            && !self.fresh.is_empty()
            && let Some(place) = self.hungry.pop_first()
        {
            match self.offer_to(place.1, now) {
                Some(piece) => {
                    self.seat(place.1);
                    offers.push((place.1, piece));
                }
                None => in_vain.push(place),
            }
        }
        // What is left was offered to all: whoever has got it from another does not tell those who told of it.
        self.is_over |= in_vain.len() > 1 && in_vain.len() == self.members.len() && self.unspread == self.fresh.len();
        self.hungry.extend(in_vain);
        offers
    }

    fn offer_to(&mut self, peer: PeerId, now: Instant) -> Option<u32> {
        let is_crowd = self.members.len() > CROWD;
        let member = self.members.get_mut(&peer)?;
        // What it has left alone once is not offered to it again.
        let piece = self.order.choose(&self.fresh, is_crowd, |&piece| !member.told.has(piece))?;
        self.fresh.remove(&piece);
        let known = &mut self.pieces[piece as usize];
        known.offers += 1;
        member.offers += 1;
        member.told.insert(piece);
        member.open.push(Open { piece, unsent: known.size, touched: now, counts: true });
        self.made.push_back((now, peer, piece));
        self.counted += 1;
        Some(piece)
    }

    /// Counts those offers no more that were made too long ago.
    fn discount(&mut self, now: Instant) {
        while let Some(&(made, peer, piece)) = self.made.front()
            && now.duration_since(made) >= COUNTS
        {
            self.made.pop_front();
            let open =
                self.members.get_mut(&peer).and_then(|member| member.open.iter_mut().find(|open| open.piece == piece));
            self.counted -= open.map_or(0, |open| usize::from(std::mem::take(&mut open.counts)));
        }
    }
}

#[cfg(test)]
mod tests;
