//! One torrent on an origin: fetched, verified, made durable, served.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use nova_protocol::{
    InfoHash,
    announce::AnnounceReply,
    api::{ReplicaReport, ReplicaState},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Origin, blocking};
use crate::{
    announce::Amounts,
    fetch::FetchError,
    reuse::Holdings,
    service::ServiceError,
    store::{Entry, StoreError},
    verify::{Check, verify},
};

const REPORT_EVERY: Duration = Duration::from_millis(250);
const RETRY: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(1);

/// Why a torrent is not held yet; all of it is tried again.
#[derive(Debug, thiserror::Error)]
enum HoldError {
    #[error(transparent)]
    Tracker(#[from] ServiceError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("not enough space: {needed} bytes needed, {free} free")]
    NoSpace { needed: u64, free: u64 },
    #[error("what was fetched does not verify any more; it is fetched anew")]
    Damaged,
    #[error("the content could not be read; what is missing is fetched again")]
    Unreadable,
    #[error("stopped")]
    Stopped,
}

impl Origin {
    /// Sees to a torrent until it is told to stop.
    pub(super) async fn keep(self: Arc<Self>, info_hash: InfoHash, stop: CancellationToken) {
        let mut pause = *RETRY.start();
        loop {
            let held = match self.obtain(info_hash, &stop).await {
                Ok(entry) => self.offer(entry, &stop).await,
                Err(error) => Err(error),
            };
            let error = match held {
                Ok(()) | Err(HoldError::Stopped) => return,
                Err(error) => error,
            };
            tracing::warn!(%info_hash, %error, "not held");
            let failed = ReplicaReport { state: ReplicaState::Failed, have: 0, reason: Some(error.to_string()) };
            stop.run_until_cancelled(self.report(info_hash, failed)).await;
            if tokio::time::timeout(pause, stop.cancelled()).await.is_ok() {
                return;
            }
            pause = (pause * 2).min(*RETRY.end());
        }
    }

    /// Gets everything of a torrent onto the disk.
    async fn obtain(&self, info_hash: InfoHash, stop: &CancellationToken) -> Result<Entry, HoldError> {
        let entry = self.entry(info_hash).await?;
        if entry.is_complete() {
            return Ok(entry);
        }
        let was_begun = entry.has_content();
        if !was_begun {
            let (needed, free) = (entry.metainfo.info.length, self.free_bytes());
            if needed > free {
                return Err(HoldError::NoSpace { needed, free });
            }
        }
        if let Err(error) = self.fetch(&entry, stop).await {
            if !stop.is_cancelled() {
                self.give_up(info_hash, was_begun).await?;
            }
            return Err(error);
        }
        let until = stop.clone();
        let entry = blocking(move || complete(entry, was_begun, &until)).await?;
        if matches!(entry, Err(HoldError::Damaged)) {
            self.give_up(info_hash, false).await?;
        }
        entry
    }

    /// Makes ready for another try: a torrent that failed stays failed in its session. Content that is not worth keeping
    /// gives its space back.
    async fn give_up(&self, info_hash: InfoHash, keep_content: bool) -> Result<(), HoldError> {
        self.fetcher.remove(info_hash).await;
        if !keep_content {
            self.store.remove(info_hash)?;
            self.store.reserve(info_hash)?;
        }
        Ok(())
    }

    async fn entry(&self, info_hash: InfoHash) -> Result<Entry, HoldError> {
        match self.store.get(info_hash) {
            Ok(Some(entry)) => return Ok(entry),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "asking the tracker for it again"),
        }
        let metainfo = self.tracker.metainfo(info_hash).await?;
        Ok(self.store.insert(Arc::new(metainfo))?)
    }

    async fn fetch(&self, entry: &Entry, stop: &CancellationToken) -> Result<(), HoldError> {
        let info_hash = entry.metainfo.info_hash();
        self.fetcher.add(&entry.metainfo, &entry.output_folder(), &[], Holdings::of(&self.store)).await?;
        let mut completed = std::pin::pin!(self.fetcher.complete(info_hash));
        let mut reported = None;
        loop {
            tokio::select! {
                completed = &mut completed => return Ok(completed?),
                () = stop.cancelled() => return Err(HoldError::Stopped),
                () = tokio::time::sleep(REPORT_EVERY) => {}
            }
            let have = self.fetcher.status(info_hash).map(|status| status.have);
            if have != reported {
                let have = have.unwrap_or(0);
                let report = ReplicaReport { state: ReplicaState::Fetching, have, reason: None };
                stop.run_until_cancelled(self.report(info_hash, report)).await;
                reported = Some(have);
            }
        }
    }

    /// Serves what is complete, until it is told to stop or cannot read it any more.
    async fn offer(&self, entry: Entry, stop: &CancellationToken) -> Result<(), HoldError> {
        let metainfo = entry.metainfo.clone();
        let info_hash = metainfo.info_hash();
        self.uploader.add(&metainfo, entry.content());
        // Peers of the session come back to the upload engine, which is the only one to serve it from now on.
        self.fetcher.remove(info_hash).await;
        let report = ReplicaReport { state: ReplicaState::Complete, have: metainfo.info.length, reason: None };
        while stop.run_until_cancelled(self.report(info_hash, report.clone())).await == Some(false) {
            if tokio::time::timeout(*RETRY.start(), stop.cancelled()).await.is_ok() {
                break;
            }
        }
        let uploaded = || self.uploader.status(info_hash).map_or(0, |status| status.uploaded);
        let amounts = || Amounts { uploaded: uploaded(), ..Amounts::default() };
        let fault = self.uploader.fault(info_hash).unwrap_or_default();
        let torrent = (&metainfo.trackers[..], info_hash);
        let greet = |reply: &AnnounceReply| reply.peers.iter().for_each(|&addr| self.greet(info_hash, addr));
        let no_news = Notify::new();
        let is_readable = tokio::select! {
            () = self.announcer.keep(torrent, amounts, greet, &no_news, stop) => true,
            () = fault.cancelled() => false,
        };
        self.uploader.remove(info_hash);
        if is_readable {
            return Ok(());
        }
        entry.unmark()?;
        Err(HoldError::Unreadable)
    }

    /// Dials a leecher that the tracker tells of: one that cannot dial, or that was connected before a restart.
    pub(super) fn greet(&self, info_hash: InfoHash, addr: SocketAddr) {
        let uploader = self.uploader.clone();
        tokio::spawn(async move {
            let ended = uploader.dial(info_hash, addr).await;
            tracing::debug!(%addr, ?ended, "leecher left");
        });
    }

    /// Tells the tracker how far a torrent is. Whether it need not be told again.
    async fn report(&self, info_hash: InfoHash, report: ReplicaReport) -> bool {
        match self.tracker.report_replica(&self.id, info_hash, &report).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%info_hash, %error, "report failed");
                !error.is_temporary()
            }
        }
    }
}

/// Marks content as complete. What was begun before a restart is hashed first: a session's notes can say more than the
/// disk kept.
fn complete(entry: Entry, was_begun: bool, stop: &CancellationToken) -> Result<Entry, HoldError> {
    if was_begun {
        let report = verify(&entry.metainfo.info, &entry.content_path(), Check::Bytes, |_, _| {}, stop);
        if !report.map_err(|_| HoldError::Stopped)?.ok() {
            return Err(HoldError::Damaged);
        }
    }
    entry.mark_complete()?;
    Ok(entry)
}
