//! Hearing of a tag that moves: the tracker's events, and asking again where they do not come through.

use std::time::Duration;

use nova_protocol::Reference;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};

use super::pace::{backoff, jittered, spread};
use crate::tracker::{Events, TrackerClient};

/// Between two questions, while events do not come through.
const POLL: Duration = Duration::from_secs(30);
/// Between two questions, while they do: a tracker leaves out events when a client is slow.
const RARE_POLL: Duration = Duration::from_mins(5);
/// The tracker sends a comment every 15 s; without one for so long, nobody is there.
const SILENCE: Duration = Duration::from_secs(50);
/// Over how long a fleet spreads its questions after one event.
const SPREAD: Duration = Duration::from_secs(1);
/// A stream that lasted for so long was a good one.
const LASTED: Duration = Duration::from_mins(1);
/// The longest line that is read: an event is far shorter.
const LINE: usize = 64 << 10;

/// When to ask for a tag again.
pub(super) struct News {
    tracker: TrackerClient,
    reference: Reference,
    stream: Option<Stream>,
    /// Of streams, in a row.
    failures: u32,
}

struct Stream {
    events: Events,
    since: Instant,
    lines: Lines,
}

/// Lines of server-sent events, as far as they have come.
#[derive(Default)]
struct Lines(Vec<u8>);

/// What matters of an event.
#[derive(Deserialize)]
struct Told {
    kind: String,
    reference: Option<Reference>,
}

impl News {
    pub fn new(tracker: TrackerClient, reference: Reference) -> Self {
        Self { tracker, reference, stream: None, failures: 0 }
    }

    /// Tries to have events; to be called before the tag is asked for, so that no move falls in between.
    pub async fn connect(&mut self) {
        match self.tracker.events().await {
            Ok(events) => {
                self.stream = Some(Stream { events, since: Instant::now(), lines: Lines::default() });
            }
            Err(error) => {
                tracing::debug!(%error, "no events");
                self.failures = self.failures.saturating_add(1);
            }
        }
    }

    /// Waits until the tag may have moved. May be dropped at any time.
    pub async fn wait(&mut self) {
        let Some(stream) = &mut self.stream else {
            sleep(backoff(self.failures, POLL)).await;
            return self.connect().await;
        };
        match timeout(jittered(RARE_POLL), stream.moved(&self.reference)).await {
            Err(_elapsed) => return,
            Ok(true) => {}
            Ok(false) => {
                let lasted = stream.since.elapsed() >= LASTED;
                self.failures = if lasted { 1 } else { self.failures.saturating_add(1) };
                self.stream = None;
            }
        }
        sleep(spread(SPREAD)).await;
    }
}

impl Stream {
    /// Whether the tag has moved, or else the stream has ended.
    async fn moved(&mut self, reference: &Reference) -> bool {
        loop {
            match timeout(SILENCE, self.events.chunk()).await {
                Ok(Ok(Some(chunk))) => match self.lines.read(&chunk, reference) {
                    Some(true) => return true,
                    Some(false) => {}
                    None => return false,
                },
                Ok(Ok(None) | Err(_)) | Err(_) => return false,
            }
        }
    }
}

impl Lines {
    /// Whether what has come tells of the tag; `None` for what no tracker sends.
    fn read(&mut self, chunk: &[u8], reference: &Reference) -> Option<bool> {
        self.0.extend_from_slice(chunk);
        let mut told = false;
        while let Some(end) = self.0.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            told |= line.strip_prefix(b"data:").is_some_and(|data| tells_of(data, reference));
        }
        (self.0.len() <= LINE).then_some(told)
    }
}

fn tells_of(data: &[u8], reference: &Reference) -> bool {
    serde_json::from_slice::<Told>(data).is_ok_and(|told| {
        matches!(told.kind.as_str(), "tag_moved" | "tag_removed") && told.reference.as_ref() == Some(reference)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Option<bool> {
        let (mut lines, reference) = (Lines::default(), "demo".parse().unwrap());
        chunks.iter().try_fold(false, |told, chunk| Some(told | lines.read(chunk, &reference)?))
    }

    #[test]
    fn only_moves_of_the_tag_are_news() {
        for (text, told) in [
            (
                &b"event:tag_moved\ndata:{\"kind\":\"tag_moved\",\"reference\":\"demo:latest\",\"version\":2}\n\n"[..],
                true,
            ),
            (b"data: {\"kind\":\"tag_removed\",\"reference\":\"demo:latest\"}\r\n", true),
            (b"data:{\"kind\":\"tag_moved\",\"reference\":\"demo:other\"}\n", false),
            (b"data:{\"kind\":\"replica_reported\",\"origin\":\"o\",\"have\":1}\n", false),
            (b"data:{\"kind\":\"tag_moved\",\"reference\":\"demo:latest\"}", false),
            (b":\n\ndata:not json\ndata:{}\n", false),
        ] {
            assert_eq!(read(&[text]), Some(told), "{}", String::from_utf8_lossy(text));
            let bytes: Vec<_> = text.chunks(1).collect();
            assert_eq!(read(&bytes), Some(told));
        }
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        assert_eq!(read(&[&vec![b'x'; LINE]]), Some(false));
        assert_eq!(read(&[&vec![b'x'; LINE], b"x"]), None);
    }
}
