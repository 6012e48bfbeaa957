//! Where a server listens: a TCP address, or a unix socket whose permissions say who may connect.

mod socket;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use serde::{Deserialize, Serialize};
pub(crate) use socket::text_or_number;
pub use socket::{GroupError, Mode, ModeError, Permissions, Socket, SocketError};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::either::Either;

const UNIX: &str = "unix:";

/// A TCP address such as `127.0.0.1:16002`, or a unix socket such as `unix:/run/nova/agent.sock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    /// An address and a port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// An absolute path.
    Unix(PathBuf),
}

/// Not a place to listen at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenParseError {
    /// Neither an address nor a socket.
    #[error("{0:?} is no place to listen at, expected ADDRESS:PORT or unix:/PATH")]
    Unknown(String),
    /// Where that is would depend on the working directory.
    #[error("the socket {0:?} has no absolute path, expected such as unix:/run/nova/agent.sock")]
    Relative(String),
}

/// A listener that is bound. The file of a socket goes with it.
#[derive(Debug)]
pub enum Listener {
    /// On a TCP address.
    Tcp(TcpListener),
    /// On a unix socket.
    Unix(Socket),
}

/// Why nothing can listen there.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The TCP address cannot be bound.
    #[error(transparent)]
    Tcp(#[from] io::Error),
    /// The socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// A connection that was accepted.
pub(crate) type Connection = Either<TcpStream, UnixStream>;

impl Listen {
    /// By what this host reaches it.
    pub(crate) fn reachable(&self) -> Self {
        match self {
            Self::Tcp(addr) if addr.ip().is_unspecified() => {
                let ip: IpAddr = if addr.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
                Self::Tcp(SocketAddr::new(ip, addr.port()))
            }
            other => other.clone(),
        }
    }

    /// Whether only this host can connect.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(addr) => addr.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Listens there. `permissions` are those of a unix socket.
    ///
    /// # Errors
    /// Every variant of [`BindError`].
    pub async fn bind(&self, permissions: &Permissions) -> Result<Listener, BindError> {
        match self {
            Self::Tcp(addr) => Ok(Listener::Tcp(TcpListener::bind(addr).await?)),
            Self::Unix(path) => Ok(Listener::Unix(Socket::bind(path, permissions)?)),
        }
    }
}

impl FromStr for Listen {
    type Err = ListenParseError;

    fn from_str(text: &str) -> Result<Self, ListenParseError> {
        match text.strip_prefix(UNIX) {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(PathBuf::from(path))),
            Some(_) => Err(ListenParseError::Relative(text.to_owned())),
            None => text.parse().map(Self::Tcp).map_err(|_| ListenParseError::Unknown(text.to_owned())),
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenParseError;

    fn try_from(text: String) -> Result<Self, ListenParseError> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl Listener {
    /// Where it listens, with the port that it got.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn at(&self) -> io::Result<Listen> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
            Self::Unix(socket) => Ok(Listen::Unix(socket.path().to_path_buf())),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Either::Left(stream)),
            Self::Unix(socket) => socket.accept().await.map(Either::Right),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_sockets_are_read_and_said() {
        for text in ["127.0.0.1:16002", "[::1]:0", "unix:/run/nova/agent.sock"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in ["", "localhost:1", "unix:", "unix:agent.sock", "/run/agent.sock", "127.0.0.1"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_and_sockets_are_local() {
        let local = ["127.0.0.1:1", "[::1]:1", "unix:/a"].map(|text| text.parse::<Listen>().unwrap().is_local());
        let open = ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"].map(|text| text.parse::<Listen>().unwrap().is_local());
        assert_eq!((local, open), ([true; 3], [false; 3]));
    }
}
