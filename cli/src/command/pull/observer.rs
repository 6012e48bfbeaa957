use std::sync::{Arc, Mutex, PoisonError};

use nova_protocol::api::{self, PullState, WaitsFor};
use nova_seeder::{place::Through, pull::Progress};

use crate::{context::Context, progress::Step, units};

/// What the pull is at, for the user and for the error of a timeout.
#[derive(Debug)]
pub struct Observer {
    progress: Arc<crate::progress::Progress>,
    waits_for: Mutex<String>,
}

impl Observer {
    pub fn new(context: &Context, through: &Through) -> Self {
        let first = match through {
            Through::Agent(agent) => format!("the agent at {}", agent.url()),
            Through::Alone(_) => format!("the tracker at {}", context.config.tracker),
        };
        Self { progress: context.progress.clone(), waits_for: Mutex::new(first) }
    }

    /// Takes in what the pull says of itself.
    pub fn see(&self, event: Progress) {
        match event {
            Progress::Fetching(pull) => self.fetching(&pull),
            Progress::Delivering { done, total } => {
                self.wait_for("the content to be written".to_owned());
                self.progress.show("writing", Step { done, total, detail: String::new() });
            }
        }
    }

    fn fetching(&self, pull: &api::Pull) {
        let peers = units::count(pull.peers.into(), "peer");
        if pull.state == PullState::Checking {
            self.wait_for(format!("this host to be searched for parts of {}", pull.name));
            self.progress.show("checking", Step { done: pull.checked, total: pull.length, detail: String::new() });
            return;
        }
        let (have, length) = (units::bytes(pull.have), units::bytes(pull.length));
        let obstacle = pull.waits_for.map(|what| obstacle(what, pull));
        let rest = || format!("the rest of {}", pull.name);
        self.wait_for(format!("{}, {have} of {length} are here", obstacle.clone().unwrap_or_else(rest)));
        let detail = obstacle.map_or(peers, |obstacle| format!("waits for {obstacle}"));
        self.progress.show("fetching", Step { done: pull.have, total: pull.length, detail });
    }

    fn wait_for(&self, what: String) {
        *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// What it would take for the pull to end.
    pub fn waits_for(&self) -> String {
        self.waits_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a pull waits for, to be read after "waits for".
fn obstacle(what: WaitsFor, pull: &api::Pull) -> String {
    match what {
        WaitsFor::Peers => format!("a peer that has {}; `nova-cli inspect` shows who has it", pull.name),
        WaitsFor::Pieces => {
            let peers = units::count(pull.peers.into(), "peer");
            format!("pieces that {peers} did not give")
        }
        WaitsFor::Disk => "the disk".to_owned(),
        WaitsFor::DownloadLimit => "its download limit".to_owned(),
    }
}
