use std::{path::PathBuf, time::Duration};

use nova_protocol::api::Source;
use nova_seeder::pull::Pulled;
use serde::Serialize;

use crate::units;

/// A pull that is done, as programs read it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    source: String,
    info_hash: String,
    name: String,
    path: PathBuf,
    length: u64,
    files: usize,
    /// Whether it was in its place before.
    was_there: bool,
    /// `agent` or `peer`.
    through: &'static str,
    /// Bytes that were on this host: in the cache of the agent, in another version, or left by a pull that was cut.
    reused: u64,
    from_origins: u64,
    from_peers: u64,
    sources: Vec<Source>,
    seconds: f64,
}

impl Outcome {
    /// What came of a pull of `source`.
    pub fn new(source: &str, pulled: &Pulled, through_agent: bool, took: Duration) -> Self {
        let info = &pulled.metainfo.info;
        let came =
            |origin| pulled.sources.iter().filter(move |source| source.origin == origin).map(|source| source.bytes);
        let (from_origins, from_peers) = (came(true).sum::<u64>(), came(false).sum::<u64>());
        let source = pulled.tag.as_ref().map_or_else(|| source.to_owned(), |tag| tag.reference.to_string());
        Self {
            source,
            info_hash: pulled.metainfo.info_hash().to_string(),
            name: info.name.clone(),
            path: pulled.path.clone(),
            length: info.length,
            files: info.stored_files().count(),
            was_there: pulled.was_there,
            through: if through_agent { "agent" } else { "peer" },
            reused: pulled.reused,
            from_origins,
            from_peers,
            sources: pulled.sources.clone(),
            seconds: took.as_secs_f64(),
        }
    }

    /// One line.
    pub fn text(&self, took: Duration) -> String {
        let (source, path, length) = (&self.source, self.path.display(), units::bytes(self.length));
        if self.was_there {
            return format!("{source} → {path}, {length}, was there already");
        }
        let fetched = self.length.saturating_sub(self.reused);
        let rate = units::comma_rate(fetched, took);
        format!("{source} → {path}, {length} in {}{rate} ({})", units::duration(took), self.origin_of_bytes(fetched))
    }

    fn origin_of_bytes(&self, fetched: u64) -> String {
        if self.length > 0 && fetched == 0 {
            return "all of it was on this host".to_owned();
        }
        let here =
            if self.reused > 0 { format!(", {} were on this host", units::bytes(self.reused)) } else { String::new() };
        let others = self.sources.iter().filter(|source| !source.origin).count() as u64;
        let origins = || format!("{} from origins", units::bytes(self.from_origins));
        let peers = || format!("{} from {}", units::bytes(self.from_peers), units::count(others, "other peer"));
        let fetched = match (self.from_origins, self.from_peers) {
            (0, 0) => "nothing to fetch".to_owned(),
            (_, 0) => origins(),
            (0, _) => peers(),
            _ => format!("{}, {}", origins(), peers()),
        };
        fetched + &here
    }
}
