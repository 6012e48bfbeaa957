//! What goes on beside the session for a torrent that was added: announces, introductions, waking.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use librqbit::ManagedTorrent;
use nova_protocol::Metainfo;
use tokio::{sync::Notify, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Fetcher, State,
    introduce::List,
    status::{Status, status},
    waker::Waker,
};
use crate::announce::Amounts;

/// Between two calls of a waker while bytes come in. In a fleet of eight, 30 and 80 ms gave the same.
const PAUSE: Duration = Duration::from_millis(80);
/// The same, after some calls in a row that nothing came of.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long leechers wait to be introduced when seeders give no piece.
const SEEDERS_FIRST: Duration = Duration::from_secs(1);

/// Goes on until it is ended.
pub(super) struct Attendance {
    stop: CancellationToken,
    /// None for content of no bytes.
    task: Option<JoinHandle<()>>,
}

impl Attendance {
    /// Attends to a torrent of the session; there is none for content of no bytes.
    pub(super) fn start(
        fetcher: Fetcher,
        torrent: Option<Arc<ManagedTorrent>>,
        metainfo: Arc<Metainfo>,
        list: Arc<List>,
        stop: CancellationToken,
    ) -> Self {
        let task = torrent.map(|torrent| tokio::spawn(attend(fetcher, torrent, metainfo, list, stop.clone())));
        Self { stop, task }
    }

    /// Tells every tracker that this peer leaves.
    pub(super) async fn end(self) {
        self.stop.cancel();
        let Some(task) = self.task else { return };
        if let Err(error) = task.await {
            tracing::warn!(%error, "a torrent was not attended to its end");
        }
    }
}

async fn attend(
    fetcher: Fetcher,
    torrent: Arc<ManagedTorrent>,
    metainfo: Arc<Metainfo>,
    list: Arc<List>,
    stop: CancellationToken,
) {
    // Only then is it known what is left to download.
    let Some(Ok(())) = stop.run_until_cancelled(torrent.wait_until_initialized()).await else { return };
    let amounts = || {
        let status = status(&torrent);
        let left = metainfo.info.length.saturating_sub(status.have);
        Amounts { uploaded: status.uploaded, downloaded: downloaded(&status), left }
    };
    let has_news = Notify::new();
    let found = |peer| list.add(peer);
    let waker = Waker::new(fetcher.addr, &metainfo);
    tokio::join!(
        fetcher.announcer.keep((&metainfo.trackers, metainfo.info_hash()), amounts, found, &has_news, &stop),
        stop.run_until_cancelled(watch(&torrent, waker, &list, &has_news)),
    );
}

/// Wakes a torrent's connections until it is complete or has failed, and gives news of its first piece and its last.
async fn watch(torrent: &ManagedTorrent, mut waker: Waker, list: &List, has_news: &Notify) {
    let start = Instant::now();
    let (mut had_piece, mut before, mut pause) = (false, 0, PAUSE);
    loop {
        let status = status(torrent);
        let has_piece = status.have > 0;
        if has_piece && !had_piece {
            had_piece = true;
            has_news.notify_one();
        }
        if has_piece || start.elapsed() >= SEEDERS_FIRST {
            list.release();
        }
        if matches!(status.state, State::Complete | State::Failed) {
            list.settle();
            return has_news.notify_one();
        }
        if let Err(error) = waker.wake().await {
            tracing::trace!(%error, "not woken");
        }
        let now = downloaded(&status);
        pause = if now == before { (pause * 2).min(PAUSE_MAX) } else { PAUSE };
        before = now;
        sleep(pause).await;
    }
}

fn downloaded(status: &Status) -> u64 {
    status.sources.iter().map(|(_, bytes)| bytes).sum()
}
