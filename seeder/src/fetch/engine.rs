//! The thread that librqbit runs on.
//!
//! On a runtime of several threads librqbit 9.1.0 gives its thread away before it writes a block of 16 KiB, and takes it
//! back afterwards (`block_in_place`): 131,072 times for 2 GiB, which took 8.5 s of processor time so, 3.8 s on a runtime
//! of one thread, and came in at 190 MB/s and 400 MB/s on the same two cores.

use std::{io, sync::Mutex, thread, time::Instant};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use super::rest::Rests;

/// A runtime of one thread; all that the session spawns is spawned there. Cheap to clone.
#[derive(Clone)]
pub(super) struct Engine {
    handle: Handle,
    /// Between two looks of the thread.
    rests: Rests,
}

/// The thread has ended, or ended meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("the session has ended")]
pub(super) struct Ended;

impl Engine {
    /// Starts the thread, which ends with `shutdown`.
    pub(super) fn start(shutdown: CancellationToken) -> io::Result<Self> {
        let rests = Rests::default();
        let runtime = Builder::new_current_thread().enable_all().on_thread_park(rest(rests.clone())).build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("librqbit".to_owned()).spawn(move || runtime.block_on(shutdown.cancelled()))?;
        Ok(Self { handle, rests })
    }

    pub(super) fn rests(&self) -> &Rests {
        &self.rests
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

/// What the thread does before it waits for something to happen.
fn rest(rests: Rests) -> impl Fn() + Send + Sync + 'static {
    let looked = Mutex::new(Instant::now());
    move || {
        let Ok(mut looked) = looked.lock() else { return };
        thread::sleep(rests.length().saturating_sub(looked.elapsed()));
        *looked = Instant::now();
    }
}
