//! Counters, and the Prometheus text that shows them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use nova_protocol::announce::Event;

use crate::{
    swarm::{AnnounceError, Store},
    tracker::Tracker,
};

/// What the announce service has done since it started.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Announces that were answered, by [`Face`], family of addresses (IPv4, IPv6) and [`Event`].
    announces: [[[AtomicU64; 5]; 2]; 2],
    /// Scrapes that were answered, by [`Face`].
    scrapes: [AtomicU64; 2],
    /// Connection ids given out over UDP.
    connects: AtomicU64,
    /// Refusals, by [`Refusal`].
    refusals: [AtomicU64; 9],
    latency: Latency,
}

/// How long answers took, in the buckets of a Prometheus histogram.
#[derive(Debug, Default)]
struct Latency {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// The upper bounds of the buckets, in microseconds.
const BOUNDS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000, 100_000];

/// Over what a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// TCP.
    Http,
    /// Datagrams.
    Udp,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read.
    Malformed,
    /// The info hash is not in the index.
    Unlisted,
    /// There is no such path.
    Path,
    /// There are as many swarms or peers as there may be.
    Full,
    /// All swarms at once, which the settings do not allow.
    FullScrape,
    /// There were as many connections as there may be, and this was the oldest.
    Busy,
    /// A datagram with a connection id that is not its sender's.
    Unproven,
    /// The answer to a datagram that could not be sent.
    Undeliverable,
    /// Too slow in sending a request or reading an answer.
    Slow,
}

impl From<AnnounceError> for Refusal {
    fn from(error: AnnounceError) -> Self {
        match error {
            AnnounceError::Unlisted => Self::Unlisted,
            AnnounceError::Full => Self::Full,
        }
    }
}

const FACES: [(Face, &str); 2] = [(Face::Http, "http"), (Face::Udp, "udp")];
const FAMILIES: [(usize, &str); 2] = [(0, "ipv4"), (1, "ipv6")];
const EVENTS: [(Event, &str); 5] = [
    (Event::Started, "started"),
    (Event::Completed, "completed"),
    (Event::Stopped, "stopped"),
    (Event::Paused, "paused"),
    (Event::None, "none"),
];
const REFUSALS: [(Refusal, &str); 9] = [
    (Refusal::Malformed, "malformed"),
    (Refusal::Unlisted, "unlisted"),
    (Refusal::Path, "path"),
    (Refusal::Full, "full"),
    (Refusal::FullScrape, "full_scrape"),
    (Refusal::Busy, "busy"),
    (Refusal::Unproven, "unproven"),
    (Refusal::Undeliverable, "undeliverable"),
    (Refusal::Slow, "slow"),
];

impl Metrics {
    /// Counts an announce that was answered, and the time that it took.
    pub fn announced(&self, face: Face, is_ipv6: bool, event: Event, took: Duration) {
        add(&self.announces[face as usize][usize::from(is_ipv6)][event as usize], 1);
        self.latency.record(took);
    }

    /// Counts a scrape that was answered.
    pub fn scraped(&self, face: Face) {
        add(&self.scrapes[face as usize], 1);
    }

    /// Counts a connection id that was given out.
    pub fn connected(&self) {
        add(&self.connects, 1);
    }

    /// Counts a request that was refused.
    pub fn refused(&self, why: Refusal) {
        add(&self.refusals[why as usize], 1);
    }
}

impl Latency {
    fn record(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| nanoseconds <= bound * 1000).unwrap_or(BOUNDS.len());
        add(&self.buckets[bucket], 1);
        add(&self.nanoseconds, nanoseconds);
    }

    fn text(&self) -> String {
        let counts = self.buckets.iter().scan(0, |sum, bucket| {
            *sum += read(bucket);
            Some(*sum)
        });
        let counts: Vec<u64> = counts.collect();
        let bounds = BOUNDS.iter().map(|bound| micro(*bound)).chain(["+Inf".to_owned()]);
        let buckets =
            bounds.zip(&counts).map(|(bound, count)| (format!("_bucket{{le=\"{bound}\"}}"), count.to_string()));
        let sum = format!("{:.9}", Duration::from_nanos(read(&self.nanoseconds)).as_secs_f64());
        let rest = [("_sum".to_owned(), sum), ("_count".to_owned(), counts[BOUNDS.len()].to_string())];
        let values: Vec<_> = buckets.chain(rest).collect();
        family("histogram", "announce_duration_seconds", "From the request to the answer.", &values)
    }
}

