use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nova_protocol::{
    InfoHash, Metainfo, Reference,
    api::{Peer, Peers, Pull, TagVersion, TorrentStatus},
};
use nova_seeder::{agent_client::AgentClient, service::ServiceError, tracker::TrackerClient};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{Cli, Process, eventually, free_addr, program};

/// How long a program may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A tracker, origins and agents as processes on loopback, in a directory that goes with them.
pub struct Stack {
    /// Asks the tracker.
    pub tracker: TrackerClient,
    announce: SocketAddr,
    http: SocketAddr,
    settings: Vec<(&'static str, String)>,
    environment: Vec<(String, &'static str, String)>,
    runtime: Runtime,
    processes: Vec<(String, Process)>,
    agents: Vec<(String, SocketAddr, SocketAddr)>,
    origins: Vec<(String, [SocketAddr; 3])>,
    /// Holds everything; tests put their own files below it too. Last, so that logs outlive the processes.
    pub home: TempDir,
}

impl Stack {
    /// A tracker and one origin, ready.
    pub fn start() -> Self {
        let mut stack = Self::tracker_alone(&[]);
        stack.add_origin("origin");
        stack
    }

    /// A tracker with these settings on top of the defaults, ready.
    pub fn tracker_alone(settings: &[(&'static str, String)]) -> Self {
        Self::tracker_at(free_addr().ip(), settings)
    }

    /// The same, announced to at an address of loopback.
    pub fn tracker_at(host: IpAddr, settings: &[(&'static str, String)]) -> Self {
        let (announce, http) = (SocketAddr::new(host, free_addr().port()), free_addr());
        let mut stack = Self {
            home: tempfile::tempdir().unwrap(),
            tracker: TrackerClient::new(&http.to_string()).unwrap(),
            announce,
            http,
            settings: settings.to_vec(),
            environment: Vec::new(),
            runtime: Runtime::new().unwrap(),
            processes: Vec::new(),
            agents: Vec::new(),
            origins: Vec::new(),
        };
        stack.start_tracker();
        stack
    }

    /// Starts the tracker, again after it was killed or stopped.
    pub fn start_tracker(&mut self) {
        let mut arguments = vec![
            format!("--data-dir={}", self.path("tracker").display()),
            format!("--announce-listen={}", self.announce),
            format!("--http-listen={}", self.http),
        ];
        let config = self.path("tracker.toml");
        let lines: Vec<String> = self.settings.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        std::fs::write(&config, lines.concat()).unwrap();
        arguments.push(format!("--config={}", config.display()));
        self.run("tracker", "nova-tracker", &arguments);
        let ready = || self.block_on(self.tracker.ready());
        eventually("the tracker is ready", READY_WITHIN, ready);
    }

    /// Adds an origin and waits until the tracker counts it as live.
    pub fn add_origin(&mut self, id: &str) {
        self.origins.push((id.to_owned(), [free_addr(), free_addr(), free_addr()]));
        self.start_origin(id);
    }

    /// Starts an origin, again after it was killed or stopped.
    pub fn start_origin(&mut self, id: &str) {
        let [peers, fetch, http] = self.origins.iter().find(|(known, _)| known == id).unwrap().1;
        let arguments = [
            "origin".to_owned(),
            format!("--id={id}"),
            format!("--tracker=http://{}", self.http),
            format!("--data-dir={}", self.path(id).display()),
            format!("--peers-listen={peers}"),
            format!("--fetch-listen={fetch}"),
            format!("--http-listen={http}"),
        ];
        self.run(id, "nova-seeder", &arguments);
        // Its own word, since the tracker may still count the one that was killed.
        eventually("the origin is live", READY_WITHIN, || self.answer(http, "/readiness"));
    }

    /// Adds an agent and waits until it is ready.
    pub fn add_agent(&mut self, name: &str) -> AgentClient {
        self.agents.push((name.to_owned(), free_addr(), free_addr()));
        self.start_agent(name)
    }

    /// Starts an agent, again after it was killed or stopped.
    pub fn start_agent(&mut self, name: &str) -> AgentClient {
        let (_, peers, http) = *self.agents.iter().find(|(known, ..)| known == name).unwrap();
        let arguments = [
            "agent".to_owned(),
            format!("--id={name}"),
            format!("--tracker=http://{}", self.http),
            format!("--data-dir={}", self.path(name).display()),
            format!("--peers-listen={peers}"),
            format!("--http-listen={http}"),
        ];
        self.run(name, "nova-seeder", &arguments);
        let agent = AgentClient::new(&http.to_string()).unwrap();
        eventually("the agent is ready", READY_WITHIN, || self.block_on(agent.ready()));
        agent
    }

    /// Sets a variable in the environment of an origin or agent, from its next start on.
    pub fn set(&mut self, part: &str, variable: &'static str, value: &str) {
        self.environment.retain(|(known, name, _)| (known.as_str(), *name) != (part, variable));
        self.environment.push((part.to_owned(), variable, value.to_string()));
    }

    /// The process of a part: `tracker`, an origin's id or an agent's name.
    pub fn part(&mut self, name: &str) -> &mut Process {
        let found = self.processes.iter_mut().find(|(known, _)| known == name);
        &mut found.unwrap_or_else(|| panic!("{name} does not run")).1
    }

    /// Kills a part with SIGKILL.
    pub fn kill(&mut self, name: &str) {
        self.part(name).kill();
    }

    /// The address at which an agent takes pulls.
    pub fn agent_addr(&self, name: &str) -> SocketAddr {
        self.agents.iter().find(|(known, ..)| known == name).unwrap().2
    }

    /// Where peers dial an agent.
    pub fn agent_peers(&self, name: &str) -> SocketAddr {
        self.agents.iter().find(|(known, ..)| known == name).unwrap().1
    }

    /// Where an origin serves HTTP.
    pub fn origin_http(&self, id: &str) -> SocketAddr {
        self.origins.iter().find(|(known, _)| known == id).unwrap().1[2]
    }

    /// The tracker's announce URL.
    pub fn announce_url(&self) -> String {
        format!("http://{}/announce", self.announce)
    }

    /// Where the tracker is announced to.
    pub fn announce_addr(&self) -> SocketAddr {
        self.announce
    }

    /// The tracker's metrics, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        String::from_utf8(self.get("/metrics")).unwrap()
    }

    /// The tracker's HTTP face.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// `nova-cli` as a user of this tracker.
    pub fn cli(&self) -> Cli {
        Cli::new(self.http)
    }

    /// A path in the stack's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Pushes a path with `nova-cli`, and says what the tag is then.
    pub fn push(&self, path: &Path, reference: &str) -> TagVersion {
        self.cli().run(self.home.path(), ["push".as_ref(), path.as_os_str(), reference.as_ref()]).success();
        let reference: Reference = reference.parse().unwrap();
        self.block_on(self.tracker.tag(&reference)).unwrap()
    }

    /// What the tracker says of a torrent.
    pub fn torrent(&self, info_hash: InfoHash) -> Result<TorrentStatus, ServiceError> {
        self.block_on(self.tracker.torrent(info_hash))
    }

    /// The peers of a torrent that the tracker lists.
    pub fn peers(&self, info_hash: InfoHash) -> Vec<Peer> {
        let bytes = self.get(&format!("/v1/torrents/{info_hash}/peers"));
        serde_json::from_slice::<Peers>(&bytes).unwrap().peers
    }

    /// The `.torrent` as anybody gets it from the tracker.
    pub fn metainfo(&self, info_hash: InfoHash, query: &str) -> Metainfo {
        Metainfo::parse(self.get(&format!("/v1/torrents/{info_hash}.torrent{query}"))).unwrap()
    }

    /// The same, in a file.
    pub fn torrent_file(&self, info_hash: InfoHash) -> PathBuf {
        let path = self.path(&format!("{info_hash}.torrent"));
        std::fs::write(&path, self.metainfo(info_hash, "").as_bytes()).unwrap();
        path
    }

    /// Waits until an agent has all of a pull.
    pub fn pulled(&self, agent: &AgentClient, info_hash: InfoHash, within: Duration) -> Pull {
        eventually("the agent has everything", within, || match self.block_on(agent.pull(info_hash)) {
            Ok(pull) if pull.have == pull.length => Ok(pull),
            other => Err(format!("{other:?}")),
        })
    }

    /// Waits for an answer of a client.
    pub fn block_on<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    fn get(&self, path: &str) -> Vec<u8> {
        self.answer(self.http, path).unwrap()
    }

    fn answer(&self, at: SocketAddr, path: &str) -> reqwest::Result<Vec<u8>> {
        let url = format!("http://{at}{path}");
        self.block_on(async { Ok(reqwest::get(url).await?.error_for_status()?.bytes().await?.to_vec()) })
    }

    fn run(&mut self, name: &str, program_name: &str, arguments: &[String]) {
        self.processes.retain(|(known, _)| known != name);
        let mut command = Command::new(program(program_name));
        let own = self.environment.iter().filter(|(part, ..)| part == name);
        command.args(arguments).envs(own.map(|(_, variable, value)| (variable, value)));
        let process = Process::start(name, &mut command, &self.path(&format!("{name}.log")));
        self.processes.push((name.to_owned(), process));
    }
}
