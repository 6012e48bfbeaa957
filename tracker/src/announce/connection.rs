use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, Read as _, Write as _},
    mem::MaybeUninit,
    net::{self, IpAddr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{answer::Scratch, head::Head};
use crate::{Tracker, metrics::Refusal, vantage::Vantage};

/// How long a client may take to send a request or to read an answer, and be idle between two.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the first request may follow its connection, which comes first by a moment: 100 µs.
const SOON: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000 };

/// Bytes taken from the kernel at once: several requests of a client that pipelines.
const READ: usize = 4096;

/// Bytes of answers after which a client must read before more of his requests are answered.
const OUT: usize = 64 * 1024;

/// Bytes of a refused client that are read and thrown away, so that he gets to read why.
const DRAIN: usize = 256 * 1024;

thread_local! {
    /// One for each thread, so that ten thousand idle connections have no buffers.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Who is at the two ends of a connection.
#[derive(Clone)]
pub(super) struct Ends {
    pub tracker: Arc<Tracker>,
    pub client: IpAddr,
    /// Known when an answer may depend on it.
    pub server: IpAddr,
}

/// What is left after the requests that had come whole were answered.
struct Rest {
    /// Bytes of the input that were used.
    used: usize,
    closes: bool,
    /// Whether there may be more whole requests, for when the client has read so many answers.
    pauses: bool,
}

impl Ends {
    /// Answers the whole requests at the start of `input`.
    fn answer(&self, input: &[u8], scratch: &mut Scratch) -> Rest {
        let settings = self.tracker.settings();
        let mut used = 0;
        while scratch.out.len() < OUT {
            match Head::read(&input[used..]) {
                Head::Whole(request) => {
                    let closes = !request.keeps_alive;
                    let forwarded = request.forwarded.iter().copied();
                    let vantage = Vantage::through(self.client, self.server, forwarded, &settings.trusted_proxies);
                    scratch.respond(&self.tracker, &settings, &request, vantage, closes);
                    used += request.length;
                    if closes {
                        return Rest { used, closes, pauses: false };
                    }
                }
                Head::Partial => return Rest { used, closes: false, pauses: false },
                Head::Bad(status) => {
                    self.tracker.metrics().refused(Refusal::Malformed);
                    scratch.refuse(status, "this port serves GET /announce and GET /scrape\n", true);
                    return Rest { used: input.len(), closes: true, pauses: false };
                }
            }
        }
        Rest { used, closes: false, pauses: true }
    }
}

/// Answers what a client has sent with his connection; `None` when that was all he wanted.
///
/// Most clients connect for one question. Those cost no task, no timer and no entry in epoll.
pub(super) fn greet(ends: Ends, stream: net::TcpStream) -> Option<(net::TcpStream, Conversation)> {
    let mut input = [0; READ];
    let mut read = || match (&stream).read(&mut input) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        read => read.map(Some),
    };
    let length = match read() {
        Ok(None) => {
            let _may_fail = poll(&mut [PollFd::new(&stream, PollFlags::IN)], Some(&SOON));
            read()
        }
        read => read,
    };
    let length = match length {
        Ok(Some(0)) | Err(_) => return None,
        Ok(length) => length.unwrap_or(0),
    };
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.out.clear();
        let rest = ends.answer(&input[..length], scratch);
        let written = if scratch.out.is_empty() { 0 } else { (&stream).write(&scratch.out).unwrap_or(0) };
        let is_read = rest.used == length && length < READ;
        if rest.closes && is_read && written == scratch.out.len() {
            return None;
        }
        let conversation = Conversation {
            held: input[rest.used..length].to_vec(),
            pending: scratch.out[written..].to_vec(),
            closes: rest.closes,
            pauses: rest.pauses,
            drained: 0,
            heard: Instant::now(),
            ends,
        };
        Some((stream, conversation))
    })
}

/// A connection that outlasts its first request.
pub(super) struct Conversation {
    ends: Ends,
    /// The beginning of a request.
    held: Vec<u8>,
    /// What the client has yet to read.
    pending: Vec<u8>,
    closes: bool,
    pauses: bool,
    drained: usize,
    /// When the client was last heard of.
    heard: Instant,
}

impl Conversation {
    /// Answers until the client leaves or is silent for too long. May be dropped between any two answers.
    pub async fn hold(mut self, stream: net::TcpStream) -> io::Result<()> {
        // Answers of one segment each must not wait for one another.
        stream.set_nodelay(true)?;
        let mut stream = TcpStream::from_std(stream)?;
        let mut silence = pin!(sleep(PATIENCE));
        poll_fn(|cx| {
            if self.is_silent(silence.as_mut(), cx) {
                if !self.held.is_empty() || !self.pending.is_empty() {
                    self.ends.tracker.metrics().refused(Refusal::Slow);
                }
                return Poll::Ready(Ok(()));
            }
            self.poll(&mut stream, cx)
        })
        .await
    }

    /// The timer is moved on only when it ends, not with every request.
    fn is_silent(&self, mut silence: Pin<&mut Sleep>, cx: &mut Context<'_>) -> bool {
        while silence.as_mut().poll(cx).is_ready() {
            let deadline = self.heard + PATIENCE;
            if deadline <= Instant::now() {
                return true;
            }
            silence.as_mut().reset(deadline.into());
        }
        false
    }

    fn poll(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.pending.is_empty() {
                let written = ready!(Pin::new(&mut *stream).poll_write(cx, &self.pending))?;
                self.pending.drain(..written);
                self.heard = Instant::now();
            }
            self.pending = Vec::new();
            if self.pauses {
                self.answer(&[], stream, cx)?;
                continue;
            }
            if self.closes && self.drained == 0 {
                // Closing before everything was read would take the answer back.
                ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                self.drained = 1;
            }
            let mut input = [MaybeUninit::uninit(); READ];
            let mut input = ReadBuf::uninit(&mut input);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut input))?;
            let came = input.filled();
            if came.is_empty() || self.drained > DRAIN {
                return Poll::Ready(Ok(()));
            }
            if self.closes {
                self.drained += came.len();
            } else {
                self.answer(came, stream, cx)?;
            }
        }
    }

    /// Answers what is held and what came after it.
    fn answer(&mut self, came: &[u8], stream: &mut TcpStream, cx: &mut Context<'_>) -> io::Result<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.out.clear();
            let rest = if self.held.is_empty() {
                let rest = self.ends.answer(came, scratch);
                self.held.extend_from_slice(&came[rest.used..]);
                rest
            } else {
                self.held.extend_from_slice(came);
                let rest = self.ends.answer(&self.held, scratch);
                self.held.drain(..rest.used);
                rest
            };
            if self.held.is_empty() {
                self.held = Vec::new();
            }
            (self.closes, self.pauses) = (rest.closes, rest.pauses);
            if scratch.out.is_empty() {
                return Ok(());
            }
            // A request that trickles in is one that is waited for.
            self.heard = Instant::now();
            let written = match Pin::new(stream).poll_write(cx, &scratch.out) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            self.pending = scratch.out[written..].to_vec();
            Ok(())
        })
    }
}
