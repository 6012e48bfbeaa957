//! One run: everybody is started, watched until it is done, and looked at.

use std::{fs, io::Read, net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use nova_protocol::{Metainfo, PieceLength};
use nova_seeder::{
    create::{Options, create},
    tracker::TrackerClient,
};
use nova_tests::{Cli, Process, eventually, program, simulation};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    Arguments,
    content::write_content,
    host::{Client, Job, Kind},
    network::{Host, SWITCH, payload_rate},
    watch::watch,
};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// What came of a run.
pub struct Outcome {
    /// When each host was done that stayed, in seconds since its own start, in order.
    pub done: Vec<f64>,
    /// What the links alone would need.
    pub bound: f64,
    /// Bytes that the seeders sent over those of the content.
    pub copies: f64,
    /// Whether everybody has the same bytes.
    pub identical: bool,
    /// Processor time of a leecher for each GiB that it has.
    pub leecher_cpu: f64,
    /// Processor time of the seeders.
    pub seeder_cpu: f64,
}

impl Outcome {
    /// The middle one, the 99th of a hundred, and the last.
    pub fn percentiles(&self) -> [f64; 3] {
        simulation::percentiles(&self.done)
    }
}

/// The tracker, where everybody's links meet.
struct Tracker {
    _process: Process,
    http: SocketAddr,
    client: TrackerClient,
    runtime: Runtime,
}

/// Lets the fleet pull once.
pub fn run(arguments: &Arguments, number: usize) -> Result<Outcome> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("source/content");
    fs::create_dir(home.path().join("source"))?;
    write_content(&file, arguments.size)?;
    let tracker = Tracker::start(home.path())?;
    let metainfo = describe(arguments, &file)?;
    let torrent = home.path().join("content.torrent");
    fs::write(&torrent, metainfo.as_bytes())?;
    let job = Job { torrent: &torrent, info_hash: metainfo.info_hash(), tracker: tracker.http, tcp: arguments.tcp };

    let mut seeders = start_seeders(arguments, home.path(), &tracker, &metainfo, job)?;
    let mut leechers = Vec::new();
    for host in 0..arguments.hosts {
        let rate = if host < arguments.slow { arguments.rate / 10.0 } else { arguments.rate };
        let kind = arguments.leechers[usize::from(host) % arguments.leechers.len()];
        let folder = home.path().join(format!("host{host}"));
        leechers.push(Client::new(kind, Host::new(256 + host, rate)?, folder, job)?);
    }
    for client in seeders.iter().chain(&leechers) {
        client.host.shape()?;
    }
    let cpu = |clients: &[Client]| clients.iter().filter_map(Client::cpu).sum::<f64>();
    let sent = |clients: &[Client]| clients.iter().map(|client| client.host.sent()).sum::<Result<f64>>();
    let (cpu_before, sent_before) = ([cpu(&seeders), cpu(&leechers)], sent(&seeders)?);
    let length = (arguments.size << 20) as f64;
    let bound = bound(arguments, &leechers);
    let done = watch(arguments, &mut seeders[0], &mut leechers, job, bound).with_context(|| format!("run {number}"))?;
    let seeder_cpu = cpu(&seeders) - cpu_before[0];
    let alive: Vec<&Client> = leechers.iter().filter(|client| client.is_alive()).collect();
    let leecher_cpu = (cpu(&leechers) - cpu_before[1]) / alive.len() as f64 / (length / f64::from(1 << 30));
    let copies = (sent(&seeders)? - sent_before) / length;
    let identical =
        alive.iter().map(|client| same(&file, &client.content(job.info_hash)?)).collect::<Result<Vec<_>>>()?;
    for client in seeders.iter_mut().chain(&mut leechers) {
        client.kill();
        client.host.remove()?;
    }
    let identical = identical.into_iter().all(|same| same);
    Ok(Outcome { done, bound, copies, identical, leecher_cpu, seeder_cpu })
}

