//! What is known of a torrent beside what its session says.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use nova_protocol::api::WaitsFor;

use super::{stall::Writing, status::Status};

/// What was looked for on this host, and what the download waits for.
#[derive(Default)]
pub(super) struct Account {
    resumed: AtomicBool,
    looked: AtomicU64,
    /// What the disk is at.
    pub writing: Arc<Writing>,
    waits_for: Mutex<Option<WaitsFor>>,
    web_seeds: Mutex<Vec<SocketAddr>>,
}

impl Account {
    /// What is here was noted in an earlier run.
    pub(super) fn resume(&self) {
        self.resumed.store(true, Relaxed);
    }

    /// So many bytes were looked for so far.
    pub(super) fn look(&self, bytes: u64) {
        self.looked.fetch_max(bytes, Relaxed);
    }

    pub(super) fn looked(&self) -> u64 {
        self.looked.load(Relaxed)
    }

    pub(super) fn wait_for(&self, what: Option<WaitsFor>) {
        *lock(&self.waits_for) = what;
    }

    /// The session knows a web seed by this address.
    pub(super) fn meet(&self, web_seed: SocketAddr) {
        lock(&self.web_seeds).push(web_seed);
    }

    /// Adds what is known here to what the session says.
    pub(super) fn complete(&self, status: Status) -> Status {
        Status {
            resumed: self.resumed.load(Relaxed),
            waits_for: *lock(&self.waits_for),
            web_seeds: lock(&self.web_seeds).clone(),
            ..status
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
