//! Addresses as the one who asks can use them.

use std::net::{IpAddr, SocketAddr};

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
}
