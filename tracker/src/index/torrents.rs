use std::time::{SystemTime, UNIX_EPOCH};

use nova_protocol::{InfoHash, Metainfo, Reference};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, types::Type};

use super::{
    Index, IndexError,
    replicas::{Candidate, Held, ReplicaRow},
};

/// A torrent, and where it is.
#[derive(Debug, Clone)]
pub struct TorrentRow {
    /// Its identity.
    pub info_hash: InfoHash,
    /// The name inside the torrent.
    pub name: String,
    /// Bytes of content.
    pub length: u64,
    /// Files of content.
    pub files: u64,
    /// Bytes in a piece.
    pub piece_length: u32,
    /// Whether it is private (BEP 27).
    pub private: bool,
    /// The origins that shall hold it.
    pub replicas: Vec<ReplicaRow>,
    /// References that point here now.
    pub tags: Vec<Reference>,
}

impl Index {
    /// Every info hash that may be announced.
    pub async fn info_hashes(&self) -> Result<Vec<InfoHash>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT info_hash FROM torrents")?;
            let rows = statement.query_map([], |row| hash(row, 0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Stores a torrent unless it is there, and says whether it was new. Its own trackers and web seeds are not kept.
    pub async fn put_torrent(&self, metainfo: Metainfo) -> Result<bool, IndexError> {
        self.write(move |transaction| {
            let info = &metainfo.info;
            let added = transaction.execute(
                "INSERT INTO torrents (info_hash, name, length, files, piece_length, private, added, metainfo)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                params![
                    metainfo.info_hash().as_bytes(),
                    info.name,
                    info.length,
                    info.stored_files().count(),
                    info.piece_length.get(),
                    info.private,
                    unix_now(),
                    metainfo.with_sources(&[], &[]).as_bytes(),
                ],
            )?;
            Ok(added > 0)
        })
        .await
    }

    /// A torrent, its replicas and its tags.
    ///
    /// # Errors
    /// [`IndexError::UnknownTorrent`].
    pub async fn torrent(&self, info_hash: InfoHash) -> Result<TorrentRow, IndexError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached("SELECT name, length, files, piece_length, private FROM torrents WHERE info_hash = ?")?
                .query_row([info_hash.as_bytes()], |row| {
                    Ok(TorrentRow {
                        info_hash,
                        name: row.get(0)?,
                        length: row.get(1)?,
                        files: row.get(2)?,
                        piece_length: row.get(3)?,
                        private: row.get(4)?,
                        replicas: Vec::new(),
                        tags: Vec::new(),
                    })
                })
                .optional()?;
            let mut torrent = found.ok_or(IndexError::UnknownTorrent(info_hash))?;
            torrent.replicas = super::replicas::of(connection, info_hash)?;
            torrent.tags = pointing_to(connection, info_hash)?;
            Ok(torrent)
        })
        .await
    }

    /// The bencoded metainfo of a torrent, without trackers and web seeds.
    ///
    /// # Errors
    /// [`IndexError::UnknownTorrent`].
    pub async fn metainfo(&self, info_hash: InfoHash) -> Result<Vec<u8>, IndexError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached("SELECT metainfo FROM torrents WHERE info_hash = ?")?
                .query_row([info_hash.as_bytes()], |row| row.get(0))
                .optional()?;
            found.ok_or(IndexError::UnknownTorrent(info_hash))
        })
        .await
    }

    /// Forgets a torrent, and tells its origins to let go; says who held it.
    ///
    /// # Errors
    /// [`IndexError::UnknownTorrent`], [`IndexError::Tagged`].
    pub async fn remove_torrent(&self, info_hash: InfoHash) -> Result<Vec<Held>, IndexError> {
        self.write(move |transaction| {
            let tags = pointing_to(transaction, info_hash)?;
            if !tags.is_empty() {
                let tags = tags.iter().map(Reference::to_string).collect::<Vec<_>>().join(", ");
                return Err(IndexError::Tagged { info_hash, tags });
            }
            if transaction.execute("DELETE FROM torrents WHERE info_hash = ?", [info_hash.as_bytes()])? == 0 {
                return Err(IndexError::UnknownTorrent(info_hash));
            }
            super::replicas::release(transaction, info_hash)
        })
        .await
    }

    /// Gives every torrent, or one of them, to more of the candidates until `wanted` of them hold it or none is left
    /// that can; says what was given to whom.
    pub async fn top_up(
        &self,
        only: Option<InfoHash>,
        candidates: Vec<Candidate>,
        wanted: u32,
    ) -> Result<Vec<Held>, IndexError> {
        self.write(move |transaction: &Transaction<'_>| super::replicas::top_up(transaction, only, &candidates, wanted))
            .await
    }
}

fn pointing_to(connection: &Connection, info_hash: InfoHash) -> rusqlite::Result<Vec<Reference>> {
    connection
        .prepare_cached("SELECT reference FROM tags WHERE info_hash = ? ORDER BY reference")?
        .query_map([info_hash.as_bytes()], |row| reference(row, 0))?
        .collect()
}

pub(super) fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<InfoHash> {
    row.get::<_, [u8; 20]>(column).map(InfoHash::from)
}

pub(super) fn reference(row: &Row<'_>, column: usize) -> rusqlite::Result<Reference> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// Seconds since 1970; the wall clock only ever labels rows, and nothing is decided by it.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
