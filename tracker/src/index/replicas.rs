use std::hash::{DefaultHasher, Hash, Hasher};

use nova_protocol::{
    InfoHash,
    api::{Assignment, Assignments, ReplicaReport, ReplicaState},
};
use rusqlite::{Connection, Row, Transaction, params};

use super::{Index, IndexError, torrents::hash};

/// A torrent on an origin.
#[derive(Debug, Clone)]
pub struct ReplicaRow {
    /// The origin's id.
    pub origin: String,
    /// How far it is.
    pub state: ReplicaState,
    /// Bytes that it has.
    pub have: u64,
    /// Why it failed.
    pub reason: Option<String>,
}

/// An origin that may be given torrents.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// Bytes that it can still store.
    pub free_bytes: u64,
}

/// Which torrent on which origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The origin's id.
    pub origin: String,
    /// The torrent.
    pub info_hash: InfoHash,
}

impl Index {
    /// Which origins hold which torrents in full, live or not.
    pub async fn complete_replicas(&self) -> Result<Vec<Held>, IndexError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT origin, info_hash FROM replicas WHERE hold AND state = 'complete'")?;
            let rows = statement.query_map([], |row| Ok(Held { origin: row.get(0)?, info_hash: hash(row, 1)? }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What an origin shall hold or let go since the cursor; a cursor of 0, or of another index, has everything that it
    /// shall hold.
    pub async fn assignments(&self, origin: String, after: u64) -> Result<Assignments, IndexError> {
        self.read(move |connection| {
            let last = last_sequence(connection)?;
            let after = if after > last { 0 } else { after };
            let mut statement = connection.prepare_cached(
                "SELECT info_hash, hold FROM replicas
                 WHERE origin = ?1 AND sequence > ?2 AND sequence <= ?3 AND (hold OR ?2 > 0) ORDER BY sequence",
            )?;
            let rows = statement.query_map(params![origin, after, last], |row| {
                Ok(Assignment { info_hash: hash(row, 0)?, hold: row.get(1)? })
            })?;
            Ok(Assignments { assignments: rows.collect::<Result<_, _>>()?, leechers: Vec::new(), cursor: last })
        })
        .await
    }

    /// Writes down how far an origin is with a torrent.
    ///
    /// # Errors
    /// [`IndexError::NotAssigned`].
    pub async fn report(&self, origin: String, info_hash: InfoHash, report: ReplicaReport) -> Result<(), IndexError> {
        self.write(move |transaction| {
            let changed = transaction.execute(
                "UPDATE replicas SET state = ?, have = ?, reason = ? WHERE origin = ? AND info_hash = ? AND hold",
                params![word(report.state), have(report.have), report.reason, origin, info_hash.as_bytes()],
            )?;
            if changed == 0 { Err(IndexError::NotAssigned { origin, info_hash }) } else { Ok(()) }
        })
        .await
    }
}

/// The origins that shall hold a torrent, sorted by id.
pub(super) fn of(connection: &Connection, info_hash: InfoHash) -> rusqlite::Result<Vec<ReplicaRow>> {
    connection
        .prepare_cached(
            "SELECT origin, state, have, reason FROM replicas WHERE info_hash = ? AND hold ORDER BY origin",
        )?
        .query_map([info_hash.as_bytes()], |row| {
            Ok(ReplicaRow { origin: row.get(0)?, state: state(row, 1)?, have: row.get(2)?, reason: row.get(3)? })
        })?
        .collect()
}

/// How many of these origins hold all of a torrent.
pub(super) fn complete(connection: &Connection, info_hash: InfoHash, live: &[String]) -> rusqlite::Result<u32> {
    let replicas = of(connection, info_hash)?;
    let complete = replicas.iter().filter(|at| at.state == ReplicaState::Complete && live.contains(&at.origin)).count();
    Ok(u32::try_from(complete).unwrap_or(u32::MAX))
}

/// Tells every origin that holds a torrent to let go.
pub(super) fn release(transaction: &Transaction<'_>, info_hash: InfoHash) -> Result<Vec<Held>, IndexError> {
    let holders = of(transaction, info_hash)?;
    for holder in &holders {
        put(transaction, &holder.origin, info_hash, false)?;
    }
    Ok(holders.into_iter().map(|holder| Held { origin: holder.origin, info_hash }).collect())
}

pub(super) fn top_up(
    transaction: &Transaction<'_>,
    only: Option<InfoHash>,
    candidates: &[Candidate],
    wanted: u32,
) -> Result<Vec<Held>, IndexError> {
    let mut statement =
        transaction.prepare_cached("SELECT info_hash, length FROM torrents WHERE info_hash = ?1 OR ?1 IS NULL")?;
    let rows = statement.query_map([only.as_ref().map(InfoHash::as_bytes)], |row| Ok((hash(row, 0)?, row.get(1)?)))?;
    let torrents: Vec<(InfoHash, u64)> = rows.collect::<Result<_, _>>()?;
    let mut given = Vec::new();
    for (info_hash, length) in torrents {
        let holders = of(transaction, info_hash)?;
        for origin in choose(info_hash, length, &holders, candidates, wanted as usize) {
            put(transaction, origin, info_hash, true)?;
            given.push(Held { origin: origin.to_owned(), info_hash });
        }
    }
    Ok(given)
}

/// Which candidates to add to the holders of a torrent so that `wanted` are live and have not failed: those who score
/// highest for its info hash (rendezvous hashing), so that torrents spread evenly and a new origin moves few of them.
fn choose<'a>(
    info_hash: InfoHash,
    length: u64,
    holders: &[ReplicaRow],
    candidates: &'a [Candidate],
    wanted: usize,
) -> impl Iterator<Item = &'a str> {
    let holder = |candidate: &Candidate| holders.iter().find(|holder| holder.origin == candidate.id);
    let working = candidates
        .iter()
        .filter(|candidate| holder(candidate).is_some_and(|held| held.state != ReplicaState::Failed))
        .count();
    let mut able: Vec<_> = candidates
        .iter()
        .filter(|candidate| holder(candidate).is_none() && candidate.free_bytes >= length)
        .map(|candidate| (score(info_hash, &candidate.id), candidate.id.as_str()))
        .collect();
    able.sort_unstable_by(|a, b| b.cmp(a));
    able.into_iter().map(|(_, id)| id).take(wanted.saturating_sub(working))
}

