//! Out of the session: for good, for a moment, or with the session itself.

use std::sync::Arc;

use librqbit::{Api, ManagedTorrent, api::TorrentIdOrHash, dht::Id20};
use nova_protocol::{InfoHash, peer_wire::Bitfield};

use super::{Fetcher, attendance::Attendance, notes};

impl Fetcher {
    /// Takes a torrent out of the session, which serves it to nobody from then on, and tells every tracker that this
    /// peer leaves. Its files stay; what is there of it is forgotten.
    pub async fn remove(&self, info_hash: InfoHash) {
        self.leave(info_hash).await;
        notes::forget(&self.state, info_hash);
    }

    /// Forgets what there was of every torrent but these.
    pub fn keep_notes_of(&self, torrents: &[InfoHash]) {
        notes::keep(&self.state, torrents);
    }

    /// The same for a moment: when it is added again, nothing of it is hashed.
    pub(super) async fn set_aside(&self, info_hash: InfoHash) {
        if let Some(have) = self.leave(info_hash).await
            && let Err(error) = notes::write(&self.state, info_hash, &have)
        {
            tracing::warn!(%info_hash, %error, "pieces are not noted, and will be hashed");
        }
    }

    /// Tells every tracker that this peer leaves, and ends the session.
    pub async fn stop(&self) {
        let attendances: Vec<Attendance> = self.added().drain().map(|(_, attendance)| attendance).collect();
        futures_util::future::join_all(attendances.into_iter().map(Attendance::end)).await;
        let session = self.session.clone();
        // An engine that has ended has stopped the session.
        let _ended = self.engine.run(async move { session.stop().await }).await;
        self.shutdown.cancel();
    }

    /// Takes a torrent out, first of the session and then of its swarm, and says which pieces it had at the end.
    async fn leave(&self, info_hash: InfoHash) -> Option<Bitfield> {
        let attendance = self.added().remove(&info_hash)?;
        let torrent = attendance.stop();
        let was_there = torrent.is_some();
        let mut have = self.delete(info_hash, torrent).await;
        // A torrent that was on its way into the session may have come there meanwhile.
        let late = attendance.end().await;
        if !was_there {
            have = self.delete(info_hash, late).await;
        }
        self.introductions.close(info_hash);
        have
    }

    async fn delete(&self, info_hash: InfoHash, torrent: Option<Arc<ManagedTorrent>>) -> Option<Bitfield> {
        let (torrent, session) = (torrent?, self.session.clone());
        let id = TorrentIdOrHash::Hash(Id20::new(*info_hash.as_bytes()));
        let deleted = self.engine.run(async move {
            // From here on it gets no more pieces. One that is not complete yet, or failed, cannot be paused.
            if let Err(error) = session.pause(&torrent).await {
                tracing::debug!(%info_hash, "not paused: {error:#}");
            }
            // One that is still being looked at has nothing to say.
            let have = Api::new(session.clone(), None).api_dump_haves(id).ok();
            if let Err(error) = session.delete(id, false).await {
                tracing::warn!(%info_hash, "cannot remove from the session: {error:#}");
            }
            have.map(|(have, pieces)| (have.as_raw_slice().to_vec(), pieces))
        });
        let (bytes, pieces) = deleted.await.ok()??;
        Bitfield::decode(bytes, pieces).ok()
    }
}
