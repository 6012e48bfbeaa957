use std::net::SocketAddr;

use nova_protocol::announce::Event;

/// An origin that holds the content of a swarm, and the leechers that know of it.
///
/// An origin is handed out from the tracker's own knowledge, to as many leechers as it can feed: of ten thousand hosts
/// only some dial it, and the others are fed by those.
#[derive(Debug)]
pub(super) struct Feed {
    pub origin: String,
    /// Where it is, while it is live.
    pub addr: Option<SocketAddr>,
    /// Whether it has announced `stopped`, which comes sooner than the end of its lease.
    left: bool,
    fed: Vec<SocketAddr>,
}

impl Feed {
    pub fn new(origin: &str) -> Self {
        Self { origin: origin.to_owned(), addr: None, left: false, fed: Vec::new() }
    }

    /// Whether the origin serves the content now, as far as it has said.
    pub fn serves(&self) -> bool {
        self.addr.is_some() && !self.left
    }

    /// Takes note of an announce of the origin itself.
    pub fn announced(&mut self, addr: SocketAddr, event: Event) {
        if self.addr == Some(addr) {
            self.left = event == Event::Stopped;
        }
    }

    /// Where the origin is, if this leecher is to know. One that starves is told whatever the limit.
    pub fn offer(&mut self, leecher: SocketAddr, starves: bool, limit: usize) -> Option<SocketAddr> {
        let addr = self.addr.filter(|addr| self.serves() && *addr != leecher)?;
        if self.fed.contains(&leecher) {
            return Some(addr);
        }
        if self.fed.len() < limit {
            // One that does not listen is on no roll, so nobody would ever wean it.
            if leecher.port() != 0 {
                self.fed.push(leecher);
            }
            return Some(addr);
        }
        starves.then_some(addr)
    }

    /// The leecher needs no feeding any more.
    pub fn wean(&mut self, leecher: SocketAddr) {
        self.fed.retain(|fed| *fed != leecher);
    }
}
