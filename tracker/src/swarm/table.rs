use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

use nova_protocol::PeerId;

use super::clock::Tick;

/// Keyed afresh in every process: who chooses his address cannot choose where it falls.
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A peer of a swarm, in 12 bytes for IPv4 and 24 for IPv6.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<const N: usize> {
    /// Where it listens, as it goes into handouts. Port 0 marks a free slot: nobody listens there.
    pub addr: [u8; N],
    pub mark: Mark,
    pub joined: Tick,
    pub expires: Tick,
}

impl<const N: usize> Record<N> {
    const FREE: Self = Self { addr: [0; N], mark: Mark(0), joined: Tick::ZERO, expires: Tick::ZERO };

    const fn is_free(&self) -> bool {
        self.addr[N - 2] == 0 && self.addr[N - 1] == 0
    }
}

/// 15 bits of a keyed hash of the peer id, which tell a peer from the next one at its address, and whether it is a
/// partial seed (BEP 21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u16);

impl Mark {
    pub fn new(peer_id: &PeerId, is_partial: bool) -> Self {
        let [.., high, low] = KEYS.hash_one(peer_id).to_be_bytes();
        Self(u16::from_be_bytes([high, low]) << 1 | u16::from(is_partial))
    }

    pub const fn is_partial(self) -> bool {
        self.0 & 1 == 1
    }

    pub const fn is_same_peer(self, other: Self) -> bool {
        self.0 >> 1 == other.0 >> 1
    }
}

/// Peers of one kind and family: a hash table whose slots are all there is, so that a peer is found by its address and
/// drawn at random in constant time, and costs little more than its record.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    /// Open addressing with linear probing; seven eighths full at most, but to the last slot below eight.
    slots: Box<[Record<N>]>,
    len: u32,
    partial: u32,
}

impl<const N: usize> Default for Table<N> {
    fn default() -> Self {
        Self { slots: Box::default(), len: 0, partial: 0 }
    }
}

impl<const N: usize> Table<N> {
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// How many of them are partial seeds.
    pub const fn partial(&self) -> usize {
        self.partial as usize
    }

    pub fn iter(&self) -> impl Iterator<Item = &Record<N>> {
        self.slots.iter().filter(|slot| !slot.is_free())
    }

    pub fn find(&self, addr: &[u8; N]) -> Option<usize> {
        let place = self.probe(addr)?;
        (!self.slots[place].is_free()).then_some(place)
    }

    /// The record at a place that was just found.
    pub const fn at(&mut self, place: usize) -> &mut Record<N> {
        &mut self.slots[place]
    }

    /// The address must not be in the table, and have a port.
    pub fn insert(&mut self, record: Record<N>) -> usize {
        if self.len() >= self.slots.len() - self.slots.len() / 8 {
            self.rebuild(self.slots.len() + self.slots.len() / 8 + 2);
        }
        self.count(record.mark, 1);
        let place = self.probe(&record.addr).expect("a slot is free");
        self.slots[place] = record;
        place
    }

    pub fn remove(&mut self, place: usize) -> Record<N> {
        let record = self.slots[place];
        self.count(record.mark, -1);
        self.close_gap(place);
        if self.slots.len() > 8 && self.len() < self.slots.len() / 2 {
            self.rebuild(self.len() + self.len() / 4 + 2);
        }
        record
    }

    /// Changes the mark of a record that stays.
    pub fn mark(&mut self, place: usize, mark: Mark) {
        let before = std::mem::replace(&mut self.slots[place].mark, mark);
        self.count(before, -1);
        self.count(mark, 1);
    }

    /// Removes the expired among `amount` slots from `start` on, and says each to `gone`.
    pub fn expire(&mut self, start: usize, amount: usize, now: Tick, mut gone: impl FnMut([u8; N])) {
        let slots = self.slots.iter().skip(start).take(amount);
        let expired: Vec<_> =
            slots.filter(|slot| !slot.is_free() && slot.expires.is_over(now)).map(|slot| slot.addr).collect();
        for addr in expired {
            self.remove(self.find(&addr).expect("it was just there"));
            gone(addr);
        }
    }

    /// How many slots there are to be looked at.
    pub const fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Appends at most `amount` addresses, each as likely as any other, of those that `admit` lets pass.
    ///
    /// The slots are visited in the order of a full-period sequence modulo a power of two (Hull and Dobell, 1962) with
    /// random start and step: every slot once, without remembering which were seen.
    pub fn draw(&self, amount: usize, random: u64, admit: impl Fn(&Record<N>) -> bool, out: &mut Vec<[u8; N]>) {
        let mut end = out.len();
        out.resize(end + amount.min(self.len()), [0; N]);
        let period = self.slots.len().next_power_of_two();
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let (mut at, step) = (random as usize, (random >> 32) as usize | 1);
        for _ in 0..period {
            let Some(place) = out.get_mut(end) else { return };
            at = at.wrapping_add(step) & (period - 1);
            // Written first and kept only then: a processor cannot foresee which slots are free, and guessing wrong
            // would cost it more than all the rest.
            let record = self.slots.get(at).unwrap_or(&Record::FREE);
            *place = record.addr;
            end += usize::from(!record.is_free() & admit(record));
        }
        out.truncate(end);
    }

