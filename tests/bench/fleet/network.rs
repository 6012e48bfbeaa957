//! Hosts on a switch: network namespaces, and a bridge in the one of this process.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    os::fd::AsFd,
    process::Command,
    thread,
};

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::payload::{FRAME, PAYLOAD};

/// Where the tracker is: on the switch, behind no link.
pub const SWITCH: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// A host of the lab.
#[derive(Debug, Clone)]
pub struct Host {
    name: String,
    /// The switch's end of its link.
    port: String,
    pub ip: Ipv4Addr,
    /// Mbit/s both ways.
    pub rate: f64,
}

/// Makes a switch in the namespaces that this process was started in.
pub fn prepare() -> Result<()> {
    run("mount -t tmpfs tmpfs /run")?;
    run("ip link set lo up")?;
    // Of its own: else it is the lowest of its ports', and changes for those who know it when another is plugged in.
    run("ip link add switch address 02:00:0a:4d:00:01 type bridge")?;
    run(&format!("ip addr add {SWITCH}/16 dev switch"))?;
    run("ip link set switch up")?;
    // A switch has no firewall, and what it does would be charged to who sends.
    let firewall = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    if fs::exists(firewall)? { Ok(fs::write(firewall, "0")?) } else { Ok(()) }
}

/// Bytes of content a second that a link carries.
pub fn payload_rate(rate: f64) -> f64 {
    rate * 1e6 / 8.0 * f64::from(PAYLOAD) / f64::from(FRAME)
}

impl Host {
    /// Plugs a host in, as yet without limits.
    pub fn new(number: u16, rate: f64) -> Result<Self> {
        let [high, low] = number.to_be_bytes();
        let ip = Ipv4Addr::new(10, 77, high + 1, low);
        let (name, port) = (format!("h{number}"), format!("p{number}"));
        run(&format!("ip netns add {name}"))?;
        run(&format!("ip link add {port} type veth peer name eth0 netns {name}"))?;
        run(&format!("ip link set {port} master switch up"))?;
        run(&format!("ip -n {name} addr add {ip}/16 dev eth0"))?;
        run(&format!("ip -n {name} link set eth0 up"))?;
        run(&format!("ip -n {name} link set lo up"))?;
        Ok(Self { name, port, ip, rate })
    }

    /// From now on its link carries what it should.
    pub fn shape(&self) -> Result<()> {
        let shaper = format!("root tbf rate {}kbit burst 32kb latency 50ms", self.rate * 1e3);
        run(&format!("tc qdisc replace dev {} {shaper}", self.port))?;
        run(&format!("tc -n {} qdisc replace dev eth0 {shaper}", self.name))
    }

    /// Unplugs it.
    pub fn remove(&self) -> Result<()> {
        run(&format!("ip link del {}", self.port))?;
        run(&format!("ip netns del {}", self.name))
    }

    /// Does something on this host: sockets and processes that come of it are in its network.
    pub fn on<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let enter = || {
            let namespace = File::open(format!("/run/netns/{}", self.name))?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        };
        thread::scope(|scope| scope.spawn(enter).join().expect("work on a host does not panic"))
    }

    /// Bytes of content, about, that it has sent through its link.
    pub fn sent(&self) -> Result<f64> {
        let devices = fs::read_to_string("/proc/thread-self/net/dev")?;
        let line = devices.lines().find_map(|line| line.trim().strip_prefix(&format!("{}:", self.port)));
        let received = line.and_then(|line| line.split_whitespace().next()).context("the link is gone")?;
        Ok(received.parse::<f64>()? * f64::from(PAYLOAD) / f64::from(FRAME))
    }
}

fn run(command: &str) -> Result<()> {
    let mut words = command.split(' ');
    let output = Command::new(words.next().context("no command")?).args(words).output();
    let output = output.with_context(|| format!("cannot run {command}"))?;
    ensure!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
