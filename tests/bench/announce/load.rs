//! What the generators of load share: how fast they go, when they end, and what they measure.

use std::{
    net::SocketAddr,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::Result;
use rustix::{
    event::{
        Timespec,
        epoll::{self, Event, EventData, EventFlags},
    },
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};

/// The event of the timer; all others are numbers of sockets.
const TIMER: u64 = u64::MAX;

/// What is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub target: SocketAddr,
    /// When to stop; when there are no more peers to announce, without it.
    pub duration: Option<Duration>,
    /// Requests a second, sent at their times whether or not answers came; without it, each answer brings the next.
    pub pace: Option<f64>,
    /// How many peers each announce asks for, and must get when `checks`.
    pub num_want: u32,
    pub checks: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Measured {
    pub answers: u64,
    pub elapsed: Duration,
    /// From when a request was due to its answer, in nanoseconds.
    pub latencies: Vec<u32>,
    /// Datagrams sent again, or lasting connections that the server closed.
    pub again: u64,
}

impl Measured {
    /// Answers in a second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds within which this part of the answers came.
    pub fn percentile(&mut self, part: f64) -> f64 {
        if self.latencies.is_empty() {
            return f64::NAN;
        }
        let place = ((self.latencies.len() - 1) as f64 * part).round();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the length of a Vec")]
        let (_, latency, _) = self.latencies.select_nth_unstable(place as usize);
        f64::from(*latency) / 1e3
    }

    pub fn answered(&mut self, due: Instant) {
        self.answers += 1;
        self.latencies.push(u32::try_from(due.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
}

/// Waits for sockets and for the time of the next request.
pub struct Waiter {
    epoll: OwnedFd,
    timer: OwnedFd,
    events: Vec<Event>,
    start: Instant,
    end: Option<Instant>,
    gap: Option<Duration>,
    next: Instant,
}

impl Waiter {
    pub fn new(load: &Load) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        let start = Instant::now();
        Ok(Self {
            epoll,
            timer,
            events: Vec::with_capacity(256),
            start,
            end: load.duration.map(|duration| start + duration),
            gap: load.pace.map(|pace| Duration::from_secs_f64(1.0 / pace)),
            next: start,
        })
    }

    /// Has events of a socket told by its number.
    pub fn add(&self, socket: impl std::os::fd::AsFd, number: usize) -> Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(number as u64), EventFlags::IN)?)
    }

    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// When the next request was due, if it is by now.
    pub fn due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let Some(gap) = self.gap else { return Some(now) };
        let due = self.next;
        (due <= now).then(|| {
            self.next += gap;
            due
        })
    }

    /// The numbers of sockets that can be read, after waiting for one, for the next request's time or for 100 ms.
    pub fn wait(&mut self, ready: &mut Vec<usize>) -> Result<()> {
        ready.clear();
        let mut timeout = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        if self.gap.is_some() {
            let left = self.next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                timeout.tv_nsec = 0;
            } else {
                let it_value = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
                let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
                timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
            }
        }
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let numbers = self.events.iter().map(|event| event.data.u64()).filter(|number| *number != TIMER);
        ready.extend(numbers.filter_map(|number| usize::try_from(number).ok()));
        Ok(())
    }
}
