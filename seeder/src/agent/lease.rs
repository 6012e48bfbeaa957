//! What an agent says to the tracker of itself: a lease, which tells a fleet's operator what each host has.

use std::{
    collections::BTreeMap,
    fmt::Display,
    ops::RangeInclusive,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nova_protocol::{
    InfoHash, Line, Metainfo,
    api::{AgentLease, AgentLeaseGranted, Pull, PullReport, PullState},
};

use super::Agent;

/// How often the agent looks whether there is news.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const RETRY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10);
/// How long the tracker may take to hear that the agent leaves.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);
/// Pulls that leases tell of in a second at most: one that tells of thousands is long.
const PULLS_PER_SECOND: usize = 512;
/// Refusals that are remembered.
const REFUSALS_MAX: usize = 64;

/// Pulls that could not start, such as for want of space: nothing of them is kept but why.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<BTreeMap<InfoHash, PullReport>>);

/// What there is to tell since the tracker was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Nothing,
    /// More bytes, another rate.
    Progress,
    /// A pull has begun, ended, failed or gone.
    Change,
}

impl Agent {
    /// Renews the lease until the agent ends, then says goodbye. While the tracker is away, goes on trying.
    pub(super) async fn keep_lease(&self) {
        let (mut pause, mut is_leased) = (*RETRY.start(), true);
        while !self.shutdown.is_cancelled() {
            let lease = self.lease();
            // A renewal that is cut off may come in after the goodbye: it has the time to end.
            let renewed = tokio::select! {
                renewed = self.tracker.renew_agent(&self.id, &lease) => renewed,
                () = self.stopped_for(FAREWELL_WITHIN) => break,
            };
            match renewed {
                Ok(granted) => {
                    if !is_leased {
                        tracing::info!("the tracker knows of this agent again");
                    }
                    (pause, is_leased) = (*RETRY.start(), true);
                    self.until_news(&lease, granted).await;
                }
                Err(error) => {
                    if is_leased {
                        tracing::warn!(%error, "no lease: the tracker does not know what is here");
                    }
                    is_leased = false;
                    // Agents that lost their tracker together come back one by one.
                    let some = pause.mul_f64(rand::random_range(0.5..1.0));
                    let _elapsed_or_stopped = tokio::time::timeout(some, self.shutdown.cancelled()).await;
                    pause = (pause * 2).min(*RETRY.end());
                }
            }
        }
        match tokio::time::timeout(FAREWELL_WITHIN, self.tracker.end_agent(&self.id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "no goodbye"),
            Err(_) => tracing::debug!("no goodbye: the tracker does not answer in time"),
        }
    }

    /// What the tracker is told. With too many pulls for a lease, those that are complete are left out first.
    fn lease(&self) -> AgentLease {
        let mut pulls: Vec<PullReport> = self.pulls().iter().map(report).collect();
        for refusal in self.refusals.list() {
            if pulls.iter().all(|pull| pull.info_hash != refusal.info_hash) {
                pulls.push(refusal);
            }
        }
        if pulls.len() > AgentLease::PULLS_MAX {
            pulls.sort_by_key(|pull| pull.state == PullState::Seeding);
            pulls.truncate(AgentLease::PULLS_MAX);
        }
        pulls.sort_by_key(|pull| pull.info_hash);
        AgentLease { peer_addr: self.fetcher.addr(), host: host(), pulls, follows: self.follows.clone() }
    }

    /// Waits until the lease is to be renewed, or there is something to tell; or until the agent ends.
    async fn until_news(&self, told: &AgentLease, granted: AgentLeaseGranted) {
        let told_at = Instant::now();
        let renew_after = Duration::from_secs(granted.lease_seconds.max(3)) / 3;
        let renew_after = renew_after.mul_f64(rand::random_range(0.9..1.0));
        let quiet = LOOK_EVERY.max(Duration::from_secs((told.pulls.len() / PULLS_PER_SECOND) as u64));
        let progress_after = quiet.max(Duration::from_secs(granted.progress_seconds));
        while told_at.elapsed() < renew_after {
            let look = LOOK_EVERY.min(renew_after.saturating_sub(told_at.elapsed()));
            if tokio::time::timeout(look, self.shutdown.cancelled()).await.is_ok() {
                return;
            }
            let due = match self.news(told) {
                News::Nothing => renew_after,
                News::Progress => progress_after,
                News::Change => quiet,
            };
            if told_at.elapsed() >= due {
                return;
            }
        }
    }

    fn news(&self, told: &AgentLease) -> News {
        // An agent that only seeds is asked for no more than what it has: the state of thousands takes a while.
        let is_idle = told.pulls.iter().all(|pull| pull.state == PullState::Seeding);
        if is_idle && self.has_just(&told.pulls) { News::Nothing } else { compare(told, &self.lease()) }
    }

