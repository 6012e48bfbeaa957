//! The client of announce services: says what we have, learns of peers.

use std::time::Duration;

use nova_protocol::{
    InfoHash, PeerId,
    announce::{AnnounceReply, AnnounceRequest, Event, ReplyError},
};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::service::{ServiceError, http, innermost};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A process that ends does not wait long for a tracker that is gone.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);
const RETRY: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(1);
const REPLY_LIMIT: usize = 1 << 20;

/// Announces for one peer: one peer id, one port.
#[derive(Debug, Clone)]
pub struct Announcer {
    http: reqwest::Client,
    peer_id: PeerId,
    port: u16,
}

/// Bytes, as an announce states them (BEP 3).
#[derive(Debug, Clone, Copy, Default)]
pub struct Amounts {
    /// Sent since the first announce.
    pub uploaded: u64,
    /// Received since the first announce.
    pub downloaded: u64,
    /// Still missing.
    pub left: u64,
}

impl Amounts {
    /// What there is to say for one who announced `known` last.
    fn event_after(self, known: Option<Self>) -> Event {
        match known {
            None => Event::Started,
            Some(known) if known.left > 0 && self.left == 0 => Event::Completed,
            Some(_) => Event::None,
        }
    }
}

/// Why an announce was in vain.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// No answer.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that is too long.
    #[error("answer of more than 1 MiB")]
    TooLong,
    /// An answer that says no, or that makes no sense.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// None of the trackers speaks HTTP.
    #[error("no HTTP tracker to announce to")]
    NoTracker,
}

impl Announcer {
    /// An announcer for the peer that listens on `port`.
    ///
    /// # Errors
    /// [`ServiceError::Client`].
    pub fn new(peer_id: PeerId, port: u16) -> Result<Self, ServiceError> {
        Ok(Self { http: http()?, peer_id, port })
    }

    /// Announces once, to the first tracker that answers, in the order of their tiers (BEP 12).
    ///
    /// # Errors
    /// [`AnnounceError`], of the last tracker that was tried.
    pub async fn announce(
        &self,
        trackers: &[Vec<String>],
        info_hash: InfoHash,
        event: Event,
        amounts: Amounts,
    ) -> Result<AnnounceReply, AnnounceError> {
        let query = self.request(info_hash, event, amounts).to_query();
        let mut last = AnnounceError::NoTracker;
        for url in trackers.iter().flatten().filter(|url| url.starts_with("http")) {
            match self.ask(url, &query).await {
                Ok(reply) => return Ok(reply),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Announces until `stop`: that this peer has come, now and then that it is there, that it has got everything, and
    /// that it leaves. Answers are passed to `found`. What `has_news` is told is announced at once.
    pub async fn keep(
        &self,
        torrent: (&[Vec<String>], InfoHash),
        amounts: impl Fn() -> Amounts,
        found: impl Fn(&AnnounceReply),
        has_news: &Notify,
        stop: &CancellationToken,
    ) {
        let (trackers, info_hash) = torrent;
        let mut known = None;
        let mut retry = *RETRY.start();
        while !stop.is_cancelled() {
            let now = amounts();
            let announced = self.announce(trackers, info_hash, now.event_after(known), now);
            let pause = match stop.run_until_cancelled(announced).await {
                Some(Ok(reply)) => {
                    found(&reply);
                    known = Some(now);
                    retry = *RETRY.start();
                    Duration::from_secs(reply.interval.max(1).into())
                }
                Some(Err(AnnounceError::NoTracker)) => return stop.cancelled().await,
                Some(Err(error)) => {
                    tracing::debug!(%info_hash, %error, "announce failed");
                    let pause = retry;
                    retry = (retry * 2).min(*RETRY.end());
                    pause
                }
                None => {
                    // It may be known by now.
                    known.get_or_insert(now);
                    break;
                }
            };
            let _news = stop.run_until_cancelled(timeout(pause, has_news.notified())).await;
        }
        let farewell = async {
            let now = amounts();
            if now.event_after(known) == Event::Completed {
                self.announce(trackers, info_hash, Event::Completed, now).await?;
            }
            self.announce(trackers, info_hash, Event::Stopped, now).await
        };
        if known.is_some() {
            let _answer_is_not_needed = timeout(FAREWELL_WITHIN, farewell).await;
        }
    }

    fn request(&self, info_hash: InfoHash, event: Event, amounts: Amounts) -> AnnounceRequest {
        AnnounceRequest {
            info_hash,
            peer_id: self.peer_id,
            port: self.port,
            uploaded: amounts.uploaded,
            downloaded: amounts.downloaded,
            left: amounts.left,
            event,
            num_want: None,
            compact: true,
            no_peer_id: true,
            key: None,
            ip: None,
            ipv4: None,
            ipv6: None,
        }
    }

    async fn ask(&self, url: &str, query: &str) -> Result<AnnounceReply, AnnounceError> {
        let failed = |error: reqwest::Error| AnnounceError::Unreachable(innermost(&error));
        let separator = if url.contains('?') { '&' } else { '?' };
        let request = self.http.get(format!("{url}{separator}{query}")).timeout(ANSWER_WITHIN);
        let mut response = request.send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > REPLY_LIMIT {
                return Err(AnnounceError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(AnnounceReply::parse(&body)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::{
        io::{AsyncBufReadExt, BufReader},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn one_that_stops_while_it_announces_for_the_first_time_leaves() {
        let tracker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let trackers = [vec![format!("http://{}/announce", tracker.local_addr().unwrap())]];
        let announcer = Announcer::new(PeerId::nova([1; 12]), 1).unwrap();
        let (news, stop) = (Notify::new(), CancellationToken::new());
        let torrent = (&trackers[..], InfoHash::of(b"a torrent"));
        let keep = announcer.keep(torrent, Amounts::default, |_| (), &news, &stop);
        let serve = async {
            for event in ["event=started", "event=stopped"] {
                let (mut connection, _) = tracker.accept().await.unwrap();
                let mut line = String::new();
                BufReader::new(&mut connection).read_line(&mut line).await.unwrap();
                assert!(line.contains(event), "{line}");
                stop.cancel();
            }
        };
        tokio::select! {
            () = keep => panic!("it is gone without a word"),
            () = serve => {}
        }
    }
}