/// Need not be the same in the next version of nova: what has been given stays given.
fn score(info_hash: InfoHash, origin: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (info_hash, origin).hash(&mut hasher);
    hasher.finish()
}

fn put(transaction: &Transaction<'_>, origin: &str, info_hash: InfoHash, hold: bool) -> rusqlite::Result<()> {
    let sequence = last_sequence(transaction)? + 1;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO replicas (origin, info_hash, sequence, hold, state, have) VALUES (?, ?, ?, ?, ?, 0)",
        )?
        .execute(params![origin, info_hash.as_bytes(), sequence, hold, word(ReplicaState::Assigned)])?;
    Ok(())
}

fn last_sequence(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT coalesce(max(sequence), 0) FROM replicas")?.query_row([], |row| row.get(0))
}

const WORDS: [(ReplicaState, &str); 4] = [
    (ReplicaState::Assigned, "assigned"),
    (ReplicaState::Fetching, "fetching"),
    (ReplicaState::Complete, "complete"),
    (ReplicaState::Failed, "failed"),
];

fn word(state: ReplicaState) -> &'static str {
    WORDS.iter().find(|(known, _)| *known == state).map_or("assigned", |(_, word)| word)
}

/// A word of a newer version is as good as nothing said.
fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<ReplicaState> {
    let text: String = row.get(column)?;
    Ok(WORDS.iter().find(|(_, word)| *word == text).map_or(ReplicaState::Assigned, |(state, _)| *state))
}

/// SQLite has 63 bits.
fn have(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
