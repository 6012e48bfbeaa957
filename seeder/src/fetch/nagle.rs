//! Nagle's algorithm on the connections of a torrent, which librqbit 9.1.0 leaves on.
//!
//! It sends each message by itself. One that is not answered, such as the telling of a piece, is acknowledged after 40 ms,
//! and the next request waits for that, whatever the network could do. Two hosts behind 1 Gbit/s took 10.2 s for 512 MiB
//! in pieces of 256 KiB, and take 6.9 s without.
//!
//! Behind a slow link that holds requests back while the link is full, which does good: eight hosts behind 50 Mbit/s took
//! 1.04 times what the links need, and 1.13 times without; sixteen behind 25 Mbit/s 1.12 and 1.26. So it is switched off
//! while what is in flight is there in less time than [`SHORT`]. With pieces of 64 KiB or more it always is where the 40 ms
//! are what limits.
//!
//! librqbit does not give its sockets away. They are found among the open files of this process.

use std::{
    collections::HashSet,
    fs, io,
    net::SocketAddr,
    os::fd::{OwnedFd, RawFd},
};

use rustix::{
    io::Errno,
    net::{getpeername, sockopt::set_tcp_nodelay},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

use super::window::in_flight;

/// In which requests are there that are not held back, as a part of a second.
const SHORT: u64 = 20;

/// The connections of one torrent.
pub(super) struct Nagle {
    /// Bytes asked for in advance on each.
    window: u64,
    /// Bytes a second that come in, over some looks.
    rate: u64,
    /// Those on which it is off.
    without: HashSet<SocketAddr>,
}

impl Nagle {
    /// On, as it is at first; so many requests are in flight on each connection.
    pub(super) fn new(window: usize) -> Self {
        Self { window: in_flight(window), rate: 0, without: HashSet::new() }
    }

    /// Switches it off or on where that is due, for those who are connected, now that so many bytes a second come in.
    ///
    /// # Errors
    /// When this process may not look at its own files, as in some containers.
    pub(super) fn look(&mut self, live: &[SocketAddr], rate: u64) -> io::Result<()> {
        let (is_off, due) = self.due(live, rate);
        if due.is_empty() {
            return Ok(());
        }
        for socket in sockets(&due)? {
            set_tcp_nodelay(&socket, is_off)?;
        }
        Ok(())
    }

    /// Decides whether it is off, and says on whose connections that is a change.
    fn due(&mut self, live: &[SocketAddr], rate: u64) -> (bool, HashSet<SocketAddr>) {
        let live: HashSet<_> = live.iter().copied().map(canonical).collect();
        self.rate = self.rate / 4 * 3 + rate / 4;
        let is_off = self.window.saturating_mul(live.len() as u64).saturating_mul(SHORT) < self.rate;
        let wanted = if is_off { live.clone() } else { HashSet::new() };
        let changed = wanted.symmetric_difference(&self.without).copied().filter(|addr| live.contains(addr)).collect();
        self.without = wanted;
        (is_off, changed)
    }
}

/// The sockets of this process that are connected to one of these.
fn sockets(peers: &HashSet<SocketAddr>) -> io::Result<Vec<OwnedFd>> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()) else { continue };
        let file = match pidfd_getfd(&this, number, PidfdGetfdFlags::empty()) {
            Err(Errno::BADF) => continue,
            file => file?,
        };
        let peer = getpeername(&file).ok().flatten().and_then(|peer| SocketAddr::try_from(peer).ok());
        if peer.is_some_and(|peer| peers.contains(&canonical(peer))) {
            found.push(file);
        }
    }
    Ok(found)
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::tcp_nodelay;

    use super::*;

    fn peers(ports: std::ops::Range<u16>) -> Vec<SocketAddr> {
        ports.map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect()
    }

    #[test]
    fn it_is_off_where_what_is_in_flight_comes_at_once() {
        let mut nagle = Nagle::new(4);
        let mut due = |live: &[SocketAddr], rate| (0..16).fold(0, |sum, _| sum + nagle.due(live, rate).1.len());
        assert_eq!(due(&peers(0..8), 6_000_000), 0, "half a MiB in 85 ms");
        assert_eq!(due(&peers(0..2), 6_000_000), 2, "an eighth in 20 ms");
        assert_eq!(due(&peers(1..3), 6_000_000), 1, "one is new, one is gone");
        assert_eq!(due(&peers(0..8), 6_000_000), 2, "those that were there have it again");
    }

    #[tokio::test]
    async fn sockets_are_found_by_who_is_at_their_other_end() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialled = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (answered, addr) = listener.accept().await.unwrap();
        let mut nagle = Nagle::new(4);
        nagle.look(&[addr], 0).unwrap();
        assert!(!tcp_nodelay(&answered).unwrap());
        nagle.look(&[addr], u64::MAX).unwrap();
        assert!(tcp_nodelay(&answered).unwrap());
        assert!(!tcp_nodelay(&dialled).unwrap(), "another's");
        (0..200).for_each(|_| nagle.look(&[addr], 0).unwrap());
        assert!(!tcp_nodelay(&answered).unwrap());
    }
}
