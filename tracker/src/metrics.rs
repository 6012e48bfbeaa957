//! Counters, and the Prometheus text that shows them.

use std::sync::atomic::{AtomicU64, Ordering};

use nova_protocol::announce::Event;

use crate::tracker::Tracker;

/// What the announce service has done since it started.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Announces that were answered, by [`Event`].
    announces: [AtomicU64; 5],
    /// Refusals, by [`Refusal`].
    refusals: [AtomicU64; 3],
    scrapes: AtomicU64,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The query cannot be read.
    Malformed,
    /// The info hash is not in the index.
    Unlisted,
    /// There is no such path.
    Path,
}

const EVENTS: [(Event, &str); 5] = [
    (Event::Started, "started"),
    (Event::Completed, "completed"),
    (Event::Stopped, "stopped"),
    (Event::Paused, "paused"),
    (Event::None, "none"),
];
const REFUSALS: [(Refusal, &str); 3] =
    [(Refusal::Malformed, "malformed"), (Refusal::Unlisted, "unlisted"), (Refusal::Path, "path")];

impl Metrics {
    /// Counts an announce that was answered.
    pub fn announced(&self, event: Event) {
        self.announces[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a scrape that was answered.
    pub fn scraped(&self) {
        self.scrapes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that was refused.
    pub fn refused(&self, why: Refusal) {
        self.refusals[why as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// All there is to tell of a tracker, as Prometheus text.
pub fn text(tracker: &Tracker) -> String {
    let metrics = tracker.metrics();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let announces = EVENTS.map(|(event, word)| (label("event", word), read(&metrics.announces[event as usize])));
    let refusals = REFUSALS.map(|(why, word)| (label("reason", word), read(&metrics.refusals[why as usize])));
    let crowd = tracker.swarms().crowd();
    let peers = [("seeder", crowd.seeders), ("leecher", crowd.leechers)];
    let peers = peers.map(|(kind, count)| (label("kind", kind), count as u64));
    let one = |value| [(String::new(), value)];
    [
        family("counter", "announces_total", "Announces that were answered.", &announces),
        family("counter", "refusals_total", "Announces and scrapes that were refused.", &refusals),
        family("counter", "scrapes_total", "Scrapes that were answered.", &one(read(&metrics.scrapes))),
        family("gauge", "swarms", "Info hashes with a swarm.", &one(tracker.swarms().len() as u64)),
        family("gauge", "peers", "Peers in all swarms together.", &peers),
        family("counter", "index_operations_total", "Reads and writes.", &one(tracker.index().operations())),
    ]
    .concat()
}

fn label(key: &str, value: &str) -> String {
    format!("{{{key}=\"{value}\"}}")
}

fn family(kind: &str, name: &str, help: &str, values: &[(String, u64)]) -> String {
    let name = format!("nova_tracker_{name}");
    let values: Vec<_> = values.iter().map(|(label, value)| format!("{name}{label} {value}\n")).collect();
    format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{}", values.concat())
}
