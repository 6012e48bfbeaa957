//! Addresses as the one who asks can use them.

use std::net::{IpAddr, SocketAddr};

use nova_protocol::announce::Handout;

/// Where a request comes from, and by which of its own addresses the tracker was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vantage {
    /// Who asks.
    pub client: IpAddr,
    /// Whom it asked.
    pub server: IpAddr,
    /// Whether the request came through a proxy that is believed.
    pub proxied: bool,
}

impl Vantage {
    /// Forwarding headers count only as far as believed proxies wrote them: the last address that is no such proxy's.
    pub fn through<'a>(
        remote: IpAddr,
        server: IpAddr,
        forwarded: impl Iterator<Item = &'a str>,
        proxies: &[IpAddr],
    ) -> Self {
        if !proxies.contains(&remote) {
            return Self { client: remote, server, proxied: false };
        }
        let hops = forwarded.flat_map(|value| value.split(',')).map_while(|hop| hop.trim().parse::<IpAddr>().ok());
        let hops: Vec<_> = hops.map(|hop| hop.to_canonical()).collect();
        let client = hops.into_iter().rev().find(|hop| !proxies.contains(hop)).unwrap_or(remote);
        Self { client, server, proxied: true }
    }

    /// A handout, as [`Vantage::seen`] has each address in it.
    pub fn see(&self, handout: &mut Handout) {
        let IpAddr::V4(server) = self.server else { return };
        if self.client.is_loopback() {
            return;
        }
        for peer in handout.v4.iter_mut().filter(|peer| peer[0] == 127) {
            peer[..4].copy_from_slice(&server.octets());
        }
    }

    /// An address that the tracker knows, as the client can reach it. What shares a machine with the tracker is known
    /// to it by a loopback address; clients elsewhere reach it where they reached the tracker.
    pub fn seen(&self, addr: SocketAddr) -> SocketAddr {
        let elsewhere = addr.ip().is_loopback() && !self.client.is_loopback();
        if elsewhere && addr.is_ipv4() == self.server.is_ipv4() {
            SocketAddr::new(self.server, addr.port())
        } else {
            addr
        }
    }

    /// An address that the client says of itself, where an unspecified one stands for its own.
    pub fn said(&self, addr: SocketAddr) -> SocketAddr {
        if addr.ip().is_unspecified() { SocketAddr::new(self.client, addr.port()) } else { addr }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(client: &str, addr: &str) -> String {
        let server = "10.0.0.1".parse().unwrap();
        let vantage = Vantage { client: client.parse().unwrap(), server, proxied: false };
        vantage.seen(addr.parse().unwrap()).to_string()
    }

    #[test]
    fn loopback_is_the_trackers_machine_for_everybody_else() {
        assert_eq!(seen("10.0.0.2", "127.0.0.1:5"), "10.0.0.1:5");
        assert_eq!(seen("127.0.0.1", "127.0.0.1:5"), "127.0.0.1:5");
        assert_eq!(seen("10.0.0.2", "10.0.0.3:5"), "10.0.0.3:5");
        assert_eq!(seen("10.0.0.2", "[::1]:5"), "[::1]:5");
    }

    fn client(remote: &str, forwarded: &[&str]) -> (String, bool) {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let proxies = [ip("10.0.0.2"), ip("10.0.0.3")];
        let found = Vantage::through(ip(remote), ip("10.0.0.1"), forwarded.iter().copied(), &proxies);
        (found.client.to_string(), found.proxied)
    }

    #[test]
    fn forwarding_headers_count_from_believed_proxies_alone() {
        assert_eq!(client("10.0.0.9", &["1.2.3.4"]), ("10.0.0.9".into(), false));
        assert_eq!(client("10.0.0.2", &["1.2.3.4"]), ("1.2.3.4".into(), true));
        assert_eq!(client("10.0.0.2", &["6.6.6.6, 1.2.3.4", "10.0.0.3"]), ("1.2.3.4".into(), true));
    }

    #[test]
    fn a_proxy_that_forwards_nothing_speaks_for_itself() {
        assert_eq!(client("10.0.0.2", &[]), ("10.0.0.2".into(), true));
        assert_eq!(client("10.0.0.2", &["unknown"]), ("10.0.0.2".into(), true));
    }

    #[test]
    fn a_handout_is_seen_as_each_of_its_addresses() {
        let vantage = |client: &str| {
            let ip = |text: &str| text.parse().unwrap();
            Vantage { client: ip(client), server: ip("10.0.0.1"), proxied: false }
        };
        let peers = || -> Handout {
            ["127.0.0.1:5", "10.0.0.3:5", "[::1]:5"].map(|addr| addr.parse().unwrap()).into_iter().collect()
        };
        for client in ["10.0.0.2", "127.0.0.1"].map(vantage) {
            let mut handout = peers();
            client.see(&mut handout);
            let expected: Vec<_> = peers().addrs().map(|addr| client.seen(addr)).collect();
            assert_eq!(handout.addrs().collect::<Vec<_>>(), expected);
        }
    }
}
