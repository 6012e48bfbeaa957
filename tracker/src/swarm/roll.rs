use std::{collections::HashMap, net::SocketAddr, time::Instant};

use nova_protocol::PeerId;
use rand::seq::index;

/// A peer of a swarm.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// How it calls itself.
    pub peer_id: PeerId,
    /// Bytes that it still needs.
    pub left: u64,
    /// When it came.
    pub(super) joined: Instant,
    /// When `left` was last another than before.
    pub(super) progressed: Instant,
    /// When it is given up.
    pub(super) expires: Instant,
}

/// Peers of one kind: found by address, and drawn at random, in constant time each.
#[derive(Debug, Default)]
pub(super) struct Roll {
    peers: Vec<Peer>,
    places: HashMap<SocketAddr, usize>,
}

impl Roll {
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }

    /// The address must not be on the roll.
    pub fn insert(&mut self, peer: Peer) {
        self.places.insert(peer.addr, self.peers.len());
        self.peers.push(peer);
    }

    pub fn remove(&mut self, addr: SocketAddr) -> Option<Peer> {
        let place = self.places.remove(&addr)?;
        let peer = self.peers.swap_remove(place);
        if let Some(moved) = self.peers.get(place) {
            self.places.insert(moved.addr, place);
        }
        Some(peer)
    }

    pub fn remove_expired(&mut self, now: Instant) -> Vec<SocketAddr> {
        let expired: Vec<_> = self.peers.iter().filter(|peer| peer.expires <= now).map(|peer| peer.addr).collect();
        for addr in &expired {
            self.remove(*addr);
        }
        expired
    }

    /// At most `amount` peers, each as likely as any other, without the one who asks.
    pub fn draw(&self, amount: usize, asker: &Peer) -> impl Iterator<Item = &Peer> {
        // The asker may be here twice, once for each family of addresses.
        let drawn = if amount == 0 { 0 } else { self.len().min(amount + 2) };
        index::sample(&mut rand::rng(), self.len(), drawn)
            .into_iter()
            .map(|place| &self.peers[place])
            .filter(move |peer| peer.addr != asker.addr && peer.peer_id != asker.peer_id)
            .take(amount)
    }
}
