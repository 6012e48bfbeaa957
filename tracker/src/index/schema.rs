use rusqlite::{Connection, TransactionBehavior};

/// Applied in order, and never changed after release; `user_version` says how many have been.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/0001_index.sql")];

/// A schema that this version cannot work with.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer version of nova has been here.
    #[error(
        "its schema is version {found}, and this nova-tracker knows versions up to {known}: run the version that \
         wrote it, or a newer one"
    )]
    Newer {
        /// The schema's version.
        found: usize,
        /// The newest that is known here.
        known: usize,
    },
    /// SQLite cannot read or change it.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Brings the schema up to date, each step in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), SchemaError> {
    let known = MIGRATIONS.len();
    loop {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: usize = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > known {
            return Err(SchemaError::Newer { found, known });
        }
        let Some(migration) = MIGRATIONS.get(found) else { return Ok(()) };
        step.execute_batch(migration)?;
        step.pragma_update(None, "user_version", found + 1)?;
        step.commit()?;
    }
}
