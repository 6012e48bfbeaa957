use nova_protocol::announce::Handout;

use super::{
    state::Visit,
    table::{Mark, Record, Table},
};

/// Peers drawn at random for one who asks: of his own family of addresses first, since he may not reach the other.
pub(super) struct Draw {
    /// The asker's.
    mark: Mark,
    is_ipv4: bool,
    random: u64,
    /// Whether the answer has room for one family only (BEP 15).
    one_family: bool,
}

impl Draw {
    pub fn new(visit: &Visit<'_>) -> Self {
        Self { mark: visit.mark, is_ipv4: visit.addr.is_ipv4(), random: rand::random(), one_family: visit.one_family }
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
        match (self.is_ipv4, self.one_family) {
            (true, true) => four(out),
            (false, true) => six(out),
            (true, false) => {
                four(out);
                six(out);
            }
            (false, false) => {
                six(out);
                four(out);
            }
        }
    }

    /// The asker may be there twice, once for each family.
    const fn admits<const N: usize>(&self, record: &Record<N>) -> bool {
        !record.mark.is_same_peer(self.mark)
    }
}
