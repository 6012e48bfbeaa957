//! The trackers as processes on one core.

use std::{
    ffi::{OsStr, OsString},
    fs,
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nova_tests::{Process, eventually, free_addr, program};
use rustix::{
    process::{Signal, set_parent_process_death_signal},
    thread::{CpuSet, sched_setaffinity},
};
use tempfile::TempDir;

/// Finds or builds opentracker, and prints its path.
const FIND_OPENTRACKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/opentracker");

/// Where the programs are.
#[derive(Args)]
pub struct Programs {
    /// nova-tracker; the one beside this program when none is given.
    #[arg(long, global = true, value_name = "PATH")]
    nova: Option<PathBuf>,
    /// opentracker; built by tests/bench/opentracker when none is given.
    #[arg(long, global = true, value_name = "PATH")]
    opentracker: Option<PathBuf>,
    /// aquatic_udp; looked for in PATH when none is given.
    #[arg(long, global = true, value_name = "PATH")]
    aquatic_udp: Option<PathBuf>,
}

/// What is compared. nova is first, and the others are put in relation to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nova,
    Opentracker,
    Aquatic,
    /// No tracker: answers everything alike, with the HTTP server that nova's index has.
    Ceiling,
}

/// A tracker that runs. It is killed when this is dropped.
pub struct Server {
    process: Process,
    pub announce: SocketAddr,
    /// Where nova serves its index; nothing with the others.
    pub index: SocketAddr,
    _home: TempDir,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nova => "nova-tracker",
            Self::Opentracker => "opentracker",
            Self::Aquatic => "aquatic_udp",
            Self::Ceiling => "hyper, the same answer to all",
        }
    }

    /// Where its program is, or why there is none.
    pub fn find(self, programs: &Programs) -> Result<PathBuf> {
        match self {
            Self::Nova => Ok(programs.nova.clone().unwrap_or_else(|| program("nova-tracker"))),
            Self::Ceiling => Ok(std::env::current_exe()?),
            Self::Aquatic => programs.aquatic_udp.clone().map_or_else(|| in_path("aquatic_udp"), Ok),
            Self::Opentracker => programs.opentracker.clone().map_or_else(find_opentracker, Ok),
        }
    }

    /// Starts it with settings that let it be as fast as it can on one core.
    pub fn start(self, program: &Path, core: usize) -> Result<Server> {
        let home = tempfile::tempdir()?;
        let (announce, index) = (free_addr(), free_addr());
        let config = home.path().join("config");
        let mut arguments: Vec<OsString> = Vec::new();
        match self {
            Self::Nova => {
                fs::write(&config, format!("announces_per_second = {}\n", u32::MAX))?;
                arguments.extend([format!("--announce-listen={announce}").into(), "--open".into()]);
                arguments.push(format!("--http-listen={index}").into());
                arguments.extend(["--data-dir".into(), home.path().join("data").into()]);
                arguments.extend(["--config".into(), config.into()]);
            }
            Self::Opentracker => {
                // A blocking thread for datagrams costs it less than reading them in its event loop.
                fs::write(&config, format!("listen.udp.workers 1\nlisten.tcp_udp {announce}\n"))?;
                arguments.extend(["-f".into(), config.into()]);
            }
            Self::Aquatic => {
                let text = format!(
                    "socket_workers = 1\n[network]\naddress = \"{announce}\"\n[protocol]\nmax_response_peers = {}\n",
                    crate::peers::NUM_WANT
                );
                fs::write(&config, text)?;
                arguments.extend(["-c".into(), config.into()]);
            }
            Self::Ceiling => arguments.extend(["ceiling".into(), announce.to_string().into()]),
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["pinned".as_ref(), OsStr::new(&core.to_string()), program.as_os_str()]).args(arguments);
        command.current_dir(home.path());
        let process = Process::start(self.name(), &mut command, &home.path().join("log"));
        let server = Server { process, announce, index, _home: home };
        eventually("the server has its ports", Duration::from_secs(10), || server.listens(self));
        Ok(server)
    }
}

impl Server {
    /// A datagram port is taken when nobody else may have it.
    fn listens(&self, kind: Kind) -> Result<(), String> {
        let tcp = || std::net::TcpStream::connect(self.announce).map(drop).map_err(|error| error.to_string());
        match kind {
            Kind::Aquatic => match std::net::UdpSocket::bind(self.announce) {
                Ok(_) => Err(format!("the port is free:\n{}", self.process.log())),
                Err(_) => Ok(()),
            },
            _ => tcp().map_err(|error| format!("{error}:\n{}", self.process.log())),
        }
    }

    /// The processor time that all of its threads have used, in steps of 10 ms.
    pub fn processor_time(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The name in brackets may have spaces; fields are counted behind it.
        let fields = stat.rsplit_once(')').context("no name in stat")?.1.split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.process.id());
        fs::read_to_string(&path).with_context(|| format!("the server is gone:\n{}", self.process.log()))
    }
}

/// Becomes `program` on `core`. The kernel kills it when the thread that started it ends, however that comes.
pub fn run_pinned(core: usize, program: &OsStr, arguments: &[OsString]) -> Result<()> {
    pin(core)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// Keeps this thread, and those that it starts, on a core.
pub fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("there is no core {core}"))
}

fn in_path(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not installed"))
}

fn find_opentracker() -> Result<PathBuf> {
    let output = Command::new(FIND_OPENTRACKER).stderr(std::process::Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {FIND_OPENTRACKER}"))?;
    ensure!(output.status.success(), "opentracker is not to be had");
    let path = String::from_utf8(output.stdout)?;
    match path.lines().last() {
        Some(path) => Ok(PathBuf::from(path)),
        None => bail!("{FIND_OPENTRACKER} printed no path"),
    }
}
