use nova_protocol::announce::{AnnounceRequest, Event};

use super::{
    Crowd,
    clock::Tick,
    table::{Mark, Record, Table},
};

/// How a peer takes part in a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It fetches.
    Leecher,
    /// It has all that it wants, which is not all there is (BEP 21).
    Partial,
    /// It has everything.
    Seeder,
}

impl Part {
    pub const fn of(request: &AnnounceRequest) -> Self {
        match (request.left, request.event) {
            (0, _) => Self::Seeder,
            (_, Event::Paused) => Self::Partial,
            _ => Self::Leecher,
        }
    }
}

/// The peers of a swarm that have addresses of one family.
#[derive(Debug, Default)]
pub(super) struct Family<const N: usize> {
    /// Those that only give: seeders and partial seeds.
    pub givers: Table<N>,
    pub leechers: Table<N>,
}

/// A peer that has just announced: when it came, and where its record is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub joined: Tick,
    pub place: usize,
}

impl<const N: usize> Family<N> {
    pub fn crowd(&self) -> Crowd {
        Crowd { seeders: self.givers.len(), leechers: self.leechers.len() }
    }

    pub fn contains(&self, addr: &[u8; N]) -> bool {
        self.leechers.find(addr).is_some() || self.givers.find(addr).is_some()
    }

    /// Notes a peer's announce; another peer id at the same address is another peer.
    pub fn arrive(&mut self, addr: [u8; N], mark: Mark, part: Part, now: Tick) -> Arrival {
        let (table, other) = self.tables(part);
        let known = table.find(&addr);
        let before = match known {
            Some(place) => Some(*table.at(place)),
            None => other.find(&addr).map(|place| other.remove(place)),
        };
        let joined = before.filter(|record| record.mark.is_same_peer(mark)).map_or(now, |record| record.joined);
        let place = match known {
            Some(place) => {
                table.mark(place, mark);
                place
            }
            None => table.insert(Record { addr, mark, joined, expires: now }),
        };
        Arrival { joined, place }
    }

    /// Notes until when a peer stays that has just arrived.
    pub fn keep(&mut self, arrival: Arrival, part: Part, expires: Tick) {
        let record = self.tables(part).0.at(arrival.place);
        (record.joined, record.expires) = (arrival.joined, expires);
    }

    pub fn remove(&mut self, addr: &[u8; N]) -> Option<Record<N>> {
        let Self { givers, leechers } = self;
        [leechers, givers].into_iter().find_map(|table| table.find(addr).map(|place| table.remove(place)))
    }

    /// How many slots there are to be looked at for expired peers.
    pub const fn slots(&self) -> usize {
        self.leechers.slots() + self.givers.slots()
    }

    /// Removes the expired among `amount` slots from `start` on.
    pub fn expire(&mut self, start: usize, amount: usize, now: Tick, mut gone: impl FnMut([u8; N])) {
        let first = self.leechers.slots();
        self.leechers.expire(start, amount, now, &mut gone);
        self.givers.expire(start.saturating_sub(first), (start + amount).saturating_sub(first.max(start)), now, gone);
    }

    /// The table of this part, and the other one.
    const fn tables(&mut self, part: Part) -> (&mut Table<N>, &mut Table<N>) {
        match part {
            Part::Leecher => (&mut self.leechers, &mut self.givers),
            Part::Partial | Part::Seeder => (&mut self.givers, &mut self.leechers),
        }
    }
}
