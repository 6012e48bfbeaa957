//! From peers to web seeds, when nothing has come from peers for a while.

use std::{sync::Arc, time::Duration};

use nova_protocol::Metainfo;
use tokio::task::JoinHandle;

use super::{Fetcher, account::Account, web_seed::WebSeed};

/// The web seed of a torrent, and when there is to be one. Ends when it is dropped.
pub(super) struct Fallback {
    after: Duration,
    /// For how long nothing will have come when it is due.
    due: Duration,
    task: Option<JoinHandle<()>>,
}

impl Fallback {
    /// Due when nothing has come for so long; not all hosts of a fleet at once.
    pub(super) fn new(after: Duration) -> Self {
        let after = after.mul_f64(rand::random_range(1.0..1.2));
        Self { after, due: after, task: None }
    }

    /// Whether to begin, when nothing has come for `still`.
    pub(super) fn is_due(&mut self, still: Duration) -> bool {
        if still < self.after {
            self.due = self.after;
        }
        let is_at_work = self.task.as_ref().is_some_and(|task| !task.is_finished());
        let is_due = still >= self.due && !is_at_work;
        if is_due {
            self.due = still + self.after;
        }
        is_due
    }

    /// Has the session served by a web seed, if there is any.
    pub(super) fn begin(&mut self, fetcher: Fetcher, metainfo: Arc<Metainfo>, account: Arc<Account>) {
        self.task = Some(tokio::spawn(async move {
            let info_hash = metainfo.info_hash();
            let mut urls = metainfo.web_seeds.clone();
            if let Some(tracker) = &fetcher.tracker {
                match tracker.web_seeds(info_hash).await {
                    Ok(of_origins) => urls.extend(of_origins),
                    Err(error) => tracing::debug!(%info_hash, %error, "no web seeds from the tracker"),
                }
            }
            let Some(web_seed) = WebSeed::new(metainfo, urls, fetcher.http.clone()) else { return };
            tracing::info!(%info_hash, "no peer gives anything: falling back to HTTP");
            if let Err(error) = web_seed.serve(fetcher.addr, |addr| account.meet(addr)).await {
                tracing::warn!(%info_hash, %error, "web seed");
            }
        }));
    }
}

impl Drop for Fallback {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_after_a_while_and_again_after_another() {
        let mut fallback = Fallback::new(Duration::from_secs(10));
        let mut due = |seconds| fallback.is_due(Duration::from_secs(seconds));
        assert_eq!([due(9), due(13), due(14), due(26)], [false, true, false, true]);
        assert_eq!([due(1), due(13)], [false, true], "bytes came in between");
    }
}
