use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            net::{SocketAddr as UnixAddr, UnixDatagram},
            process::ExitStatusExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;

/// A program that runs beside the test, and is killed with it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// One of nova's programs, as it was built with this test.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().map(|folder| if folder.ends_with("deps") { folder.parent().unwrap() } else { folder });
    let path = folder.unwrap().join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --release --workspace`", path.display());
    path
}

/// An address on loopback that was free a moment ago, for a program that must come back to it after a restart. No two are
/// the same in tests that run at once: what one program has not yet taken looks free for the next.
///
/// Its port is below those that the kernel gives to whoever dials, since one of those may be taken before it is used.
pub fn free_addr() -> SocketAddr {
    static GIVEN: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());
    let free = |port| {
        // A name that is this process's while it lives.
        let name = UnixAddr::from_abstract_name(format!("nova-tests-{port}")).ok()?;
        let given = UnixDatagram::bind_addr(&name).ok()?;
        let _datagrams = UdpSocket::bind(("127.0.0.1", port)).ok()?;
        let addr = TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr()).ok()?;
        GIVEN.lock().unwrap_or_else(PoisonError::into_inner).push(given);
        Some(addr)
    };
    std::iter::repeat_with(|| rand::rng().random_range(10_000..32_768)).find_map(free).unwrap()
}

impl Process {
    /// Starts a command; what it prints goes to `log`, after what is there already.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).unwrap();
        let err = out.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child, log: log.to_path_buf() }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _may_be_gone = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for an end in order.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let name = self.name.clone();
        let what = format!("{name} ends after SIGTERM");
        eventually(&what, Duration::from_secs(15), || self.ended().ok_or("it still runs"))
    }

    /// Sends a signal, at once.
    pub fn signal(&self, signal: Signal) {
        let sent = kill_process(Pid::from_child(&self.child), signal);
        assert!(sent.is_ok(), "{} is gone:\n{}", self.name, self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let signal = self.child.try_wait().ok().flatten().and_then(|status| status.signal());
            eprintln!("--- {} (signal {signal:?})\n{}", self.name, self.log());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_address_is_given_twice() {
        let given: BTreeSet<SocketAddr> = std::iter::repeat_with(free_addr).take(500).collect();
        assert_eq!(given.len(), 500);
    }
}
