use nova_protocol::announce::{CompactAddr, Handout};

use super::{
    state::Visit,
    table::{Mark, Record, Table},
};

/// Peers drawn at random for one who asks: of his own family of addresses first, since he may not reach the other.
pub(super) struct Draw {
    asker: CompactAddr,
    mark: Mark,
    random: u64,
    /// Whether the answer has room for one family only (BEP 15).
    one_family: bool,
}

impl Draw {
    pub fn new(visit: &Visit<'_>) -> Self {
        Self {
            asker: CompactAddr::from(visit.addr),
            mark: visit.mark,
            random: rand::random(),
            one_family: visit.one_family,
        }
    }

    /// Appends at most `amount` peers, without the one who asks.
    pub fn from(&self, v4: &Table<6>, v6: Option<&Table<18>>, amount: usize, out: &mut Handout) {
        let end = out.len() + amount;
        let six = |out: &mut Handout| {
            if let Some(v6) = v6 {
                v6.draw(end - out.len(), self.random, |record| self.admits(record), &mut out.v6);
            }
        };
        let four = |out: &mut Handout| v4.draw(end - out.len(), self.random, |record| self.admits(record), &mut out.v4);
        match (&self.asker, self.one_family) {
            (CompactAddr::V4(_), true) => four(out),
            (CompactAddr::V6(_), true) => six(out),
            (CompactAddr::V4(_), false) => {
                four(out);
                six(out);
            }
            (CompactAddr::V6(_), false) => {
                six(out);
                four(out);
            }
        }
    }

    /// The asker may be there twice, once for each family.
    fn admits<const N: usize>(&self, record: &Record<N>) -> bool {
        let is_asker = match &self.asker {
            CompactAddr::V4(addr) => record.addr[..] == addr[..],
            CompactAddr::V6(addr) => record.addr[..] == addr[..],
        };
        !is_asker & !record.mark.is_same_peer(self.mark)
    }
}
