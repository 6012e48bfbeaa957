use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nova_protocol::api::Leecher;
use tokio::sync::watch;

/// How many wait for one origin at most: of those that it does not ask for, the first.
const WAITING_MAX: usize = 1024;

/// Leechers that origins shall dial, for not every client can dial an origin, which speaks TCP alone.
///
/// Transmission 3.00 tries uTP for nine seconds. Then it connects over TCP, takes its own failure before that for one of
/// this connection, closes it, and does not try again for a quarter of an hour. libtorrent takes three seconds to give up
/// uTP. An origin without leechers would learn of them from its own announces half an hour later.
#[derive(Debug)]
pub struct Calls {
    waiting: Mutex<HashMap<String, Vec<Leecher>>>,
    news: watch::Sender<()>,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::default(), news: watch::channel(()).0 }
    }

    pub(super) fn add(&self, origin: &str, leecher: Leecher) {
        let mut waiting = self.waiting();
        let waiting = waiting.entry(origin.to_owned()).or_default();
        if waiting.len() < WAITING_MAX && !waiting.contains(&leecher) {
            waiting.push(leecher);
            self.news.send_replace(());
        }
    }

    /// Those that this origin has not been told of yet.
    pub fn take(&self, origin: &str) -> Vec<Leecher> {
        self.waiting().remove(origin).unwrap_or_default()
    }

    /// Changes when there is another, for any origin.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Vec<Leecher>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
