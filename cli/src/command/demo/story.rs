use std::time::Duration;

use nova_seeder::{pull::Pulled, push::Pushed};
use serde::Serialize;

use crate::{table::Table, units};

/// What happened, as programs read it.
#[derive(Debug, Serialize)]
pub struct Story {
    pub info_hash: String,
    pub reference: String,
    pub files: u64,
    pub length: u64,
    pub push_seconds: f64,
    pub pull_seconds: f64,
    pub pulls: Vec<Part>,
    /// Bytes that the origin sent, in copies of the content.
    pub origin_copies: f64,
    pub verified: bool,
    pub seconds: f64,
}

/// What one agent did.
#[derive(Debug, Serialize)]
pub struct Part {
    pub agent: usize,
    pub seconds: f64,
    pub from_origin: u64,
    pub from_agents: u64,
}

impl Part {
    /// What `agent` did to pull.
    pub fn new(agent: usize, pulled: &Pulled, took: Duration) -> Self {
        let came = |origin| {
            let sources = pulled.sources.iter().filter(move |source| source.origin == origin);
            sources.map(|source| source.bytes).sum()
        };
        Self { agent, seconds: took.as_secs_f64(), from_origin: came(true), from_agents: came(false) }
    }
}

/// Where the pieces of each agent came from.
pub fn table(parts: &[Part]) -> Table {
    let mut table = Table::new(&[">AGENT", ">TIME", ">FROM THE ORIGIN", ">FROM OTHER AGENTS"]);
    for part in parts {
        let all = part.from_origin + part.from_agents;
        let share = |bytes| format!("{} ({})", units::bytes(bytes), units::percent(bytes, all));
        let took = units::duration(Duration::from_secs_f64(part.seconds));
        table.row([part.agent.to_string(), took, share(part.from_origin), share(part.from_agents)]);
    }
    table
}

/// The origin's share of all pulls, in copies of the content.
pub fn copies(parts: &[Part], length: u64) -> f64 {
    parts.iter().map(|part| part.from_origin).sum::<u64>() as f64 / length.max(1) as f64
}

/// What the push did.
pub fn pushed(pushed: &Pushed, pieces: u32, piece_length: u64, took: Duration) -> String {
    let tag = &pushed.tag;
    format!(
        "2. Pushed it as {} in {}.\n   info hash {}\n   {} of {}, held by {}",
        tag.reference,
        units::duration(took),
        tag.info_hash,
        units::count(pieces.into(), "piece"),
        units::bytes(piece_length),
        units::count(pushed.replicas as u64, "origin"),
    )
}
