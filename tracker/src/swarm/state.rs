use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use nova_protocol::{
    PeerId,
    announce::{AnnounceRequest, CompactAddr, Event, Handout, ReplyHead},
    scrape::Counts,
};

use super::{
    Calls, Crowd, Peer, Rules,
    clock::Tick,
    draw::Draw,
    family::{Arrival, Family, Part},
    feed::Feeds,
    pace::{Pace, Role},
    table::Mark,
};

/// How many peers are handed out to those who do not say how many they want.
const NUM_WANT: usize = 50;

/// The swarm of one info hash: 64 bytes while it has neither origins nor IPv6, since there may be millions.
#[derive(Debug, Default)]
pub(super) struct Swarm {
    v4: Family<6>,
    more: Option<Box<More>>,
    pub downloaded: u32,
    /// Whether the info hash is in the index; the swarm stays when it is empty.
    pub listed: bool,
    /// Whether the settings allow it; the swarm stays then, too.
    pub allowed: bool,
}

/// What most swarms of an open tracker do without.
#[derive(Debug, Default)]
struct More {
    v6: Family<18>,
    feeds: Feeds,
    /// Peer ids, from the moment when somebody has asked for them: hardly any client does.
    ids: Option<HashMap<SocketAddr, PeerId>>,
}

/// An announce, and all that its answer depends on outside the swarm.
pub(super) struct Visit<'a> {
    pub request: &'a AnnounceRequest,
    /// Where the peer listens.
    pub addr: SocketAddr,
    pub part: Part,
    pub mark: Mark,
    pub now: Instant,
    pub tick: Tick,
    pub rules: Rules,
    /// The peers of all swarms.
    pub everybody: Crowd,
    /// Whether the answer has room for one family of addresses only.
    pub one_family: bool,
    pub calls: &'a Calls,
}

impl Swarm {
    pub fn announce(&mut self, visit: &Visit<'_>, out: &mut Handout) -> ReplyHead {
        let Visit { request, addr, part, .. } = *visit;
        if let Some(more) = &mut self.more {
            more.announced(visit);
        }
        let stops = request.event == Event::Stopped;
        // Peers that do not listen are nobody's to dial, and origins are handed out by their feeds.
        let arrival = (!stops && addr.port() != 0 && !self.is_origin(addr)).then(|| self.arrive(visit));
        let joined = if stops { self.remove(addr) } else { arrival.map(|arrival| arrival.joined) };
        let longest = Duration::from_secs(10 * u64::from(visit.rules.pace.max));
        let stay = visit.tick.since(joined.unwrap_or(visit.tick)).min(longest);
        let interval = visit.rules.pace.interval(self.role(part), stay, visit.everybody);
        if let Some(arrival) = arrival {
            let expires = visit.tick.after(Pace::patience(interval));
            // Ticks wrap: nobody's stay may grow without end.
            self.keep(addr, Arrival { joined: visit.tick.before(stay), ..arrival }, part, expires);
        }
        if !stops {
            self.hand_out(visit, arrival.is_some(), out);
        }
        let Counts { complete, downloaded, incomplete, .. } = self.counts();
        ReplyHead { interval, min_interval: interval, complete, incomplete, downloaded }
    }

    pub fn counts(&self) -> Counts {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let Crowd { seeders: givers, leechers } = self.crowd();
        let v6_partial = self.more.as_ref().map_or(0, |more| more.v6.givers.partial());
        let partial = self.v4.givers.partial() + v6_partial;
        let origins = self.more.as_ref().map_or(0, |more| more.feeds.serving());
        Counts {
            complete: count(givers - partial + origins),
            downloaded: self.downloaded,
            downloaders: count(leechers),
            incomplete: count(leechers + partial),
        }
    }

    pub fn crowd(&self) -> Crowd {
        let v4 = self.v4.crowd();
        let v6 = self.more.as_ref().map_or(Crowd::default(), |more| more.v6.crowd());
        Crowd { seeders: v4.seeders + v6.seeders, leechers: v4.leechers + v6.leechers }
    }

    /// Whether it stays when it is empty, or is not.
    pub fn is_wanted(&self) -> bool {
        self.listed || self.allowed || self.crowd().total() > 0
    }

    pub fn contains(&self, addr: SocketAddr) -> bool {
        match CompactAddr::from(addr) {
            CompactAddr::V4(addr) => self.v4.contains(&addr),
            CompactAddr::V6(addr) => self.more.as_ref().is_some_and(|more| more.v6.contains(&addr)),
        }
    }

