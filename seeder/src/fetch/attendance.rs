//! What goes on for a torrent that was added, beside the session and before it: a search of this host, announces,
//! introductions, waking.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use librqbit::ManagedTorrent;
use nova_protocol::{Metainfo, announce::AnnounceReply};
use tokio::{sync::Notify, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Fetcher, State,
    account::Account,
    begin::Beginning,
    fallback::Fallback,
    introduce::List,
    nagle::Nagle,
    stall::{Pace, Scene},
    status::{Status, progress, rate, status},
    waker::Waker,
    window::RATE,
};
use crate::announce::Amounts;

/// Between two calls of a waker at first: until it is known what a peer can take, it is offered little.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
/// The same later. In a fleet of eight, 80 and 320 ms gave the same, and calls are a tenth of the processor time at 80.
const PAUSE_MAX: Duration = Duration::from_millis(320);

/// Goes on until it is ended.
pub(super) struct Attendance {
    stop: CancellationToken,
    phase: Arc<Mutex<Phase>>,
    account: Arc<Account>,
    /// None for content of no bytes.
    task: Option<JoinHandle<()>>,
}

/// How far a torrent is on its way to the session.
#[derive(Clone)]
enum Phase {
    /// This host is searched.
    Search,
    /// The session has it.
    Session(Arc<ManagedTorrent>),
    /// It never came there.
    Failed(String),
    /// There is nothing to fetch.
    Empty,
}

impl Attendance {
    /// Begins a torrent and attends to it.
    pub(super) fn start(fetcher: Fetcher, beginning: Beginning, stop: CancellationToken) -> Self {
        let is_empty = beginning.metainfo.info.length == 0;
        let phase = Arc::new(Mutex::new(if is_empty { Phase::Empty } else { Phase::Search }));
        let account = Arc::<Account>::default();
        let attend = attend(fetcher, beginning, phase.clone(), account.clone(), stop.clone());
        let task = (!is_empty).then(|| tokio::spawn(attend));
        Self { stop, phase, account, task }
    }

    /// How the torrent is doing.
    pub(super) fn status(&self) -> Status {
        self.seen_by(status)
    }

    /// The same without its peers, which cost more to look at than all else: as if nobody was live, and nothing had been
    /// exchanged with anybody.
    pub(super) fn progress(&self) -> Status {
        self.seen_by(progress)
    }

    fn seen_by(&self, look: fn(&ManagedTorrent) -> Status) -> Status {
        let phase = lock(&self.phase).clone();
        let now = match phase {
            Phase::Search => Status { checked: self.account.looked(), ..Status::nothing() },
            Phase::Session(torrent) => look(&torrent),
            Phase::Failed(error) => Status { state: State::Failed, error: Some(error), ..Status::nothing() },
            Phase::Empty => Status { state: State::Complete, ..Status::nothing() },
        };
        self.account.complete(now)
    }

    /// Has everything end, and says what the session has by now.
    pub(super) fn stop(&self) -> Option<Arc<ManagedTorrent>> {
        self.stop.cancel();
        match &*lock(&self.phase) {
            Phase::Session(torrent) => Some(torrent.clone()),
            _ => None,
        }
    }

    /// Waits until every tracker was told that this peer leaves, and says what the session has in the end.
    pub(super) async fn end(mut self) -> Option<Arc<ManagedTorrent>> {
        self.stop.cancel();
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::warn!(%error, "a torrent was not attended to its end");
        }
        self.stop()
    }
}

async fn attend(
    fetcher: Fetcher,
    beginning: Beginning,
    phase: Arc<Mutex<Phase>>,
    account: Arc<Account>,
    stop: CancellationToken,
) {
    let (metainfo, window) = (beginning.metainfo.clone(), beginning.window);
    let (torrent, list) = match fetcher.begin(beginning, account.clone(), &stop).await {
        Ok(begun) => begun,
        Err(error) => return *lock(&phase) = Phase::Failed(error.to_string()),
    };
    *lock(&phase) = Phase::Session(torrent.clone());
    // Only then is it known what is left to download.
    let Some(Ok(())) = stop.run_until_cancelled(torrent.wait_until_initialized()).await else { return };
    let last = Mutex::new(Amounts { left: metainfo.info.length, ..Amounts::default() });
    let amounts = || {
        let status = status(&torrent);
        // One that has left the session knows nothing any more of what it did there.
        if matches!(status.state, State::Fetching | State::Complete) && !stop.is_cancelled() {
            let left = metainfo.info.length.saturating_sub(status.have);
            *lock(&last) = Amounts { uploaded: status.uploaded, downloaded: status.downloaded(), left };
        }
        *lock(&last)
    };
    let has_news = Notify::new();
    let found = |reply: &AnnounceReply| {
        let own = reply.external_ip.map(|ip| SocketAddr::new(ip, fetcher.addr.port()));
        list.learn(&reply.peers, own, Instant::now());
    };
    tokio::join!(
        fetcher.announcer.keep((&metainfo.trackers, metainfo.info_hash()), amounts, found, &has_news, &stop),
        stop.run_until_cancelled(watch(&fetcher, (&torrent, &metainfo), &account, (&list, window), &has_news)),
    );
}

/// Wakes a torrent's connections until it is complete or has failed, and gives news of its first piece and its last. When
/// nothing comes in, says what that may wait for, asks the tracker anew, and falls back to web seeds.
async fn watch(
    fetcher: &Fetcher,
    (torrent, metainfo): (&ManagedTorrent, &Arc<Metainfo>),
    account: &Arc<Account>,
    (list, window): (&List, usize),
    has_news: &Notify,
) {
    let start = Instant::now();
    let mut waker = Waker::new(fetcher.addr, metainfo);
    let (mut nagle, mut rest, mut looked) = (Nagle::new(window), fetcher.engine.rests().torrent(window), start);
    let (mut had_piece, mut before, mut pause) = (false, 0, PAUSE_FIRST);
    let (mut pace, mut fallback) = (Pace::new(start), Fallback::new(fetcher.stall_after));
    loop {
        let (status, at) = (status(torrent), Instant::now());
        let has_piece = status.have > 0;
        if has_piece && !had_piece {
            had_piece = true;
            has_news.notify_one();
        }
        let now = status.downloaded();
        let elapsed = at - looked;
        let rate = rate(now.saturating_sub(before), elapsed);
        list.meet(&status.live, rate >= RATE, has_piece, at);
        if let Err(error) = nagle.look(&status.live, rate) {
            tracing::trace!(%error, "connections stay as they are");
        }
        if matches!(status.state, State::Complete | State::Failed) {
            account.wait_for(None);
            list.settle();
            return has_news.notify_one();
        }
        let others = fetcher.moved().saturating_sub(now + status.uploaded);
        rest.look(&status.exchanged, status.peers, others, elapsed);
        let still = pace.still(now, at);
        let (peers, rate, limit) = (status.peers, status.download_rate, fetcher.download_limit(metainfo.info_hash()));
        account.wait_for(Scene { still, peers, rate, limit, disk: account.writing.busy() }.waits_for());
        if fallback.is_due(still) {
            has_news.notify_one();
            fallback.begin(fetcher.clone(), metainfo.clone(), account.clone());
        }
        if let Err(error) = waker.wake().await {
            tracing::trace!(%error, "not woken");
        }
        pause = (pause * 9 / 8).min(PAUSE_MAX);
        (before, looked) = (now, at);
        sleep(pause).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
