use nova_protocol::api::{Replica, ReplicaState, TorrentStatus};

use super::{Inspected, Listed};
use crate::units;

/// How many files are listed unless all shall be.
const LISTED: usize = 20;

/// `Name:` and its values, one line each.
struct Sheet(Vec<String>);

impl Sheet {
    fn line(&mut self, name: &str, value: &str) {
        self.0.push(format!("{name:<13}{value}"));
    }

    fn lines(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        for (index, value) in values.into_iter().enumerate() {
            self.line(if index == 0 { name } else { "" }, &value);
        }
    }
}

impl Inspected {
    /// What a person reads.
    pub(super) fn text(&self, all_files: bool) -> String {
        let mut sheet = Sheet(Vec::new());
        sheet.line("name", &self.name);
        if let Some(tag) = &self.tag {
            let moved = units::date(tag.moved_at);
            sheet.line("tag", &format!("{} version {}, moved {moved} by {}", tag.reference, tag.version, tag.pusher));
        }
        sheet.line("info hash", &self.info_hash.to_string());
        sheet.line("size", &format!("{} ({} bytes)", units::bytes(self.length), self.length));
        sheet.line("pieces", &format!("{} of {}", self.pieces, units::bytes(self.piece_length.into())));
        sheet.line("private", if self.private { "yes: peers come from the tracker alone" } else { "no" });
        sheet.lines("trackers", self.trackers.iter().flatten().cloned());
        sheet.lines("web seeds", self.web_seeds.iter().cloned());
        sheet.lines("magnet link", self.magnet.clone());
        if let Some(status) = &self.status {
            sheet.status(status);
        }
        if !self.directories.is_empty() {
            sheet.line("directories", &self.directories.len().to_string());
        }
        let shown = if all_files { self.files.len() } else { LISTED };
        sheet.line("files", &self.files.len().to_string());
        sheet.0.extend(self.files.iter().take(shown).map(Listed::line));
        if self.files.len() > shown {
            sheet.0.push(format!("  and {} more (--files lists all)", self.files.len() - shown));
        }
        sheet.0.join("\n")
    }
}

impl Sheet {
    fn status(&mut self, status: &TorrentStatus) {
        self.lines("tags", status.tags.iter().map(ToString::to_string));
        self.line("peers", &format!("{} complete, {} not", status.seeders, status.leechers));
        let complete = status.complete_replicas();
        self.line("origins", &format!("{complete} complete, at least {} needed for a tag", status.min_replicas));
        self.lines("", status.replicas.iter().map(|replica| replica_line(replica, status.length)));
    }
}

fn replica_line(replica: &Replica, length: u64) -> String {
    let state = match replica.state {
        ReplicaState::Assigned => "assigned".to_owned(),
        ReplicaState::Fetching => format!("fetching, {}", units::percent(replica.have, length)),
        ReplicaState::Complete => "complete".to_owned(),
        ReplicaState::Failed => format!("failed: {}", replica.reason.as_deref().unwrap_or("no reason given")),
    };
    let live = if replica.live { "" } else { ", not live" };
    format!("{} at {}: {state}{live}", replica.origin, replica.peer_addr)
}

impl Listed {
    fn line(&self) -> String {
        let mark = match self.kind {
            "executable" => "x",
            "symlink" => "l",
            _ => "-",
        };
        let target = self.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
        let kept = match (&self.kept.mode, &self.kept.owner) {
            (None, None) => String::new(),
            (mode, None) => format!(" {:3}", mode.as_deref().unwrap_or_default()),
            (mode, Some(owner)) => format!(" {:3} {owner:11}", mode.as_deref().unwrap_or_default()),
        };
        format!("  {mark}{kept} {:>11}  {}{target}", units::bytes(self.length), self.path)
    }
}