/// The bound when everybody starts at once and stays.
fn bound(arguments: &Arguments, leechers: &[Client]) -> f64 {
    let length = (arguments.size << 20) as f64;
    let rates: Vec<f64> = leechers.iter().map(|client| payload_rate(client.host.rate)).collect();
    let seeders = payload_rate(arguments.rate) * f64::from(arguments.origins);
    simulation::bound(length, seeders, &rates)
}

fn start_seeders(
    arguments: &Arguments,
    home: &Path,
    tracker: &Tracker,
    metainfo: &Metainfo,
    job: Job<'_>,
) -> Result<Vec<Client>> {
    let mut seeders = Vec::new();
    for number in 0..arguments.origins {
        let folder = home.join(format!("seeder{number}"));
        let host = Host::new(number + 1, arguments.rate)?;
        if arguments.seeder == Kind::Nova {
            seeders.push(Client::origin(&format!("o{number}"), host, folder, tracker.http)?);
        } else {
            tracker.runtime.block_on(tracker.client.put_torrent(metainfo))?;
            let mut client = Client::new(arguments.seeder, host, folder.clone(), job)?;
            fs::copy(home.join("source/content"), folder.join("content/content"))?;
            client.join(job, true)?;
            seeders.push(client);
        }
    }
    if arguments.seeder == Kind::Nova {
        tracker.push(home, arguments, metainfo);
    }
    Ok(seeders)
}

fn describe(arguments: &Arguments, file: &Path) -> Result<Metainfo> {
    let piece_length = arguments.piece_length.map(|kibibytes| PieceLength::chosen(kibibytes << 10)).transpose()?;
    let options = Options { piece_length, private: true, ..Options::default() };
    let created = create(file, &options, |_, _| {}, &CancellationToken::new())?;
    let announce = vec![vec![format!("http://{SWITCH}:15003/announce")]];
    Ok(created.metainfo.with_sources(&announce, &[]))
}

impl Tracker {
    fn start(home: &Path) -> Result<Self> {
        let http = SocketAddr::from((SWITCH, 15004));
        let mut command = Command::new(program("nova-tracker"));
        command.arg(format!("--data-dir={}", home.join("tracker").display()));
        command.args([format!("--announce-listen={SWITCH}:15003"), format!("--http-listen={http}")]);
        let process = Process::start("tracker", &mut command, &home.join("tracker.log"));
        let (runtime, client) = (Runtime::new()?, TrackerClient::new(&http.to_string())?);
        eventually("the tracker is ready", READY_WITHIN, || runtime.block_on(client.ready()));
        Ok(Self { _process: process, http, client, runtime })
    }

    /// Has the content on every origin.
    fn push(&self, home: &Path, arguments: &Arguments, metainfo: &Metainfo) {
        let piece_length = format!("--piece-length={}KiB", metainfo.info.piece_length.get() >> 10);
        eventually("the origins are live", READY_WITHIN, || {
            let origins = self.runtime.block_on(self.client.origins()).map_err(|error| error.to_string())?.origins;
            if origins.len() == usize::from(arguments.origins) { Ok(()) } else { Err("not all of them".to_owned()) }
        });
        let source = home.join("source/content");
        Cli::new(self.http)
            .run(home, ["push".as_ref(), source.as_os_str(), "fleet:v1".as_ref(), piece_length.as_ref()])
            .success();
        eventually("every origin has the content", Duration::from_mins(2), || {
            let status =
                self.runtime.block_on(self.client.torrent(metainfo.info_hash())).map_err(|error| error.to_string())?;
            let complete = status.complete_replicas();
            if complete == usize::from(arguments.origins) { Ok(()) } else { Err(format!("{complete} copies")) }
        });
    }
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    let (mut one, mut other) = (fs::File::open(one)?, fs::File::open(other)?);
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let length = one.read(&mut left)?;
        if length == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        if other.read_exact(&mut right[..length]).is_err() || left[..length] != right[..length] {
            return Ok(false);
        }
    }
}