    /// Peers that have announced, complete ones first.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        let v6 = || self.more.iter().map(|more| &more.v6);
        let givers = self.v4.givers.iter().map(|record| (SocketAddr::from(CompactAddr::V4(record.addr)), record.mark));
        let givers = givers.chain(v6().flat_map(|v6| {
            v6.givers.iter().map(|record| (SocketAddr::from(CompactAddr::V6(record.addr)), record.mark))
        }));
        let leechers = self.v4.leechers.iter().map(|record| SocketAddr::from(CompactAddr::V4(record.addr)));
        let leechers = leechers
            .chain(v6().flat_map(|v6| v6.leechers.iter().map(|record| SocketAddr::from(CompactAddr::V6(record.addr)))));
        givers
            .map(|(addr, mark)| Peer { addr, complete: !mark.is_partial() })
            .chain(leechers.map(|addr| Peer { addr, complete: false }))
    }

    /// The peer ids that are known of some of its peers, and of more from now on.
    pub fn ids(&mut self, addrs: impl Iterator<Item = SocketAddr>) -> Vec<Option<PeerId>> {
        let ids = self.more.get_or_insert_default().ids.get_or_insert_default();
        addrs.map(|addr| ids.get(&addr).copied()).collect()
    }

    pub fn hold(&mut self, origin: &str, addr: Option<SocketAddr>) {
        self.more.get_or_insert_default().feeds.hold(origin, addr);
        self.forget(addr);
    }

    pub fn release(&mut self, origin: &str) {
        if let Some(more) = &mut self.more {
            more.feeds.release(origin);
        }
    }

    pub fn place(&mut self, origin: &str, addr: Option<SocketAddr>) {
        if self.more.as_mut().is_some_and(|more| more.feeds.place(origin, addr)) {
            self.forget(addr);
        }
    }

    /// Drops those peers among `amount` slots from `start` on that have missed two intervals. Says whether there are
    /// more slots.
    pub fn expire(&mut self, start: usize, amount: usize, now: Tick) -> bool {
        let mut gone = Vec::new();
        let v4_slots = self.v4.slots();
        self.v4.expire(start, amount, now, |addr| gone.push(CompactAddr::V4(addr).into()));
        let Some(more) = &mut self.more else { return start + amount < v4_slots };
        let v6_slots = more.v6.slots();
        let end = (start + amount).saturating_sub(v4_slots);
        let start = start.saturating_sub(v4_slots);
        more.v6.expire(start, end - start, now, |addr| gone.push(CompactAddr::V6(addr).into()));
        for addr in gone {
            more.left(addr);
        }
        end < v6_slots
    }

    fn is_origin(&self, addr: SocketAddr) -> bool {
        self.more.as_ref().is_some_and(|more| more.feeds.is_origin(addr))
    }

    /// An origin is handed out by its feed alone.
    fn forget(&mut self, addr: Option<SocketAddr>) {
        addr.map(|addr| self.remove(addr));
    }

    fn arrive(&mut self, visit: &Visit<'_>) -> Arrival {
        let Visit { addr, part, mark, tick, .. } = *visit;
        match CompactAddr::from(addr) {
            CompactAddr::V4(addr) => self.v4.arrive(addr, mark, part, tick),
            CompactAddr::V6(addr) => self.more.get_or_insert_default().v6.arrive(addr, mark, part, tick),
        }
    }

    fn keep(&mut self, addr: SocketAddr, arrival: Arrival, part: Part, expires: Tick) {
        match addr {
            SocketAddr::V4(_) => self.v4.keep(arrival, part, expires),
            SocketAddr::V6(_) => self.more.get_or_insert_default().v6.keep(arrival, part, expires),
        }
    }

    /// Removes a peer, and says when it had come.
    fn remove(&mut self, addr: SocketAddr) -> Option<Tick> {
        match CompactAddr::from(addr) {
            CompactAddr::V4(addr) => self.v4.remove(&addr).map(|record| record.joined),
            CompactAddr::V6(addr) => self.more.as_mut()?.v6.remove(&addr).map(|record| record.joined),
        }
    }

    fn role(&self, part: Part) -> Role {
        match (part, self.crowd().leechers) {
            (Part::Leecher, _) => Role::Leecher,
            (Part::Seeder | Part::Partial, 0) => Role::IdleSeeder,
            (Part::Seeder | Part::Partial, _) => Role::Seeder,
        }
    }

    /// Complete peers first, but half of the list is for leechers as far as there are any: those have time for others.
    /// Who fetches nothing is told of leechers alone.
    fn hand_out(&mut self, visit: &Visit<'_>, is_counted: bool, out: &mut Handout) {
        let Visit { request, part, rules, .. } = *visit;
        let wanted = request.num_want.map_or(NUM_WANT, |count| count as usize).min(rules.num_want_max);
        let end = out.len() + wanted;
        let draw = Draw::new(visit);
        if part == Part::Leecher {
            if let Some(more) = &mut self.more {
                let origins = more.feeds.offer(visit);
                origins.into_iter().take(wanted).for_each(|origin| out.push(origin));
            }
            let free = end - out.len();
            let others = self.crowd().leechers - usize::from(is_counted);
            let complete = free - others.min(wanted / 2).min(free);
            draw.from(&self.v4.givers, self.more.as_ref().map(|more| &more.v6.givers), complete, out);
        }
        let v6 = self.more.as_ref().map(|more| &more.v6.leechers);
        draw.from(&self.v4.leechers, v6, end - out.len(), out);
    }
}

impl More {
    fn announced(&mut self, visit: &Visit<'_>) {
        let Visit { request, addr, part, .. } = *visit;
        self.feeds.announced(addr, request.event);
        if request.event == Event::Stopped {
            self.left(addr);
        } else {
            if part != Part::Leecher {
                self.feeds.wean(addr);
            }
            if let Some(ids) = &mut self.ids {
                ids.insert(addr, request.peer_id);
            }
        }
    }

    fn left(&mut self, addr: SocketAddr) {
        self.feeds.wean(addr);
        if let Some(ids) = &mut self.ids {
            ids.remove(&addr);
        }
    }
}
