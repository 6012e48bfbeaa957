use nova_protocol::{
    InfoHash, Reference,
    api::{TagPage, TagVersion},
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    Index, IndexError, replicas,
    torrents::{hash, reference, unix_now},
};

/// A wish to point a tag somewhere.
#[derive(Debug, Clone)]
pub struct Move {
    /// The tag.
    pub reference: Reference,
    /// Where it shall point.
    pub info_hash: InfoHash,
    /// The version that it must have now; 0 for none.
    pub expected_version: Option<u64>,
    /// Who moves it.
    pub pusher: String,
    /// Whether it may never move once it is there.
    pub immutable: bool,
    /// Complete replicas that there must be.
    pub min_replicas: u32,
    /// The origins that count for that.
    pub live: Vec<String>,
}

/// What came of a [`Move`].
#[derive(Debug, Clone)]
pub enum Moved {
    /// A new version.
    New(TagVersion),
    /// The tag pointed there already.
    Already(TagVersion),
}

const VERSION: &str =
    "SELECT v.reference, v.version, v.info_hash, v.torrent_name, v.length, v.files, v.moved_at, v.pusher
     FROM tag_versions v";

impl Index {
    /// The current version of a tag.
    ///
    /// # Errors
    /// [`IndexError::UnknownTag`].
    pub async fn tag(&self, reference: Reference) -> Result<TagVersion, IndexError> {
        self.read(move |connection| current(connection, &reference)?.ok_or(IndexError::UnknownTag(reference))).await
    }

    /// At most `limit` tags, sorted by reference, that start with `prefix` and come after `after`.
    pub async fn tags(&self, prefix: String, after: Option<Reference>, limit: usize) -> Result<TagPage, IndexError> {
        self.read(move |connection| {
            let after = after.map(|reference| reference.to_string()).unwrap_or_default();
            let mut statement = connection.prepare_cached(&format!(
                "{VERSION} JOIN tags t USING (reference, version)
                 WHERE t.reference > ?1 AND t.reference >= ?2 AND substr(t.reference, 1, length(?2)) = ?2
                 ORDER BY t.reference LIMIT ?3"
            ))?;
            let rows = statement.query_map(params![after, prefix, limit + 1], version)?;
            let mut tags = rows.collect::<Result<Vec<_>, _>>()?;
            let more = tags.len() > limit;
            tags.truncate(limit);
            let next = tags.last().filter(|_| more).map(|last| last.reference.clone());
            Ok(TagPage { tags, next })
        })
        .await
    }

    /// Every version of a tag, newest first.
    ///
    /// # Errors
    /// [`IndexError::UnknownTag`].
    pub async fn history(&self, reference: Reference) -> Result<Vec<TagVersion>, IndexError> {
        self.read(move |connection| {
            let versions = history(connection, &reference)?;
            if versions.is_empty() { Err(IndexError::UnknownTag(reference)) } else { Ok(versions) }
        })
        .await
    }

    /// Points a tag somewhere, as one transaction that is on disk when this returns.
    ///
    /// # Errors
    /// [`IndexError::UnknownTorrent`], [`IndexError::VersionMismatch`], [`IndexError::Immutable`],
    /// [`IndexError::NotReplicated`].
    pub async fn move_tag(&self, wish: Move) -> Result<Moved, IndexError> {
        self.write(move |transaction| move_tag(transaction, wish)).await
    }

    /// Where a tag is now, and the version to which it goes back: `version`, or the last that points elsewhere.
    ///
    /// # Errors
    /// [`IndexError::UnknownTag`], [`IndexError::UnknownVersion`], [`IndexError::NothingBefore`].
    pub async fn rollback_target(
        &self,
        reference: Reference,
        version: Option<u64>,
    ) -> Result<(TagVersion, TagVersion), IndexError> {
        let mut versions = self.history(reference.clone()).await?;
        let now = versions[0].clone();
        let chosen = versions.iter().position(|old| match version {
            Some(version) => old.version == version,
            None => old.info_hash != now.info_hash,
        });
        chosen.map(|at| (now, versions.swap_remove(at))).ok_or(match version {
            Some(version) => IndexError::UnknownVersion { reference, version },
            None => IndexError::NothingBefore(reference),
        })
    }