    fn count(&mut self, mark: Mark, change: i32) {
        self.len = self.len.wrapping_add_signed(change);
        if mark.is_partial() {
            self.partial = self.partial.wrapping_add_signed(change);
        }
    }

    /// The slot of an address, or the free one where it would be; `None` when neither is there.
    fn probe(&self, addr: &[u8; N]) -> Option<usize> {
        let (before, from_home) = self.slots.split_at(self.home(addr));
        let stops = |slot: &Record<N>| slot.is_free() || slot.addr == *addr;
        let found = from_home.iter().position(stops).map(|place| before.len() + place);
        found.or_else(|| before.iter().position(stops))
    }

    fn home(&self, addr: &[u8; N]) -> usize {
        let hash = KEYS.hash_one(addr) >> 32;
        usize::try_from((hash * self.slots.len() as u64) >> 32).expect("less than the number of slots")
    }

    /// Frees a slot, and moves back whoever is behind it only because it was taken.
    fn close_gap(&mut self, place: usize) {
        let slots = self.slots.len();
        let distance = |from: usize, to: usize| if to >= from { to - from } else { to + slots - from };
        let (mut gap, mut next) = (place, place);
        loop {
            next = if next + 1 == slots { 0 } else { next + 1 };
            if next == place || self.slots[next].is_free() {
                break;
            }
            let home = self.home(&self.slots[next].addr);
            if distance(home, next) >= distance(gap, next) {
                self.slots[gap] = self.slots[next];
                gap = next;
            }
        }
        self.slots[gap] = Record::FREE;
    }

    fn rebuild(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![Record::FREE; slots].into_boxed_slice());
        for record in old.iter().filter(|slot| !slot.is_free()) {
            let place = self.probe(&record.addr).expect("a slot is free");
            self.slots[place] = *record;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn record(number: u16) -> Record<6> {
        let [high, low] = number.to_be_bytes();
        let mark = Mark::new(&PeerId::from([high; 20]), number.is_multiple_of(5));
        Record { addr: [10, 0, high, low, 1, 1], mark, joined: Tick::ZERO, expires: Tick::ZERO }
    }

    fn table(peers: u16) -> Table<6> {
        let mut table = Table::default();
        for number in 0..peers {
            table.insert(record(number));
        }
        table
    }

    #[test]
    fn what_is_inserted_is_found_until_it_is_removed() {
        let mut table = Table::default();
        let mut there = HashSet::new();
        for step in 0..20_000u32 {
            let number = u16::try_from(step.wrapping_mul(2_654_435_761) >> 23).unwrap();
            if let Some(place) = table.find(&record(number).addr) {
                assert!(there.remove(&number), "{number} was there");
                table.remove(place);
            } else {
                assert!(there.insert(number), "{number} was not there");
                table.insert(record(number));
            }
            assert_eq!(table.len(), there.len());
        }
        let partial = there.iter().filter(|number| number.is_multiple_of(5)).count();
        assert_eq!((table.iter().count(), table.partial()), (there.len(), partial));
        assert!(there.iter().all(|number| table.find(&record(*number).addr).is_some()));
    }

    #[test]
    fn a_table_that_empties_gives_its_memory_back() {
        let mut table = table(1000);
        assert!(table.slots() < 1300, "{}", table.slots());
        for number in 0..995 {
            table.remove(table.find(&record(number).addr).unwrap());
        }
        assert!(table.slots() < 20, "{}", table.slots());
    }

    #[test]
    fn everybody_is_drawn_once_when_all_are_wanted() {
        let table = table(100);
        let mut drawn = Vec::new();
        table.draw(200, 0x1234_5678_9abc_def0, |_| true, &mut drawn);
        assert_eq!((drawn.len(), drawn.iter().collect::<HashSet<_>>().len()), (100, 100));
    }

    #[test]
    fn nobody_is_drawn_more_often_than_others() {
        let (table, draws) = (table(300), 20_000);
        let mut drawn = Vec::new();
        for _ in 0..draws {
            table.draw(10, rand::random(), |_| true, &mut drawn);
        }
        let mut counts = HashMap::new();
        for addr in &drawn {
            *counts.entry(addr).or_insert(0u32) += 1;
        }
        // 667 are expected of each; six standard deviations are 153.
        assert_eq!(counts.len(), 300);
        assert!(counts.values().all(|count| (500..830).contains(count)), "{counts:?}");
    }

    #[test]
    fn those_that_are_not_admitted_are_passed_over() {
        let table = table(100);
        let mut drawn = Vec::new();
        table.draw(100, 7, |record| record.mark.is_partial(), &mut drawn);
        assert_eq!(drawn.len(), 20);
    }
}
