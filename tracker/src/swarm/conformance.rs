//! What every [`Store`] does: each test runs against all that there are.

mod counts;
mod handout;
mod lists;
mod origins;
mod stay;

use std::{collections::HashSet, time::Duration};

use nova_protocol::{PeerId, announce::AnnounceRequest};

use super::*;

const RULES: Rules = Rules {
    open: false,
    swarms_max: 1000,
    peers_max: 100_000,
    num_want_max: 60,
    leechers_per_origin: 2,
    pace: Pace { min: 2, max: 1800, budget: 1000 },
};

/// Runs a test with every store in turn.
fn every_store(test: impl Fn(Scene)) {
    test(Scene::new(Box::new(Swarms::new(RULES))));
}

/// A store with one info hash listed, and a clock that only moves when it is told to.
struct Scene {
    store: Box<dyn Store>,
    now: Instant,
}

impl Scene {
    fn new(store: Box<dyn Store>) -> Self {
        store.list(hash());
        Self { store, now: Instant::now() }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn announce(&self, request: &AnnounceRequest, addr: SocketAddr) -> Result<(ReplyHead, Handout), AnnounceError> {
        let mut out = Handout::default();
        let head = self.store.announce(Call { request, addr, now: self.now, one_family: false }, &mut out)?;
        Ok((head, out))
    }

    fn say(&self, peer: u16, change: impl FnOnce(&mut AnnounceRequest)) -> (ReplyHead, Vec<u16>) {
        let mut request = request(peer);
        change(&mut request);
        let (head, handout) = self.announce(&request, addr(request.port)).unwrap();
        (head, handout.addrs().map(|addr| addr.port()).collect())
    }

    fn leech(&self, peer: u16) -> Vec<u16> {
        self.say(peer, |_| ()).1
    }

    fn seed(&self, peer: u16) -> Vec<u16> {
        self.say(peer, |request| request.left = 0).1
    }

    fn counts(&self) -> (u32, u32, u32) {
        let counts = self.store.counts(hash()).unwrap();
        (counts.complete, counts.incomplete, counts.downloaded)
    }
}

fn hash() -> InfoHash {
    InfoHash::from([7; 20])
}

fn request(peer: u16) -> AnnounceRequest {
    let peer_id = id(peer);
    let mut request =
        AnnounceRequest::parse(b"info_hash=77777777777777777777&peer_id=pppppppppppppppppppp&port=1&left=100").unwrap();
    (request.info_hash, request.peer_id, request.port) = (hash(), peer_id, peer);
    request
}

fn id(peer: u16) -> PeerId {
    let mut bytes = [b'p'; 20];
    bytes[..2].copy_from_slice(&peer.to_be_bytes());
    bytes.into()
}

fn addr(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn addr6(port: u16) -> SocketAddr {
    ([0, 0, 0, 0, 0, 0, 0, 1], port).into()
}

fn sorted(mut ports: Vec<u16>) -> Vec<u16> {
    ports.sort_unstable();
    ports
}