    /// Forgets a tag and its history; the torrents stay.
    ///
    /// # Errors
    /// [`IndexError::UnknownTag`].
    pub async fn remove_tag(&self, reference: Reference) -> Result<(), IndexError> {
        self.write(move |transaction| {
            let text = reference.to_string();
            transaction.execute("DELETE FROM tag_versions WHERE reference = ?", [&text])?;
            match transaction.execute("DELETE FROM tags WHERE reference = ?", [&text])? {
                0 => Err(IndexError::UnknownTag(reference)),
                _ => Ok(()),
            }
        })
        .await
    }
}

fn move_tag(transaction: &Transaction<'_>, wish: Move) -> Result<Moved, IndexError> {
    let Move { reference, info_hash, expected_version, pusher, immutable, min_replicas, live } = wish;
    let torrent: Option<(String, u64, u64)> = transaction
        .prepare_cached("SELECT name, length, files FROM torrents WHERE info_hash = ?")?
        .query_row([info_hash.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (torrent_name, length, files) = torrent.ok_or(IndexError::UnknownTorrent(info_hash))?;
    let now = current(transaction, &reference)?;
    let found = now.as_ref().map_or(0, |tag| tag.version);
    let points_there = now.as_ref().is_some_and(|tag| tag.info_hash == info_hash);
    // One step further and where it shall be: the same wish again, by one who never heard the first answer.
    let expects = |expected: u64| expected == found || (points_there && expected.checked_add(1) == Some(found));
    if let Some(expected) = expected_version.filter(|expected| !expects(*expected)) {
        let points_to = now.map_or_else(|| "not there".to_owned(), |tag| tag.info_hash.to_string());
        return Err(IndexError::VersionMismatch { reference, found, points_to, expected });
    }
    match now {
        Some(tag) if points_there => return Ok(Moved::Already(tag)),
        Some(_) if immutable => return Err(IndexError::Immutable(reference)),
        _ => {}
    }
    let complete = replicas::complete(transaction, info_hash, &live)?;
    if complete < min_replicas {
        return Err(IndexError::NotReplicated { info_hash, found: complete, expected: min_replicas });
    }
    let version = found + 1;
    let tag = TagVersion { reference, version, info_hash, torrent_name, length, files, moved_at: unix_now(), pusher };
    append(transaction, &tag)?;
    Ok(Moved::New(tag))
}

fn append(transaction: &Transaction<'_>, tag: &TagVersion) -> rusqlite::Result<()> {
    let reference = tag.reference.to_string();
    let info_hash = tag.info_hash.as_bytes();
    transaction.execute(
        "INSERT INTO tag_versions (reference, version, info_hash, torrent_name, length, files, moved_at, pusher)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![reference, tag.version, info_hash, tag.torrent_name, tag.length, tag.files, tag.moved_at, tag.pusher],
    )?;
    transaction.execute(
        "INSERT INTO tags (reference, version, info_hash) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET version = excluded.version, info_hash = excluded.info_hash",
        params![reference, tag.version, info_hash],
    )?;
    Ok(())
}

fn current(connection: &Connection, reference: &Reference) -> rusqlite::Result<Option<TagVersion>> {
    connection
        .prepare_cached(&format!("{VERSION} JOIN tags USING (reference, version) WHERE reference = ?"))?
        .query_row([reference.to_string()], version)
        .optional()
}

fn history(connection: &Connection, reference: &Reference) -> rusqlite::Result<Vec<TagVersion>> {
    connection
        .prepare_cached(&format!("{VERSION} WHERE v.reference = ? ORDER BY v.version DESC"))?
        .query_map([reference.to_string()], version)?
        .collect()
}

fn version(row: &Row<'_>) -> rusqlite::Result<TagVersion> {
    Ok(TagVersion {
        reference: reference(row, 0)?,
        version: row.get(1)?,
        info_hash: hash(row, 2)?,
        torrent_name: row.get(3)?,
        length: row.get(4)?,
        files: row.get(5)?,
        moved_at: row.get(6)?,
        pusher: row.get(7)?,
    })
}
