use nova_seeder::upload::super_seed::News;
use rand::{
    Rng as _, SeedableRng as _,
    rngs::SmallRng,
    seq::{SliceRandom as _, index},
};

use super::{
    Host, Outcome, Scene,
    bits::Bits,
    clock::{Clock, Happening, Time},
    leecher::{Connection, Leecher, Tie},
    link::{Link, Request},
    origin::Origin,
};

/// The number of the origin; leechers have those from one on.
const ORIGIN: u32 = 0;
/// How often nova wakes the connections of a torrent that has come on (`fetch/attendance.rs`).
const WAKE_EVERY: Time = 80_000_000;
/// How long nova waits for a first piece before it introduces leechers.
const SEEDERS_FIRST: Time = 3_000_000_000;
/// How often the origin looks for offers that lapsed.
const IDLE: Time = 1_000_000_000;

/// Everybody, and what is on its way between them.
pub struct Swarm<'a> {
    scene: &'a Scene,
    clock: Clock,
    random: SmallRng,
    origin: Origin,
    links: Vec<Link>,
    leechers: Vec<Leecher>,
    everything: Bits,
    joined: Vec<u32>,
    wasted: u64,
    left: usize,
}

impl<'a> Swarm<'a> {
    pub fn new(scene: &'a Scene) -> Self {
        let pieces = scene.pieces();
        let mut clock = Clock::default();
        for (leecher, host) in (1..).zip(&scene.leechers) {
            clock.plan(nanos(host.starts), leecher, Happening::Joins);
        }
        clock.plan(IDLE, ORIGIN, Happening::Idles);
        let rates = std::iter::once(scene.origin_rate).chain(scene.leechers.iter().map(|host| host.rate));
        Self {
            scene,
            clock,
            random: SmallRng::seed_from_u64(scene.seed),
            origin: Origin::new(scene),
            links: rates.map(Link::new).collect(),
            leechers: scene.leechers.iter().map(|_| Leecher::new(pieces)).collect(),
            everything: Bits::all(pieces),
            joined: Vec::new(),
            wasted: 0,
            left: scene.leechers.len(),
        }
    }

    pub fn run(mut self) -> Outcome {
        while self.left > 0 {
            let (node, happening) = self.clock.next().expect("something happens until all are done");
            match happening {
                Happening::Joins => self.join(node),
                Happening::Sent => self.sent(node),
                Happening::Received { connection, piece, bytes } => self.received(node, connection, piece, bytes),
                Happening::Wakes => self.wake(node),
                Happening::Meets => self.meet(node),
                Happening::Idles => self.idle(),
            }
        }
        let one = |(leecher, host): (&Leecher, &Host)| {
            (leecher.done.expect("all are done") - nanos(host.starts)) as f64 / 1e9
        };
        let length = self.scene.length as f64;
        Outcome {
            done: self.leechers.iter().zip(&self.scene.leechers).map(one).collect(),
            copies: self.origin.sent as f64 / length,
            waste: self.wasted as f64 / (length * self.leechers.len() as f64),
        }
    }

    fn leecher(&mut self, node: u32) -> &mut Leecher {
        &mut self.leechers[node as usize - 1]
    }

    /// It finds the origin, and some of those who have come before.
    fn join(&mut self, node: u32) {
        self.find(node);
        self.joined.push(node);
        if self.origin.admits(self.scene.origin_connections) {
            let leecher = self.leecher(node);
            let number = leecher.connections.len();
            leecher.connections.push(Connection::new(ORIGIN, Tie::Open));
            leecher.has_origin = true;
            let told = self.origin.hear(node, News::Joined, self.clock.now);
            self.learn(told);
            self.pump(node, u32::try_from(number).expect("few connections"));
        }
        let phase = self.random.random_range(0..WAKE_EVERY);
        self.clock.plan(self.clock.now + phase, node, Happening::Wakes);
        self.clock.plan(self.clock.now + SEEDERS_FIRST, node, Happening::Meets);
    }

    fn learn(&mut self, told: Vec<(u32, u32)>) {
        for (leecher, piece) in told {
            self.leecher(leecher).told.insert(piece);
        }
    }

    /// Asks a peer for as much as may be in flight.
    fn pump(&mut self, node: u32, number: u32) {
        let index = node as usize - 1;
        let Connection { peer, tie, .. } = self.leechers[index].connections[number as usize];
        if tie != Tie::Open {
            return;
        }
        while self.leechers[index].connections[number as usize].in_flight < self.scene.window {
            let (scene, now) = (self.scene, self.clock.now);
            let size = |piece| scene.size_of(piece);
            let next = if peer == ORIGIN {
                let leecher = &mut self.leechers[index];
                // Taken out, for the leecher changes while it looks.
                let told = std::mem::replace(&mut leecher.told, Bits::none(0));
                let available = if self.origin.is_over() { &self.everything } else { &told };
                let next = leecher.next(number, available, now, size, scene.request);
                leecher.told = told;
                next
            } else {
                let both = self.leechers.get_disjoint_mut([index, peer as usize - 1]);
                let [leecher, peer] = both.expect("nobody is his own peer");
                leecher.next(number, &peer.have, now, size, scene.request)
            };
            let connection = &mut self.leechers[index].connections[number as usize];
            let Some((piece, offset, bytes)) = next else {
                connection.sleeps = true;
                return;
            };
            connection.in_flight += 1;
            let arrived = now + nanos(scene.latency);
            let request = Request { from: node, connection: number, piece, offset, bytes, arrived };
            if let Some(at) = self.links[peer as usize].ask(request) {
                self.clock.plan(at, peer, Happening::Sent);
            }
        }
    }

