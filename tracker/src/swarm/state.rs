use std::{
    collections::HashSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use nova_protocol::{
    PeerId,
    announce::{AnnounceRequest, Event, ReplyHead, ReplyPeer},
    scrape::Counts,
};

use super::{
    Crowd, Rules,
    feed::Feed,
    pace::{Pace, Role},
    roll::{Peer, Roll},
};

/// How many peers are handed out to those who do not say how many they want.
const NUM_WANT: usize = 50;

/// A leecher that got nothing for so long is told of every origin.
const STARVING: Duration = Duration::from_secs(30);

/// How many peer ids are remembered to have completed, before that memory starts anew.
const COMPLETED_MAX: usize = 1 << 16;

/// The swarm of one info hash.
#[derive(Debug, Default)]
pub(super) struct Swarm {
    /// Whether the info hash is in the index; the swarm stays when it is empty.
    pub listed: bool,
    seeders: Roll,
    leechers: Roll,
    feeds: Vec<Feed>,
    completed: HashSet<PeerId>,
    downloaded: u32,
}

impl Swarm {
    pub fn announce(
        &mut self,
        request: &AnnounceRequest,
        addr: SocketAddr,
        now: Instant,
        rules: &Rules,
        everybody: Crowd,
        peers: &mut Vec<ReplyPeer>,
    ) -> ReplyHead {
        let mut peer = self.arrival(request, addr, now);
        self.feeds.iter_mut().for_each(|feed| feed.announced(addr, request.event));
        if request.event == Event::Completed {
            self.complete(request.peer_id);
        }
        let stay = now.saturating_duration_since(peer.joined);
        let interval = rules.pace.interval(self.role(request.left), stay, everybody);
        if request.left == 0 || request.event == Event::Stopped {
            self.feeds.iter_mut().for_each(|feed| feed.wean(addr));
        }
        if request.event != Event::Stopped {
            let wanted = request.num_want.map_or(NUM_WANT, |count| count as usize).min(rules.num_want_max);
            if request.left == 0 || request.event == Event::Paused {
                self.hand_out_leechers(&peer, wanted, peers);
            } else {
                self.hand_out(&peer, now, wanted, rules.leechers_per_origin, peers);
            }
            peer.expires = now + Pace::patience(interval);
            self.insert(peer);
        }
        let Counts { complete, downloaded, incomplete } = self.counts();
        ReplyHead { interval, min_interval: interval, complete, incomplete, downloaded }
    }

    pub fn counts(&self) -> Counts {
        let origins = self.feeds.iter().filter(|feed| feed.serves()).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Counts {
            complete: count(self.seeders.len() + origins),
            downloaded: self.downloaded,
            incomplete: count(self.leechers.len()),
        }
    }

    /// Peers that have announced, complete ones first.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.seeders.iter().chain(self.leechers.iter())
    }

    pub fn crowd(&self) -> Crowd {
        Crowd { seeders: self.seeders.len(), leechers: self.leechers.len() }
    }

    pub fn hold(&mut self, origin: &str, addr: Option<SocketAddr>) {
        if self.feeds.iter().all(|feed| feed.origin != origin) {
            self.feeds.push(Feed::new(origin));
        }
        self.place(origin, addr);
    }

    pub fn release(&mut self, origin: &str) {
        self.feeds.retain(|feed| feed.origin != origin);
    }

    pub fn place(&mut self, origin: &str, addr: Option<SocketAddr>) {
        let Some(feed) = self.feeds.iter_mut().find(|feed| feed.origin == origin) else { return };
        feed.addr = addr;
        if let Some(addr) = addr {
            self.remove(addr);
        }
    }

    /// Drops peers that have missed two intervals.
    pub fn expire(&mut self, now: Instant) {
        self.seeders.remove_expired(now);
        for addr in self.leechers.remove_expired(now) {
            self.feeds.iter_mut().for_each(|feed| feed.wean(addr));
        }
    }

    /// Takes a peer off the roll, or makes a new one of it; another peer id at the same address is another peer.
    fn arrival(&mut self, request: &AnnounceRequest, addr: SocketAddr, now: Instant) -> Peer {
        let AnnounceRequest { peer_id, left, .. } = *request;
        match self.remove(addr).filter(|peer| peer.peer_id == peer_id) {
            Some(peer) if peer.left == left => peer,
            Some(peer) => Peer { left, progressed: now, ..peer },
            None => Peer { addr, peer_id, left, joined: now, progressed: now, expires: now },
        }
    }

    fn role(&self, left: u64) -> Role {
        match (left, self.leechers.len()) {
            (1.., _) => Role::Leecher,
            (0, 0) => Role::IdleSeeder,
            (0, _) => Role::Seeder,
        }
    }

    fn complete(&mut self, peer_id: PeerId) {
        if self.completed.len() == COMPLETED_MAX {
            self.completed.clear();
        }
        if self.completed.insert(peer_id) {
            self.downloaded = self.downloaded.saturating_add(1);
        }
    }

    /// Peers that do not listen are nobody's to dial, and origins are handed out by their feeds.
    fn insert(&mut self, peer: Peer) {
        let is_origin = self.feeds.iter().any(|feed| feed.addr == Some(peer.addr));
        if peer.addr.port() == 0 || is_origin {
            return;
        }
        let roll = if peer.left == 0 { &mut self.seeders } else { &mut self.leechers };
        roll.insert(peer);
    }

    fn remove(&mut self, addr: SocketAddr) -> Option<Peer> {
        self.seeders.remove(addr).or_else(|| self.leechers.remove(addr))
    }

    /// Complete peers first, but half of the list is for leechers as far as there are any: those have time for others.
    fn hand_out(&mut self, peer: &Peer, now: Instant, wanted: usize, per_origin: usize, peers: &mut Vec<ReplyPeer>) {
        let end = peers.len() + wanted;
        let starves = now.saturating_duration_since(peer.progressed) >= STARVING;
        let origins = self.feeds.iter_mut().filter_map(|feed| feed.offer(peer.addr, starves, per_origin));
        peers.extend(origins.take(wanted).map(|addr| ReplyPeer { addr, peer_id: None }));
        let free = end - peers.len();
        let complete = free - self.leechers.len().min(wanted / 2).min(free);
        peers.extend(self.seeders.draw(complete, peer).map(ReplyPeer::from));
        self.hand_out_leechers(peer, end - peers.len(), peers);
    }

    fn hand_out_leechers(&self, peer: &Peer, wanted: usize, peers: &mut Vec<ReplyPeer>) {
        peers.extend(self.leechers.draw(wanted, peer).map(ReplyPeer::from));
    }
}

impl From<&Peer> for ReplyPeer {
    fn from(peer: &Peer) -> Self {
        Self { addr: peer.addr, peer_id: Some(peer.peer_id) }
    }
}
