//! Serving what is pushed, until enough origins hold it.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use nova_protocol::{
    InfoHash, Metainfo,
    api::{ReplicaState, TorrentStatus},
};
use tokio::{net::TcpListener, sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, POLL, Progress, PushError};
use crate::{
    announce::{Amounts, Announcer},
    content::Content,
    create::Created,
    peer_id,
    tracker::TrackerClient,
    upload::{Limits, PeerError, Uploader},
};

const DIAL_AGAIN: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(2);

/// The pusher's own upload engine, at work.
pub(super) struct Upload {
    uploader: Uploader,
    metainfo: Arc<Metainfo>,
    stop: CancellationToken,
    announcing: tokio::task::JoinHandle<()>,
}

impl Upload {
    pub(super) async fn start(
        tracker: &TrackerClient,
        created: &Created,
        listen: SocketAddr,
        limits: Limits,
    ) -> Result<Self, PushError> {
        let metainfo = Arc::new(tracker.metainfo(created.metainfo.info_hash()).await?);
        let failed = |error| PushError::Listen(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let stop = CancellationToken::new();
        let uploader = Uploader::start(listener, peer_id(), limits, stop.clone()).map_err(failed)?;
        uploader.add(&metainfo, Content::new(metainfo.info.clone(), &created.root));
        let announcer = Announcer::new(uploader.peer_id(), uploader.addr().port())?;
        let announcing = tokio::spawn(announce(announcer, uploader.clone(), metainfo.clone(), stop.clone()));
        Ok(Self { uploader, metainfo, stop, announcing })
    }

    /// Waits until enough origins hold the content; what they hold then, and the bytes that have left.
    pub(super) async fn until_replicated(
        &self,
        tracker: &TrackerClient,
        first: TorrentStatus,
        observe: &impl Fn(Progress),
        stop: &CancellationToken,
    ) -> Result<(TorrentStatus, u64), PushError> {
        let mut status = first;
        let mut dialling = Dialling::default();
        let mut hopeless_since = None;
        // What origins have, and what had left when that last grew.
        let mut grown = (0, 0);
        loop {
            let sent = self.uploader.totals().uploaded;
            observe(Progress::Uploading { sent, status: status.clone() });
            if status.is_replicated() {
                return Ok((status, sent));
            }
            if is_hopeless(&status, &mut hopeless_since) {
                return Err(self.why_hopeless(tracker, &status).await);
            }
            let have = status.replicas.iter().map(|replica| replica.have).sum();
            if have > grown.0 {
                grown = (have, sent);
            }
            self.refuse_damaged(sent - grown.1)?;
            dialling.keep_up(&self.uploader, &status);
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                error = dialling.content_fault() => return Err(PushError::Changed(error)),
                () = stop.cancelled() => return Err(PushError::Cancelled),
            }
            status = match tracker.torrent(self.metainfo.info_hash()).await {
                // A tracker that restarts is waited for.
                Err(error) if error.is_temporary() => continue,
                answer => answer?,
            };
        }
    }

    /// What to say when no origin will ever hold the content.
    async fn why_hopeless(&self, tracker: &TrackerClient, status: &TorrentStatus) -> PushError {
        let failed = status.replicas.iter().filter(|replica| replica.live);
        let reasons = failed.filter_map(|replica| Some(format!("{}: {}", replica.origin, replica.reason.as_ref()?)));
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        if !reasons.is_empty() {
            return PushError::OriginsFailed(reasons);
        }
        let origins = tracker.origins().await.map(|answer| answer.origins).unwrap_or_default();
        let live = origins.iter().filter(|origin| origin.live);
        let offers = live.map(|origin| format!("{} has {}", origin.id, origin.lease.free_bytes)).collect::<Vec<_>>();
        if offers.is_empty() {
            return PushError::NoOrigin;
        }
        PushError::NoRoom { needed: self.metainfo.info.length, offers: offers.join(", ") }
    }

    /// Content that changed without changing its size never verifies, and origins would fetch it forever.
    fn refuse_damaged(&self, sent: u64) -> Result<(), PushError> {
        let length = self.metainfo.info.length;
        if sent > length.saturating_mul(2) + (256 << 20) { Err(PushError::NotVerified(sent, length)) } else { Ok(()) }
    }

    pub(super) async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.announcing.await {
            tracing::debug!(%error, "announcing ended");
        }
    }
}

/// Tells the tracker of this seeder, for as long as it is one.
async fn announce(announcer: Announcer, uploader: Uploader, metainfo: Arc<Metainfo>, stop: CancellationToken) {
    let amounts = || Amounts { uploaded: uploader.totals().uploaded, ..Amounts::default() };
    let torrent = (&metainfo.trackers[..], metainfo.info_hash());
    announcer.keep(torrent, amounts, |_| {}, &Notify::new(), &stop).await;
}

/// Whether, for a while now, no origin that is live has not failed.
fn is_hopeless(status: &TorrentStatus, since: &mut Option<Instant>) -> bool {
    if status.replicas.iter().any(|replica| replica.live && replica.state != ReplicaState::Failed) {
        *since = None;
        return false;
    }
    since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE
}

/// Connections that the pusher dials, so that one behind NAT can push.
#[derive(Default)]
struct Dialling {
    dialled: std::collections::HashSet<SocketAddr>,
    tasks: JoinSet<io::Error>,
}

impl Dialling {
    /// Dials every origin that shall hold the content, once; each is then dialled again whenever it is lost.
    fn keep_up(&mut self, uploader: &Uploader, status: &TorrentStatus) {
        for replica in status.replicas.iter().filter(|replica| replica.live) {
            if self.dialled.insert(replica.fetch_addr) {
                self.tasks.spawn(keep_dialling(uploader.clone(), status.info_hash, replica.fetch_addr));
            }
        }
    }

    /// Waits until content cannot be read, which may be never.
    async fn content_fault(&mut self) -> io::Error {
        match self.tasks.join_next().await {
            Some(Ok(error)) => error,
            _ => std::future::pending().await,
        }
    }
}

/// Ends only when content cannot be read.
async fn keep_dialling(uploader: Uploader, info_hash: InfoHash, addr: SocketAddr) -> io::Error {
    let mut pause = *DIAL_AGAIN.start();
    loop {
        let dialled = Instant::now();
        match uploader.dial(info_hash, addr).await {
            Err(PeerError::Content(error)) => return error,
            ended => tracing::debug!(%addr, ?ended, "origin left"),
        }
        // An origin that is not ready yet drops the connection at once.
        pause = if dialled.elapsed() > *DIAL_AGAIN.end() {
            *DIAL_AGAIN.start()
        } else {
            (pause * 2).min(*DIAL_AGAIN.end())
        };
        tokio::time::sleep(pause).await;
    }
}