    fn sent(&mut self, node: u32) {
        let now = self.clock.now;
        let (request, next) = self.links[node as usize].sent(now);
        if let Some(at) = next {
            self.clock.plan(at, node, Happening::Sent);
        }
        let there = now + nanos(self.scene.latency);
        let received = self.links[request.from as usize].receive(there, request.bytes);
        let Request { connection, piece, bytes, .. } = request;
        self.clock.plan(received, request.from, Happening::Received { connection, piece, bytes });
        if node == ORIGIN {
            let told = self.origin.has_sent(request, now);
            self.learn(told);
        }
    }

    fn received(&mut self, node: u32, number: u32, piece: u32, bytes: u32) {
        let now = self.clock.now;
        let whole = self.scene.size_of(piece);
        let leecher = self.leecher(node);
        leecher.connections[number as usize].in_flight -= 1;
        let (was_needed, complete) = leecher.receive(number, piece, bytes, whole, now);
        if !was_needed {
            self.wasted += u64::from(bytes);
        }
        if let Some(piece) = complete {
            self.complete(node, piece);
        }
        self.pump(node, number);
    }

    fn complete(&mut self, node: u32, piece: u32) {
        let (now, pieces) = (self.clock.now, self.everything.count);
        let leecher = self.leecher(node);
        if leecher.have.count == pieces {
            leecher.done = Some(now);
            self.left -= 1;
        }
        if self.leecher(node).has_origin {
            let told = self.origin.hear(node, News::Has(piece), now);
            self.learn(told);
        }
        self.meet(node);
    }

    /// The tracker tells it of others.
    fn find(&mut self, node: u32) {
        let found = index::sample(&mut self.random, self.joined.len(), self.scene.handout.min(self.joined.len()));
        for index in found {
            let peer = self.joined[index];
            if peer == node || self.leecher(node).connections.iter().any(|known| known.peer == peer) {
                continue;
            }
            self.leecher(node).connections.push(Connection::new(peer, Tie::Dials));
            self.leecher(peer).connections.push(Connection::new(node, Tie::Waits));
        }
    }

    /// From now on it has something to give, or waits no more for it.
    fn meet(&mut self, node: u32) {
        if std::mem::replace(&mut self.leecher(node).may_meet, true) {
            return;
        }
        if self.leecher(node).have.count > 0 {
            self.find(node);
        }
        let connections = self.leecher(node).connections.iter().enumerate();
        let live = connections.clone().filter(|(_, known)| matches!(known.tie, Tie::Open | Tie::Mute)).count();
        let due = connections.filter(|(_, known)| known.tie == Tie::Dials);
        let mut due: Vec<(usize, u32)> = due.map(|(number, known)| (number, known.peer)).collect();
        due.shuffle(&mut self.random);
        for (number, peer) in due.into_iter().take(self.scene.dials.saturating_sub(live)) {
            self.open(node, u32::try_from(number).expect("few connections"), peer);
        }
    }

    fn open(&mut self, node: u32, number: u32, peer: u32) {
        let has_piece = |leecher: &Leecher| leecher.have.count > 0;
        let tie = if has_piece(self.leecher(node)) || has_piece(self.leecher(peer)) { Tie::Open } else { Tie::Mute };
        let back = self.leecher(peer).connections.iter().position(|known| known.peer == node);
        let back = back.expect("both know of it");
        self.leecher(peer).connections[back].tie = tie;
        self.leecher(node).connections[number as usize].tie = tie;
        self.pump(node, number);
        self.pump(peer, u32::try_from(back).expect("few connections"));
    }

    fn wake(&mut self, node: u32) {
        let leecher = self.leecher(node);
        if leecher.done.is_some() {
            return;
        }
        for number in 0..leecher.connections.len() {
            let connection = &mut self.leecher(node).connections[number];
            if std::mem::take(&mut connection.sleeps) {
                self.pump(node, u32::try_from(number).expect("few connections"));
            }
        }
        self.clock.plan(self.clock.now + WAKE_EVERY, node, Happening::Wakes);
    }

    fn idle(&mut self) {
        for node in self.joined.clone() {
            let told = self.origin.hear(node, News::Idle, self.clock.now);
            self.learn(told);
        }
        if !self.origin.is_over() {
            self.clock.plan(self.clock.now + IDLE, ORIGIN, Happening::Idles);
        }
    }
}

fn nanos(duration: std::time::Duration) -> Time {
    Time::try_from(duration.as_nanos()).expect("no scene lasts for centuries")
}
