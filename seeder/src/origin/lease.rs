//! What an origin says to the tracker of itself, and what the tracker says it shall hold.

use std::{net::SocketAddr, sync::Arc, sync::atomic::Ordering, time::Duration};

use nova_protocol::api::{Assignment, OriginLease};

use super::Origin;
use crate::{data_dir::DataDir, store::StoreError};

const RETRY: Duration = Duration::from_secs(1);
const CURSOR: &str = "cursor";

impl Origin {
    /// Renews the lease until the origin ends.
    pub(super) async fn keep_lease(&self, http_addr: SocketAddr) {
        while !self.shutdown.is_cancelled() {
            let lease = OriginLease {
                peer_addr: self.uploader.addr(),
                fetch_addr: self.fetcher.addr(),
                http_addr,
                free_bytes: self.free_bytes(),
            };
            let renewed = self.shutdown.run_until_cancelled(self.tracker.renew_lease(&self.id, &lease)).await;
            let Some(renewed) = renewed else { return };
            let pause = match renewed {
                Ok(granted) => {
                    self.is_leased.store(true, Ordering::Relaxed);
                    Duration::from_secs(granted.lease_seconds.max(1)) / 3
                }
                Err(error) => {
                    if self.is_leased.swap(false, Ordering::Relaxed) {
                        tracing::warn!(%error, "no lease");
                    }
                    RETRY
                }
            };
            let _elapsed_or_stopped = tokio::time::timeout(pause, self.shutdown.cancelled()).await;
        }
    }

    /// Holds and releases what the tracker says, and dials whom it says, until the origin ends.
    ///
    /// The cursor is kept once each torrent has its place in the store: what was released while the origin was down is
    /// released when it is back, and a tracker that has lost its index releases nothing.
    pub(super) async fn follow_assignments(self: &Arc<Self>, data: &DataDir) {
        let mut cursor = data.noted(CURSOR).unwrap_or(0);
        loop {
            let news = tokio::select! {
                news = self.tracker.assignments(&self.id, cursor) => news,
                () = self.shutdown.cancelled() => return,
            };
            let news = match news {
                Ok(news) if news.cursor < cursor => {
                    tracing::warn!("the tracker knows less than before: starting over");
                    cursor = 0;
                    continue;
                }
                Ok(news) => news,
                Err(error) => {
                    tracing::debug!(%error, "no assignments");
                    let _elapsed_or_stopped = tokio::time::timeout(RETRY, self.shutdown.cancelled()).await;
                    continue;
                }
            };
            for leecher in news.leechers {
                self.greet(leecher.info_hash, leecher.addr);
            }
            if let Err(error) = self.apply(news.assignments).await {
                tracing::error!(%error, "assignments are tried again");
                let _elapsed_or_stopped = tokio::time::timeout(RETRY, self.shutdown.cancelled()).await;
            } else if news.cursor != cursor {
                cursor = news.cursor;
                if let Err(error) = data.note(CURSOR, cursor) {
                    tracing::warn!(%error, "cannot keep the cursor");
                }
            }
        }
    }

    async fn apply(self: &Arc<Self>, assignments: Vec<Assignment>) -> Result<(), StoreError> {
        for Assignment { info_hash, hold } in assignments {
            if hold {
                self.store.reserve(info_hash)?;
                self.hold(info_hash).await;
            } else {
                self.release(info_hash).await?;
            }
        }
        Ok(())
    }
}
