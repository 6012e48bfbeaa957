use std::time::Instant;

use nova_protocol::{
    Reference,
    api::{MoveTag, Rollback, TagVersion},
};

use super::Tracker;
use crate::{
    events::Event,
    index::{IndexError, Move, Moved},
};

impl Tracker {
    /// Points a tag to a torrent. When it points there already, nothing changes.
    ///
    /// # Errors
    /// [`IndexError::UnknownTorrent`], [`IndexError::VersionMismatch`], [`IndexError::Immutable`],
    /// [`IndexError::NotReplicated`], [`IndexError::Starting`].
    pub async fn move_tag(&self, reference: Reference, wish: MoveTag, now: Instant) -> Result<TagVersion, IndexError> {
        let MoveTag { info_hash, expected_version, pusher } = wish;
        let live = self.leases().candidates().into_iter().map(|origin| origin.id).collect();
        let immutable = self.settings().immutable.is_match(reference.to_string());
        let min_replicas = self.settings().min_replicas;
        let wish = Move { reference, info_hash, expected_version, pusher, immutable, min_replicas, live };
        match self.index.move_tag(wish).await.map_err(|error| self.unless_starting(error, now))? {
            Moved::New(version) => {
                self.tell(Event::TagMoved(version.clone()));
                Ok(version)
            }
            Moved::Already(version) => Ok(version),
        }
    }

    /// Points a tag to what one of its older versions points to, as a new version.
    ///
    /// # Errors
    /// [`IndexError::UnknownTag`], [`IndexError::UnknownVersion`], [`IndexError::NothingBefore`], and those of
    /// [`Tracker::move_tag`].
    pub async fn rollback(&self, reference: Reference, wish: Rollback, now: Instant) -> Result<TagVersion, IndexError> {
        let (current, old) = self.index.rollback_target(reference.clone(), wish.version).await?;
        let expected_version = Some(current.version);
        self.move_tag(reference, MoveTag { info_hash: old.info_hash, expected_version, pusher: wish.pusher }, now).await
    }

    /// Forgets a tag and its history; what it pointed to stays.
    ///
    /// # Errors
    /// [`IndexError::UnknownTag`].
    pub async fn remove_tag(&self, reference: Reference) -> Result<(), IndexError> {
        self.index.remove_tag(reference.clone()).await?;
        self.tell(Event::TagRemoved { reference });
        Ok(())
    }

    /// Right after a restart no origin is live, which says nothing of how many replicas there are.
    fn unless_starting(&self, error: IndexError, now: Instant) -> IndexError {
        let left = self.settles_at.saturating_duration_since(now);
        match error {
            IndexError::NotReplicated { .. } if !left.is_zero() => {
                IndexError::Starting { seconds: left.as_secs() + u64::from(left.subsec_nanos() > 0) }
            }
            error => error,
        }
    }
}
