//! What an agent does for those who pull.

use std::{fmt::Display, net::SocketAddr, sync::Arc, time::UNIX_EPOCH};

use nova_protocol::{
    InfoHash, Metainfo,
    api::{LastUse, Pull},
};

use super::{
    Agent, Torrent,
    cache::{NoRoom, stored_bytes},
    uses::Use,
};
use crate::{
    fetch::FetchError,
    reuse::Holdings,
    source::{ResolveError, Resolved, Source, origins},
    store::StoreError,
};

/// Why a pull did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl Agent {
    /// Goes on with everything that is in the store.
    pub(super) async fn resume(self: &Arc<Self>) {
        let listed = self.store.list().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot list the store");
            Vec::new()
        });
        self.fetcher.keep_notes_of(&listed);
        self.cache.uses.keep(&listed);
        for info_hash in listed {
            let resumed = match self.store.get(info_hash) {
                // What a removal has left that was cut short, or nobody can read any more.
                Ok(None) | Err(StoreError::Metainfo { .. }) => {
                    tracing::warn!(%info_hash, "content without metainfo is removed");
                    self.store.remove(info_hash).map_err(StartError::from)
                }
                Ok(Some(entry)) => self.fetch(&entry.metainfo, Vec::new(), Holdings::of(&self.store)).await.map(drop),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = resumed {
                tracing::error!(%info_hash, %error, "not resumed");
            }
        }
    }

    /// Starts to pull what a user named, or joins the pull that there is.
    pub(super) async fn start(self: &Arc<Self>, source: &Source, holdings: Holdings) -> Result<Pull, StartError> {
        let Resolved { metainfo, origins, tag } = source.resolve(&self.tracker, &self.fetcher).await?;
        self.cache.uses.note(metainfo.info_hash(), tag.as_ref().map(|tag| &tag.reference));
        self.fetch(&metainfo, origins, holdings).await
    }

    /// Starts to pull what a `.torrent` describes; the tracker's own is better, if it has one.
    pub(super) async fn start_metainfo(
        self: &Arc<Self>,
        metainfo: Metainfo,
        holdings: Holdings,
    ) -> Result<Pull, StartError> {
        let info_hash = metainfo.info_hash();
        let metainfo = self.tracker.metainfo(info_hash).await.unwrap_or(metainfo);
        self.cache.uses.note(info_hash, None);
        self.fetch(&Arc::new(metainfo), origins(&self.tracker, info_hash).await, holdings).await
    }

    /// How a pull is doing.
    pub(super) fn pull(&self, info_hash: InfoHash) -> Option<Pull> {
        let Torrent { entry, origins } = self.torrents().get(&info_hash).cloned()?;
        let status = self.fetcher.status(info_hash)?;
        let pull = status.describe(&entry.metainfo, &origins, entry.content_path());
        let Use { at, references } = self.cache.uses.last(info_hash);
        let at = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let pinned = self.cache.is_pinned(info_hash);
        Some(Pull { last_use: Some(LastUse { at, references, pinned }), ..pull })
    }

    /// Everything that the agent has or is fetching, by name.
    pub(super) fn pulls(&self) -> Vec<Pull> {
        let listed: Vec<InfoHash> = self.torrents().keys().copied().collect();
        let mut pulls: Vec<Pull> = listed.into_iter().filter_map(|info_hash| self.pull(info_hash)).collect();
        pulls.sort_by(|one, other| (&one.name, one.info_hash).cmp(&(&other.name, other.info_hash)));
        pulls
    }

    /// The metainfo of a pull.
    pub(super) fn metainfo(&self, info_hash: InfoHash) -> Option<Arc<Metainfo>> {
        self.torrents().get(&info_hash).map(|torrent| torrent.entry.metainfo.clone())
    }

    /// Stops a pull and removes its content. Whether there was one.
    pub(super) async fn remove(&self, info_hash: InfoHash) -> Result<bool, StoreError> {
        let _changing = self.changing.lock().await;
        self.drop_torrent(info_hash).await
    }

    /// The same for one who holds `changing`.
    pub(super) async fn drop_torrent(&self, info_hash: InfoHash) -> Result<bool, StoreError> {
        let was_there = self.torrents().remove(&info_hash).is_some();
        self.refusals.forget(info_hash);
        self.fetcher.remove(info_hash).await;
        self.fetcher.forget_limits(info_hash);
        self.cache.uses.forget(info_hash);
        self.store.remove(info_hash)?;
        Ok(was_there)
    }

    async fn fetch(
        self: &Arc<Self>,
        metainfo: &Arc<Metainfo>,
        origins: Vec<SocketAddr>,
        holdings: Holdings,
    ) -> Result<Pull, StartError> {
        let _changing = self.changing.lock().await;
        let info_hash = metainfo.info_hash();
        if let Some(pull) = self.pull(info_hash)
            && pull.reason.is_none()
        {
            return Ok(pull);
        }
        let added = self.add(metainfo, origins, holdings).await;
        self.refusals.note(metainfo, added.as_ref().err().map(|error| error as &dyn Display));
        added?;
        self.pull(info_hash).ok_or_else(|| FetchError::Removed.into())
    }

    async fn add(
        self: &Arc<Self>,
        metainfo: &Arc<Metainfo>,
        origins: Vec<SocketAddr>,
        holdings: Holdings,
    ) -> Result<(), StartError> {
        let info_hash = metainfo.info_hash();
        if self.store.get(info_hash)?.is_none() {
            self.make_room(stored_bytes(&metainfo.info)).await?;
        }
        let entry = self.store.insert(metainfo.clone())?;
        let was_begun = entry.has_content();
        // A pull that failed stays failed in its session; its files are looked at anew.
        if self.torrents().contains_key(&info_hash) {
            self.fetcher.remove(info_hash).await;
        }
        let added = self.fetcher.add(metainfo, &entry.output_folder(), &origins, holdings).await;
        if added.is_err() && !was_begun {
            self.store.remove(info_hash)?;
        }
        added?;
        if self.torrents().insert(info_hash, Torrent { entry, origins }).is_none() {
            self.tell_when_complete(info_hash);
        }
        Ok(())
    }

    /// Marks a torrent whose pieces all verified since the agent started: while nobody writes to its files, a delivery
    /// need not hash them again. One that was resumed may have been marked before.
    async fn mark(&self, info_hash: InfoHash) {
        tracing::info!(%info_hash, "complete");
        let entry = self.torrents().get(&info_hash).map(|torrent| torrent.entry.clone());
        let is_resumed = self.fetcher.status(info_hash).is_none_or(|status| status.resumed);
        if let Some(entry) = entry.filter(|_| !is_resumed)
            && let Ok(Err(error)) = tokio::task::spawn_blocking(move || entry.mark_complete()).await
        {
            tracing::warn!(%info_hash, %error, "not marked");
        }
    }

    /// Has `completed` announced once a torrent is.
    fn tell_when_complete(self: &Arc<Self>, info_hash: InfoHash) {
        let agent = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                completed = agent.fetcher.complete(info_hash) => match completed {
                    Ok(()) => agent.mark(info_hash).await,
                    Err(error) => tracing::warn!(%info_hash, %error, "pull failed"),
                },
                () = agent.shutdown.cancelled() => {}
            }
        });
    }
}
