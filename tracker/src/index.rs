//! The index: torrents, tags with their history, origins and replicas, in SQLite.
//!
//! One connection on one thread writes, and a write is on disk before it is answered (WAL, `synchronous=FULL`). Readers
//! have connections of their own, which no writer blocks.

mod error;
mod origins;
mod replicas;
mod schema;
mod tags;
#[cfg(test)]
mod tests;
mod torrents;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

pub use error::IndexError;
pub use origins::OriginRow;
pub use replicas::{Candidate, Held, ReplicaRow};
use rusqlite::{Connection, Transaction, TransactionBehavior};
pub use schema::SchemaError;
pub use tags::{Move, Moved};
use tokio::sync::oneshot;
pub use torrents::TorrentRow;

/// What the file in the data directory is called.
const FILE: &str = "index.sqlite";

/// Connections that are kept for readers; more are opened when more read at once, and closed again.
const IDLE_READERS: usize = 4;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The index of a data directory.
#[derive(Debug)]
pub struct Index {
    readers: Arc<Readers>,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    operations: AtomicU64,
}

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// An index that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory cannot be made.
    #[error("cannot make the data directory {0}: {1}")]
    Directory(PathBuf, io::Error),
    /// The schema is not one of this version's.
    #[error("cannot open the index {0}: {1}")]
    Schema(PathBuf, SchemaError),
    /// The writer cannot be started.
    #[error("cannot start the thread that writes the index: {0}")]
    Thread(io::Error),
}

impl Index {
    /// Opens the index in a data directory, both made when missing, and brings its schema up to date.
    ///
    /// # Errors
    /// Every variant of [`OpenError`].
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        fs::create_dir_all(directory).map_err(|error| OpenError::Directory(directory.to_owned(), error))?;
        let path = directory.join(FILE);
        let refused = |error| OpenError::Schema(path.clone(), error);
        let mut connection = connect(&path).map_err(|error| refused(error.into()))?;
        schema::migrate(&mut connection).map_err(refused)?;
        let (jobs, queue) = mpsc::channel::<Job>();
        let writer = thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job(&mut connection)))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            readers: Arc::new(Readers { path, idle: Mutex::default() }),
            jobs: Some(jobs),
            writer: Some(writer),
            operations: AtomicU64::new(0),
        })
    }

    /// How many reads and writes there have been since the index was opened.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Answers when a reader can read.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub async fn ping(&self) -> Result<(), IndexError> {
        self.read(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?)).await
    }

    /// Runs `work` in one transaction, which is rolled back when it fails and is on disk when it succeeds.
    async fn write<T, W>(&self, work: W) -> Result<T, IndexError>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, IndexError> + Send + 'static,
    {
        self.operations.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let job = move |connection: &mut Connection| {
            // Nobody may be there to be answered any more; what was asked for is done all the same.
            let _ = answer.send(transact(connection, work));
        };
        self.jobs.as_ref().ok_or(IndexError::Closed)?.send(Box::new(job)).map_err(|_| IndexError::Closed)?;
        answered.await.map_err(|_| IndexError::Closed)?
    }

    /// Runs `work` on a reader's connection, off the async threads.
    async fn read<T, W>(&self, work: W) -> Result<T, IndexError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, IndexError> + Send + 'static,
    {
        self.operations.fetch_add(1, Ordering::Relaxed);
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || readers.run(work)).await.map_err(|_| IndexError::Closed)?
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Readers {
    fn run<T>(&self, work: impl FnOnce(&Connection) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = kept.map_or_else(|| connect(&self.path), Ok)?;
        let answer = work(&connection);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
        answer
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, IndexError>,
) -> Result<T, IndexError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}
