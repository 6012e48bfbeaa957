//! The thread that librqbit runs on.
//!
//! On a runtime of several threads librqbit 9.1.0 gives its thread away before it writes a block of 16 KiB, and takes it
//! back afterwards (`block_in_place`): 131,072 times for 2 GiB, which took 8.5 s of processor time so, 3.8 s on a runtime
//! of one thread, and came in at 190 MB/s and 400 MB/s on the same two cores.
//!
//! While several peers give, the thread looks at what has come once in a millisecond and not more often. A connection of
//! librqbit takes a piece away from another that has had it for ten times as long as the connection itself takes for one
//! on average, or for three times when it has nothing else to ask for (`try_steal`). That average is in whole
//! milliseconds: when it is 0 the connections take all pieces away from each other all the time, and what was on its way
//! comes again. Three agents on one machine received up to 1.7 times the content, and one of them 14 GiB for 258 MiB. Now
//! a piece takes a millisecond at least. It also saves wakes: 8 % of the processor time of a fleet behind 50 Mbit/s.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// The least that passes between two looks, while there are several peers.
const PACE: Duration = Duration::from_millis(1);

/// A runtime of one thread; all that the session spawns is spawned there. Cheap to clone.
#[derive(Clone)]
pub(super) struct Engine {
    handle: Handle,
    /// Torrents that several peers give.
    shared: Arc<AtomicUsize>,
}

/// The thread has ended, or ended meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("the session has ended")]
pub(super) struct Ended;

impl Engine {
    /// Starts the thread, which ends with `shutdown`.
    pub(super) fn start(shutdown: CancellationToken) -> io::Result<Self> {
        let shared = Arc::<AtomicUsize>::default();
        let runtime = Builder::new_current_thread().enable_all().on_thread_park(rest(shared.clone())).build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("librqbit".to_owned()).spawn(move || runtime.block_on(shutdown.cancelled()))?;
        Ok(Self { handle, shared })
    }

    /// One torrent, of which it can be said whether several peers give it.
    pub(super) fn sharing(&self) -> Sharing {
        Sharing { shared: self.shared.clone(), is_shared: false }
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

/// Whether several peers give a torrent; they do not when it is dropped.
pub(super) struct Sharing {
    shared: Arc<AtomicUsize>,
    is_shared: bool,
}

impl Sharing {
    pub(super) fn set(&mut self, is_shared: bool) {
        match (self.is_shared, is_shared) {
            (false, true) => self.shared.fetch_add(1, Relaxed),
            (true, false) => self.shared.fetch_sub(1, Relaxed),
            _ => return,
        };
        self.is_shared = is_shared;
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// What the thread does before it waits for something to happen.
fn rest(shared: Arc<AtomicUsize>) -> impl Fn() + Send + Sync + 'static {
    let looked = std::sync::Mutex::new(Instant::now());
    move || {
        let Ok(mut looked) = looked.lock() else { return };
        if shared.load(Relaxed) > 0 {
            thread::sleep(PACE.saturating_sub(looked.elapsed()));
        }
        *looked = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torrent_is_shared_as_long_as_several_peers_give_it() {
        let engine = Engine::start(CancellationToken::new()).unwrap();
        let count = || engine.shared.load(Relaxed);
        let (mut one, mut other) = (engine.sharing(), engine.sharing());
        one.set(true);
        one.set(true);
        other.set(true);
        assert_eq!(count(), 2);
        other.set(false);
        assert_eq!(count(), 1);
        drop(one);
        assert_eq!(count(), 0);
    }
}
