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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::env::{Captured, Output};

    /// What is said, and what an error would say, of a pull that is half done.
    fn told(waits_for: Option<&str>) -> (String, String) {
        let pull = json!({
            "info_hash": "00".repeat(20), "name": "demo", "state": "fetching", "length": 2048, "have": 1024, "path": "",
            "download_rate": 0, "upload_rate": 0, "uploaded": 0, "peers": 2, "sources": [], "waits_for": waits_for,
        });
        let progress = crate::progress::Progress::new(Output::new(Captured::default(), false), true);
        let observer = Observer { progress: Arc::new(progress), waits_for: Mutex::default() };
        let pull: api::Pull = serde_json::from_value(pull).unwrap();
        observer.see(Progress::Fetching(Box::new(pull.clone())));
        (pull.waits_for.map(|what| obstacle(what, &pull)).unwrap_or_default(), observer.waits_for())
    }

    #[test]
    fn what_a_pull_waits_for_is_said_and_is_in_the_error() {
        for (word, said) in [
            ("peers", "a peer that has demo; `nova-cli inspect` shows who has it"),
            ("pieces", "pieces that 2 peers did not give"),
            ("disk", "the disk"),
            ("download_limit", "its download limit"),
        ] {
            let error = format!("{said}, 1.00 KiB of 2.00 KiB are here");
            assert_eq!(told(Some(word)), (said.to_owned(), error));
        }
        assert_eq!(told(None).1, "the rest of demo, 1.00 KiB of 2.00 KiB are here");
    }
}