/// All there is to tell of a tracker, as Prometheus text.
pub fn text(tracker: &Tracker) -> String {
    let metrics = tracker.metrics();
    let announces = FACES.into_iter().flat_map(|(face, face_word)| {
        FAMILIES.into_iter().flat_map(move |(family, family_word)| {
            EVENTS.map(|(event, word)| {
                let labels = format!("{{face=\"{face_word}\",family=\"{family_word}\",event=\"{word}\"}}");
                (labels, read(&metrics.announces[face as usize][family][event as usize]).to_string())
            })
        })
    });
    let announces: Vec<_> = announces.collect();
    let scrapes = FACES.map(|(face, word)| (label("face", word), read(&metrics.scrapes[face as usize]).to_string()));
    let refusals =
        REFUSALS.map(|(why, word)| (label("reason", word), read(&metrics.refusals[why as usize]).to_string()));
    let crowd = tracker.swarms().crowd();
    let peers = [("seeder", crowd.seeders), ("leecher", crowd.leechers)];
    let peers = peers.map(|(kind, count)| (label("kind", kind), count.to_string()));
    let (agents, pulls) = tracker.agent_counts();
    let pulls = [("complete", pulls.complete), ("fetching", pulls.fetching), ("failed", pulls.failed)];
    let pulls = pulls.map(|(state, count)| (label("state", state), count.to_string()));
    let one = |value: u64| [(String::new(), value.to_string())];
    [
        family("counter", "announces_total", "Announces that were answered.", &announces),
        metrics.latency.text(),
        family("counter", "scrapes_total", "Scrapes that were answered.", &scrapes),
        family("counter", "udp_connects_total", "Connection ids given out.", &one(read(&metrics.connects))),
        family("counter", "refusals_total", "What was refused, and why.", &refusals),
        family("gauge", "swarms", "Info hashes with a swarm.", &one(tracker.swarms().swarms() as u64)),
        family("gauge", "peers", "Peers in all swarms together.", &peers),
        family("gauge", "agents", "Agents whose lease is valid.", &one(agents as u64)),
        family("gauge", "agent_pulls", "Pulls of all agents together.", &pulls),
        family("counter", "index_operations_total", "Reads and writes.", &one(tracker.index().operations())),
    ]
    .concat()
}

/// Microseconds as seconds, without the noise of floating point.
fn micro(microseconds: u64) -> String {
    let text = format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000);
    text.trim_end_matches('0').to_owned()
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn label(key: &str, value: &str) -> String {
    format!("{{{key}=\"{value}\"}}")
}

fn family(kind: &str, name: &str, help: &str, values: &[(String, String)]) -> String {
    let name = format!("nova_tracker_{name}");
    let values: Vec<_> = values.iter().map(|(label, value)| format!("{name}{label} {value}\n")).collect();
    format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{}", values.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_is_cumulative() {
        let latency = Latency::default();
        for nanoseconds in [500, 1_500, 1_700, 300_000_000] {
            latency.record(Duration::from_nanos(nanoseconds));
        }
        let text = latency.text();
        let has =
            |line: &str| text.lines().any(|found| found == format!("nova_tracker_announce_duration_seconds{line}"));
        assert!(has("_bucket{le=\"0.000001\"} 1") && has("_bucket{le=\"0.000002\"} 3"), "{text}");
        assert!(has("_bucket{le=\"0.1\"} 3") && has("_bucket{le=\"+Inf\"} 4"), "{text}");
        assert!(has("_count 4") && has("_sum 0.300003700"), "{text}");
    }
}
