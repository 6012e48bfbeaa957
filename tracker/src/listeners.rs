//! The sockets of a tracker, bound before it starts: whoever starts it may want to know where.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use crate::Config;

/// Connections that wait to be accepted; the kernel's own limit may be lower.
const BACKLOG: i32 = 4096;

/// Bytes of datagrams that wait to be read; the kernel's own limit may be lower.
const DATAGRAMS: usize = 4 << 20;

/// How often a free port is looked for that is free for datagrams too.
const ATTEMPTS: usize = 32;

/// Where a tracker is reached.
#[derive(Debug)]
pub struct Listeners {
    /// Announces over HTTP.
    pub announce: TcpListener,
    /// Announces over UDP, on the same port number.
    pub datagrams: UdpSocket,
    /// The index, metrics and the dashboard.
    pub http: TcpListener,
}

/// A place where the tracker cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {0}: {1}")]
pub struct BindError(SocketAddr, io::Error);

impl Listeners {
    /// Binds what the settings name; port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`], when an address is taken or is not this machine's.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        let failed = |addr| move |error| BindError(addr, error);
        let http = tcp(config.http_listen).map_err(failed(config.http_listen))?;
        let (announce, datagrams) = both(config.announce_listen).map_err(failed(config.announce_listen))?;
        Ok(Self { announce, datagrams, http })
    }
}

fn tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A free port may be free for one protocol and not for the other.
fn both(addr: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut attempts = if addr.port() == 0 { ATTEMPTS } else { 1 };
    loop {
        let tcp = tcp(addr)?;
        attempts -= 1;
        match UdpSocket::bind(tcp.local_addr()?) {
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
            Ok(udp) => {
                rustix::net::sockopt::set_socket_recv_buffer_size(&udp, DATAGRAMS)?;
                return Ok((tcp, udp));
            }
        }
    }
}
