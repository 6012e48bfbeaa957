use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nova_protocol::{
    InfoHash,
    api::{Assignments, OriginLease, OriginStatus, ReplicaReport, ReplicaState},
};

use super::Tracker;
use crate::{events::Event, index::IndexError, leases::Renewal, swarm::Store};

impl Tracker {
    /// Starts or renews the lease of an origin.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn renew(&self, id: &str, lease: OriginLease, now: Instant) -> Result<(), IndexError> {
        let renewal = {
            let mut leases = self.leases();
            let renewal = leases.renew(id, lease.clone(), now);
            if renewal != Renewal::Same {
                self.swarms.place(id, Some(lease.peer_addr));
            }
            renewal
        };
        if renewal != Renewal::Same {
            self.index.put_origin(id.to_owned(), lease, unix_time(Duration::ZERO)).await?;
        }
        if renewal == Renewal::Joined {
            self.tell(Event::OriginLive { id: id.to_owned() });
            self.want_repair();
        }
        Ok(())
    }

    /// Every origin that has ever had a lease, sorted by id.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn origins(&self, now: Instant) -> Result<Vec<OriginStatus>, IndexError> {
        let rows = self.index.origins().await?;
        let leases = self.leases();
        let origins = rows.into_iter().map(|row| {
            let renewed = leases.renewed(&row.id);
            OriginStatus {
                live: renewed.is_some(),
                lease: leases.get(&row.id).cloned().unwrap_or(row.lease),
                renewed_at: renewed.map_or(row.renewed_at, |at| unix_time(now.saturating_duration_since(at))),
                complete: row.complete,
                assigned: row.assigned,
                id: row.id,
            }
        });
        Ok(origins.collect())
    }

    /// Where an origin serves content over HTTP.
    pub fn http_addr(&self, id: &str) -> Option<SocketAddr> {
        self.leases().get(id).map(|lease| lease.http_addr)
    }

    /// What an origin shall hold or let go since the cursor, and whom it shall dial; when that is nothing, waits for news
    /// for up to `patience`.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn assignments(&self, id: &str, after: u64, patience: Duration) -> Result<Assignments, IndexError> {
        let (mut news, mut calls) = (self.assigned.subscribe(), self.swarms.calls().news());
        let give_up = tokio::time::sleep(patience);
        tokio::pin!(give_up);
        let mut found = self.index.assignments(id.to_owned(), after).await?;
        loop {
            found.leechers = self.swarms.calls().take(id);
            if !found.assignments.is_empty() || !found.leechers.is_empty() {
                return Ok(found);
            }
            tokio::select! {
                changed = news.changed() => {
                    changed.map_err(|_| IndexError::Closed)?;
                    found = self.index.assignments(id.to_owned(), after).await?;
                }
                changed = calls.changed() => changed.map_err(|_| IndexError::Closed)?,
                () = &mut give_up => return Ok(found),
            }
        }
    }

    /// Takes an origin's word on how far it is with a torrent. When it has failed, another origin is found.
    ///
    /// # Errors
    /// [`IndexError::NotAssigned`].
    pub async fn report(&self, origin: &str, info_hash: InfoHash, report: ReplicaReport) -> Result<(), IndexError> {
        let ReplicaReport { state, have, .. } = report;
        self.index.report(origin.to_owned(), info_hash, report).await?;
        {
            let leases = self.leases();
            match state {
                ReplicaState::Complete => self.swarms.hold(info_hash, origin, leases.peer_addr(origin)),
                _ => self.swarms.release(info_hash, origin),
            }
        }
        self.tell(Event::ReplicaReported { origin: origin.to_owned(), info_hash, state, have });
        if state == ReplicaState::Failed {
            self.want_repair();
        }
        Ok(())
    }

    /// Ends the leases that have run out.
    pub(super) async fn expire_leases(&self, now: Instant) -> Result<(), IndexError> {
        let gone = {
            let mut leases = self.leases();
            let gone = leases.expire(now);
            for (id, _) in &gone {
                self.swarms.place(id, None);
            }
            gone
        };
        for (id, lease) in gone {
            tracing::warn!(origin = id, "an origin has let its lease run out");
            self.want_repair();
            self.tell(Event::OriginGone { id: id.clone() });
            let length = Duration::from_secs(self.settings().lease_seconds);
            self.index.put_origin(id, lease, unix_time(length)).await?;
        }
        Ok(())
    }
}

/// Unix seconds at a time that is `ago` past.
pub(super) fn unix_time(ago: Duration) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(ago).as_secs()
}
