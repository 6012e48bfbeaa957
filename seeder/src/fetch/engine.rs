//! The thread that librqbit runs on.
//!
//! On a runtime of several threads librqbit 9.1.0 gives its thread away before it writes a block of 16 KiB, and takes it
//! back afterwards (`block_in_place`): 131,072 times for 2 GiB, which took 8.5 s of processor time so, 3.8 s on a runtime
//! of one thread, and came in at 190 MB/s and 400 MB/s on the same two cores.

use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// A runtime of one thread; all that the session spawns is spawned there. Cheap to clone.
#[derive(Clone)]
pub(super) struct Engine {
    handle: Handle,
}

/// The thread has ended, or ended meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("the session has ended")]
pub(super) struct Ended;

impl Engine {
    /// Starts the thread, which ends with `shutdown`.
    pub(super) fn start(shutdown: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("librqbit".to_owned()).spawn(move || runtime.block_on(shutdown.cancelled()))?;
        Ok(Self { handle })
    }

    /// Does something on that thread.
    pub(super) async fn run<F>(&self, work: F) -> Result<F::Output, Ended>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match self.handle.spawn(work).await {
            Ok(done) => Ok(done),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Ended),
        }
    }
}
