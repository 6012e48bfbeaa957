//! Which origins are live: those whose lease has not run out. Time is passed in.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use nova_protocol::api::OriginLease;

use crate::index::Candidate;

/// Every origin that has ever had a lease, and whether it still has.
#[derive(Debug)]
pub struct Leases {
    length: Duration,
    origins: BTreeMap<String, Origin>,
}

#[derive(Debug)]
struct Origin {
    lease: OriginLease,
    /// When the lease was last renewed; `None` when it has run out.
    renewed: Option<Instant>,
}

/// What a renewal changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The origin was not live before.
    Joined,
    /// The origin is at other addresses than before.
    Moved,
    /// Nothing but the time and the free space.
    Same,
}

impl Leases {
    /// Leases that run out after `length`.
    pub const fn new(length: Duration) -> Self {
        Self { length, origins: BTreeMap::new() }
    }

    /// Remembers an origin that had a lease once.
    pub fn remember(&mut self, id: String, lease: OriginLease) {
        self.origins.insert(id, Origin { lease, renewed: None });
    }

    /// Starts or renews the lease of an origin.
    pub fn renew(&mut self, id: &str, lease: OriginLease, now: Instant) -> Renewal {
        let place = |lease: &OriginLease| (lease.peer_addr, lease.fetch_addr, lease.http_addr);
        let now_at = place(&lease);
        let before = self.origins.insert(id.to_owned(), Origin { lease, renewed: Some(now) });
        match before.filter(|origin| origin.renewed.is_some()) {
            None => Renewal::Joined,
            Some(before) if place(&before.lease) != now_at => Renewal::Moved,
            Some(_) => Renewal::Same,
        }
    }

    /// Ends the leases that have run out, and says whose.
    pub fn expire(&mut self, now: Instant) -> Vec<(String, OriginLease)> {
        let length = self.length;
        let ran_out =
            |origin: &Origin| origin.renewed.is_some_and(|renewed| now.saturating_duration_since(renewed) > length);
        let gone = self.origins.iter_mut().filter(|(_, origin)| ran_out(origin));
        gone.map(|(id, origin)| {
            origin.renewed = None;
            (id.clone(), origin.lease.clone())
        })
        .collect()
    }

    /// What an origin said of itself last.
    pub fn get(&self, id: &str) -> Option<&OriginLease> {
        self.origins.get(id).map(|origin| &origin.lease)
    }

    /// When the lease of an origin was last renewed, if it is live.
    pub fn renewed(&self, id: &str) -> Option<Instant> {
        self.origins.get(id)?.renewed
    }

    /// Where the upload engine of an origin is, if it is live.
    pub fn peer_addr(&self, id: &str) -> Option<SocketAddr> {
        self.origins.get(id).filter(|origin| origin.renewed.is_some()).map(|origin| origin.lease.peer_addr)
    }

    /// The live origins, to be given torrents.
    pub fn candidates(&self) -> Vec<Candidate> {
        let live = self.origins.iter().filter(|(_, origin)| origin.renewed.is_some());
        live.map(|(id, origin)| Candidate { id: id.clone(), free_bytes: origin.lease.free_bytes }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(port: u16) -> OriginLease {
        let addr = |port| ([127, 0, 0, 1], port).into();
        OriginLease { peer_addr: addr(port), fetch_addr: addr(2), http_addr: addr(3), free_bytes: 4 }
    }

    #[test]
    fn an_origin_is_live_until_its_lease_runs_out() {
        let mut leases = Leases::new(Duration::from_secs(10));
        let start = Instant::now();
        assert_eq!(leases.renew("a", lease(1), start), Renewal::Joined);
        assert_eq!(leases.renew("a", lease(1), start + Duration::from_secs(5)), Renewal::Same);
        assert_eq!(leases.renew("a", lease(9), start + Duration::from_secs(6)), Renewal::Moved);
        assert!(leases.expire(start + Duration::from_secs(16)).is_empty());
        assert_eq!(leases.expire(start + Duration::from_secs(17)), [("a".to_owned(), lease(9))]);
        assert!(leases.peer_addr("a").is_none() && leases.get("a").is_some());
        assert_eq!(leases.renew("a", lease(9), start + Duration::from_secs(18)), Renewal::Joined);
    }
}
