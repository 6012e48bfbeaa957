//! One who pulls, and chooses as librqbit 9.1.0 does: the first piece in order that the peer has, after one that another
//! peer takes ten times as long for as this one usually does; when there is none, one that another takes three times as
//! long for. A connection that finds nothing sleeps until it is woken.

use super::{bits::Bits, clock::Time};

#[derive(Debug)]
pub struct Leecher {
    pub have: Bits,
    /// Pieces that it lacks and asked nobody for.
    pub wanted: Bits,
    /// What the origin told it of.
    pub told: Bits,
    /// In the order in which they were begun.
    pub flights: Vec<Flight>,
    pub connections: Vec<Connection>,
    pub has_origin: bool,
    pub may_meet: bool,
    pub done: Option<Time>,
}

/// A piece that is on its way.
#[derive(Debug)]
pub struct Flight {
    pub piece: u32,
    connection: u32,
    began: Time,
    received: u32,
}

/// How two know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// The other may dial.
    Waits,
    /// This one may dial.
    Dials,
    /// They are connected.
    Open,
    /// They are, and tell each other nothing, for they met with empty hands (`should_transmit_have`).
    Mute,
}

#[derive(Debug, Clone, Copy)]
pub struct Connection {
    pub peer: u32,
    pub tie: Tie,
    pub sleeps: bool,
    pub in_flight: usize,
    /// The piece that is being asked for, and how much of it was.
    asking: Option<(u32, u32)>,
    pieces: u32,
    time: Time,
}

impl Connection {
    pub fn new(peer: u32, tie: Tie) -> Self {
        Self { peer, tie, sleeps: false, in_flight: 0, asking: None, pieces: 0, time: 0 }
    }
}

impl Leecher {
    pub fn new(pieces: u32) -> Self {
        Self {
            have: Bits::none(pieces),
            wanted: Bits::all(pieces),
            told: Bits::none(pieces),
            flights: Vec::new(),
            connections: Vec::new(),
            has_origin: false,
            may_meet: false,
            done: None,
        }
    }

    /// The next part of a piece to ask a peer for that has `available`: the piece, where, and how many bytes.
    pub fn next(
        &mut self,
        connection: u32,
        available: &Bits,
        now: Time,
        size: impl Fn(u32) -> u32,
        request: u32,
    ) -> Option<(u32, u32, u32)> {
        let asking = self.connections[connection as usize].asking.take();
        let (piece, offset) = match asking {
            Some(asking) => asking,
            None => (self.acquire(connection, available, now)?, 0),
        };
        let bytes = request.min(size(piece) - offset);
        let rest = (offset + bytes < size(piece)).then_some((piece, offset + bytes));
        self.connections[connection as usize].asking = rest;
        Some((piece, offset, bytes))
    }

    /// Notes what has come in, and whether it was of use; the piece, when all of it is there.
    pub fn receive(&mut self, connection: u32, piece: u32, bytes: u32, size: u32, now: Time) -> (bool, Option<u32>) {
        let known = self.flights.iter().position(|flight| flight.piece == piece && flight.connection == connection);
        let Some(index) = known else { return (false, None) };
        let flight = &mut self.flights[index];
        flight.received += bytes;
        if flight.received < size {
            return (true, None);
        }
        let peer = &mut self.connections[connection as usize];
        peer.pieces += 1;
        peer.time += now - flight.began;
        self.flights.remove(index);
        self.have.insert(piece);
        (true, Some(piece))
    }

    fn acquire(&mut self, connection: u32, available: &Bits, now: Time) -> Option<u32> {
        if let Some(piece) = self.steal(connection, available, now, 10) {
            return Some(piece);
        }
        if let Some(piece) = self.wanted.first_common(available) {
            self.wanted.remove(piece);
            self.flights.push(Flight { piece, connection, began: now, received: 0 });
            return Some(piece);
        }
        self.steal(connection, available, now, 3)
    }

    fn steal(&mut self, connection: u32, available: &Bits, now: Time, times: Time) -> Option<u32> {
        let thief = &self.connections[connection as usize];
        let usual = thief.time.checked_div(thief.pieces.into()).filter(|&usual| usual > 0)?;
        let old = self.flights.iter().take_while(|flight| now - flight.began > usual * times);
        let index = old
            .enumerate()
            .find(|(_, flight)| flight.connection != connection && available.has(flight.piece))
            .map(|(index, _)| index)?;
        let Flight { piece, connection: robbed, .. } = self.flights.remove(index);
        let robbed = &mut self.connections[robbed as usize];
        robbed.asking = robbed.asking.filter(|(asking, _)| *asking != piece);
        self.flights.push(Flight { piece, connection, began: now, received: 0 });
        Some(piece)
    }
}
