use std::net::SocketAddr;

use nova_protocol::api::OriginLease;
use rusqlite::{Row, params, types::Type};

use super::{Index, IndexError};

/// An origin that has ever had a lease.
#[derive(Debug, Clone)]
pub struct OriginRow {
    /// Its id.
    pub id: String,
    /// What it said of itself when that was last written down.
    pub lease: OriginLease,
    /// When that was, in Unix seconds.
    pub renewed_at: u64,
    /// How many torrents it holds in full.
    pub complete: u64,
    /// How many it shall hold.
    pub assigned: u64,
}

impl Index {
    /// Writes down where an origin is, and when it said so, in Unix seconds.
    pub async fn put_origin(&self, id: String, lease: OriginLease, renewed_at: u64) -> Result<(), IndexError> {
        self.write(move |transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO origins (id, peer_addr, fetch_addr, http_addr, free_bytes, renewed_at)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    id,
                    lease.peer_addr.to_string(),
                    lease.fetch_addr.to_string(),
                    lease.http_addr.to_string(),
                    i64::try_from(lease.free_bytes).unwrap_or(i64::MAX),
                    renewed_at
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Every origin, sorted by id.
    pub async fn origins(&self) -> Result<Vec<OriginRow>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT o.id, o.peer_addr, o.fetch_addr, o.http_addr, o.free_bytes, o.renewed_at,
                 count(r.origin) FILTER (WHERE r.state = 'complete'), count(r.origin)
                 FROM origins o LEFT JOIN replicas r ON r.origin = o.id AND r.hold
                 GROUP BY o.id ORDER BY o.id",
            )?;
            let rows = statement.query_map([], |row| {
                let lease = OriginLease {
                    peer_addr: addr(row, 1)?,
                    fetch_addr: addr(row, 2)?,
                    http_addr: addr(row, 3)?,
                    free_bytes: row.get(4)?,
                };
                let (complete, assigned) = (row.get(6)?, row.get(7)?);
                Ok(OriginRow { id: row.get(0)?, lease, renewed_at: row.get(5)?, complete, assigned })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn addr(row: &Row<'_>, column: usize) -> rusqlite::Result<SocketAddr> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}
