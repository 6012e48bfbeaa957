use std::time::Instant;

use nova_protocol::{
    InfoHash, Metainfo,
    api::{Replica, TorrentStatus},
};

use super::Tracker;
use crate::{
    events::Event,
    index::{IndexError, TorrentRow},
    swarm::Store,
};

impl Tracker {
    /// Stores a torrent, allows announces for it, and gives it to origins. Doing it again gives it to those that have
    /// space by now, if it is on too few.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn add_torrent(&self, metainfo: Metainfo, now: Instant) -> Result<TorrentStatus, IndexError> {
        let info_hash = metainfo.info_hash();
        let name = metainfo.info.name.clone();
        let is_new = self.index.put_torrent(metainfo).await?;
        self.swarms.list(info_hash);
        // Before that, an origin that holds it already may only seem to be gone.
        if is_new || now >= self.settles_at {
            self.top_up(Some(info_hash)).await?;
        }
        if is_new {
            self.tell(Event::TorrentAdded { info_hash, name });
        }
        self.torrent(info_hash).await
    }

    /// A torrent, where it is, and what points to it.
    ///
    /// # Errors
    /// [`IndexError::UnknownTorrent`].
    pub async fn torrent(&self, info_hash: InfoHash) -> Result<TorrentStatus, IndexError> {
        let TorrentRow { name, length, files, piece_length, private, replicas, tags, .. } =
            self.index.torrent(info_hash).await?;
        let leases = self.leases();
        let replicas = replicas.into_iter().filter_map(|row| {
            let lease = leases.get(&row.origin)?;
            Some(Replica {
                live: leases.renewed(&row.origin).is_some(),
                state: row.state,
                have: row.have,
                reason: row.reason,
                peer_addr: lease.peer_addr,
                fetch_addr: lease.fetch_addr,
                origin: row.origin,
            })
        });
        let replicas: Vec<Replica> = replicas.collect();
        drop(leases);
        let counts = self.swarms.counts(info_hash).unwrap_or_default();
        let mut status = TorrentStatus {
            info_hash,
            name,
            length,
            files,
            piece_length,
            private,
            min_replicas: self.settings().min_replicas,
            replicas,
            keeper: None,
            seeders: counts.complete.into(),
            leechers: counts.incomplete.into(),
            tags,
        };
        if status.complete_replicas() == 0 {
            status.keeper = self.agents().keeper(info_hash);
        }
        Ok(status)
    }

    /// Forgets a torrent: announces are refused, and origins are told to let go.
    ///
    /// # Errors
    /// [`IndexError::UnknownTorrent`], [`IndexError::Tagged`].
    pub async fn remove_torrent(&self, info_hash: InfoHash) -> Result<(), IndexError> {
        let held = self.index.remove_torrent(info_hash).await?;
        self.swarms.delist(info_hash);
        if !held.is_empty() {
            self.assigned.send_replace(());
        }
        self.tell(Event::TorrentRemoved { info_hash });
        Ok(())
    }
}
