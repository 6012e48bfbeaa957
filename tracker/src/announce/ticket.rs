use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::{Duration, Instant},
};

/// For how long a connection id is given out; it is accepted for as long again.
const WINDOW: Duration = Duration::from_mins(1);

/// Connection ids (BEP 15): who shows one can receive at his address, or was told it less than two minutes ago by one
/// who could.
///
/// An id is a keyed hash (SipHash with keys of this process) of address and minute, so nobody can make one up, and
/// nothing is kept for each client.
#[derive(Debug)]
pub(super) struct Tickets {
    keys: RandomState,
    start: Instant,
}

impl Tickets {
    pub fn new(now: Instant) -> Self {
        Self { keys: RandomState::new(), start: now }
    }

    pub fn issue(&self, client: IpAddr, now: Instant) -> u64 {
        self.of(client, self.window(now))
    }

    pub fn accepts(&self, connection_id: u64, client: IpAddr, now: Instant) -> bool {
        let window = self.window(now);
        connection_id == self.of(client, window) || connection_id == self.of(client, window.wrapping_sub(1))
    }

    fn window(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() / WINDOW.as_secs()
    }

    fn of(&self, client: IpAddr, window: u64) -> u64 {
        self.keys.hash_one((client, window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_id_is_good_for_its_address_for_one_to_two_minutes() {
        let start = Instant::now();
        let tickets = Tickets::new(start);
        let (one, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let at = |seconds| start + Duration::from_secs(seconds);
        let id = tickets.issue(one, at(59));
        assert!(tickets.accepts(id, one, at(59)) && tickets.accepts(id, one, at(119)));
        assert!(!tickets.accepts(id, one, at(120)), "too old");
        assert!(!tickets.accepts(id, other, at(59)), "of somebody else");
        assert!(!tickets.accepts(id ^ 1, one, at(59)), "made up");
        assert!(!Tickets::new(start).accepts(id, one, at(59)), "of another process");
    }
}
