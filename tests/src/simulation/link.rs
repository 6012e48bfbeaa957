use std::collections::VecDeque;

use super::clock::Time;

/// A part of a piece that somebody asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Who asked, and on which of its connections.
    pub from: u32,
    pub connection: u32,
    pub piece: u32,
    pub offset: u32,
    pub bytes: u32,
    /// When it was there.
    pub arrived: Time,
}

/// A node's link.
#[derive(Debug)]
pub struct Link {
    /// Bytes a second.
    rate: u32,
    waiting: VecDeque<Request>,
    sending: Option<Request>,
    /// When everything that is on its way to the node has come in.
    free: Time,
}

impl Link {
    pub fn new(rate: u32) -> Self {
        Self { rate, waiting: VecDeque::new(), sending: None, free: 0 }
    }

    /// Takes a request; when it will be sent, if it is begun with now.
    pub fn ask(&mut self, request: Request) -> Option<Time> {
        self.waiting.push_back(request);
        if self.sending.is_none() { self.begin(request.arrived) } else { None }
    }

    /// Ends what is being sent; when the next will be, if there is one.
    pub fn sent(&mut self, now: Time) -> (Request, Option<Time>) {
        let sent = self.sending.take().expect("something is being sent");
        (sent, self.begin(now))
    }

    /// When so many bytes have come in, whose last one was sent by now.
    pub fn receive(&mut self, now: Time, bytes: u32) -> Time {
        self.free = now.max(self.free + self.time(bytes));
        self.free
    }

    fn begin(&mut self, now: Time) -> Option<Time> {
        let request = self.waiting.pop_front()?;
        self.sending = Some(request);
        Some(now.max(request.arrived) + self.time(request.bytes))
    }

    fn time(&self, bytes: u32) -> Time {
        Time::from(bytes) * 1_000_000_000 / Time::from(self.rate)
    }
}