    /// Whether the agent has these pulls and no others.
    fn has_just(&self, pulls: &[PullReport]) -> bool {
        let torrents = self.torrents();
        let has_all = pulls.iter().all(|pull| torrents.contains_key(&pull.info_hash));
        has_all && torrents.len() == pulls.len() && self.refusals.list().is_empty()
    }

    async fn stopped_for(&self, time: Duration) {
        self.shutdown.cancelled().await;
        tokio::time::sleep(time).await;
    }
}

impl Refusals {
    /// Remembers why a pull could not start, or forgets it when it has.
    pub(super) fn note(&self, metainfo: &Metainfo, error: Option<&dyn Display>) {
        let (info_hash, length) = (metainfo.info_hash(), metainfo.info.length);
        let mut refusals = self.lock();
        let Some(error) = error else {
            refusals.remove(&info_hash);
            return;
        };
        if refusals.len() >= REFUSALS_MAX && !refusals.contains_key(&info_hash) {
            refusals.pop_first();
        }
        let reason = Some(Line::fit(&error.to_string()));
        let report = PullReport { info_hash, state: PullState::Failed, have: 0, length, download_rate: 0, reason };
        refusals.insert(info_hash, report);
    }

    /// Forgets why a pull could not start.
    pub(super) fn forget(&self, info_hash: InfoHash) {
        self.lock().remove(&info_hash);
    }

    fn list(&self) -> Vec<PullReport> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InfoHash, PullReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(pull: &Pull) -> PullReport {
    PullReport {
        info_hash: pull.info_hash,
        state: pull.state,
        have: pull.have,
        length: pull.length,
        // The session's rate is that of the last seconds, and outlives the download.
        download_rate: if pull.state == PullState::Fetching { pull.download_rate } else { 0 },
        reason: pull.reason.as_deref().map(Line::fit),
    }
}

fn compare(told: &AgentLease, now: &AgentLease) -> News {
    let same = |(one, other): (&PullReport, &PullReport)| {
        (one.info_hash, one.state, &one.reason) == (other.info_hash, other.state, &other.reason)
    };
    let is_same_set = told.pulls.len() == now.pulls.len() && told.pulls.iter().zip(&now.pulls).all(same);
    if told == now {
        News::Nothing
    } else if is_same_set && told.follows == now.follows {
        News::Progress
    } else {
        News::Change
    }
}

fn host() -> Line {
    Line::fit(&rustix::system::uname().nodename().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(state: PullState, have: u64) -> AgentLease {
        let info_hash = InfoHash::from([7; 20]);
        let pull = PullReport { info_hash, state, have, length: 9, download_rate: 0, reason: None };
        AgentLease { peer_addr: ([127, 0, 0, 1], 1).into(), host: host(), pulls: vec![pull], follows: Vec::new() }
    }

    #[test]
    fn bytes_are_progress_and_everything_else_is_a_change() {
        let told = lease(PullState::Fetching, 1);
        assert_eq!(compare(&told, &told), News::Nothing);
        assert_eq!(compare(&told, &lease(PullState::Fetching, 2)), News::Progress);
        assert_eq!(compare(&told, &lease(PullState::Seeding, 9)), News::Change);
        assert_eq!(compare(&told, &AgentLease { pulls: Vec::new(), ..told.clone() }), News::Change);
        assert_eq!(compare(&told, &AgentLease { follows: vec!["a".parse().unwrap()], ..told.clone() }), News::Change);
    }

    #[test]
    fn the_latest_refusals_are_remembered_until_the_pull_starts() {
        let metainfo = |name: &str| {
            let (length, pieces) = (name.len(), "x".repeat(20));
            let info = format!("d6:lengthi9e4:name{length}:{name}12:piece lengthi65536e6:pieces20:{pieces}e");
            Metainfo::from_info(info.as_bytes(), &[], &[]).unwrap()
        };
        let (refusals, error) = (Refusals::default(), "no space left");
        refusals.note(&metainfo("a"), Some(&error));
        let listed = refusals.list();
        assert_eq!(
            (listed[0].state, listed[0].reason.as_ref().unwrap().as_str()),
            (PullState::Failed, "no space left")
        );
        refusals.note(&metainfo("a"), None);
        assert!(refusals.list().is_empty());
        for number in 0..=REFUSALS_MAX {
            refusals.note(&metainfo(&number.to_string()), Some(&error));
        }
        assert_eq!(refusals.list().len(), REFUSALS_MAX);
    }
}
