//! Rate, cost and latency of announces, server by server in turns.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    Bench, http,
    load::{Load, Measured},
    peers::{self, NUM_WANT, Peer},
    report::{self, Round},
    servers::{Kind, Server},
    udp,
};

/// How announces reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// Over HTTP on connections that stay.
    HttpLasting,
    /// Over HTTP with a connection for each.
    HttpOnce,
    Udp,
}

impl Face {
    const fn title(self) -> &'static str {
        match self {
            Self::HttpLasting => "HTTP, 64 connections that stay, one announce in flight on each",
            Self::HttpOnce => "HTTP, a new connection for each announce, 64 at once",
            Self::Udp => "UDP, 16 sockets, 128 announces in flight",
        }
    }

    const fn servers(self) -> &'static [Kind] {
        match self {
            Self::HttpLasting | Self::HttpOnce => &[Kind::Nova, Kind::Opentracker, Kind::Ceiling],
            Self::Udp => &[Kind::Nova, Kind::Opentracker, Kind::Aquatic],
        }
    }

    pub fn run(self, load: &Load, peers: &mut dyn Iterator<Item = Peer>) -> Result<Measured> {
        match self {
            Self::HttpLasting => http::run(load, true, peers),
            Self::HttpOnce => http::run(load, false, peers),
            Self::Udp => udp::run(load, peers),
        }
    }
}

/// Measures every server that has this face, and prints the table.
pub fn run(bench: &Bench, face: Face) -> Result<()> {
    let mut found: Vec<(Kind, PathBuf)> = Vec::new();
    let mut missing: Vec<(Kind, String)> = Vec::new();
    for &kind in face.servers() {
        match kind.find(&bench.programs) {
            Ok(program) => found.push((kind, program)),
            Err(error) => missing.push((kind, format!("{error:#}"))),
        }
    }
    let mut servers: Vec<(Kind, Vec<Round>)> = found.iter().map(|(kind, _)| (*kind, Vec::new())).collect();
    for _ in 0..bench.rounds {
        for ((kind, program), (_, rounds)) in found.iter().zip(&mut servers) {
            if missing.iter().any(|(absent, _)| absent == kind) {
                continue;
            }
            match measure(bench, face, &kind.start(program, bench.server_core)?) {
                Ok(round) => rounds.push(round),
                Err(error) => missing.push((*kind, format!("{error:#}"))),
            }
        }
    }
    servers.retain(|(_, rounds)| !rounds.is_empty());
    report::print(face.title(), &servers, &missing);
    Ok(())
}

/// What a server is sent once it is ready for it.
pub fn prepared(face: Face, server: &Server) -> Result<Load> {
    let load = Load { target: server.announce, duration: None, pace: None, num_want: NUM_WANT, checks: false };
    face.run(&load, &mut peers::first())?;
    Ok(Load { checks: true, ..load })
}

fn measure(bench: &Bench, face: Face, server: &Server) -> Result<Round> {
    let load = Load { duration: Some(bench.seconds), ..prepared(face, server)? };
    let mut peers = peers::any();
    let before = server.processor_time()?;
    let mut full = face.run(&load, &mut peers)?;
    let used = server.processor_time()?.saturating_sub(before).as_secs_f64();
    let mut half = face.run(&Load { pace: Some(full.rate() / 2.0), ..load }, &mut peers)?;
    Ok(Round {
        rate: full.rate(),
        cost: used * 1e6 / full.answers as f64,
        busy: used / full.elapsed.as_secs_f64(),
        full: [full.percentile(0.5), full.percentile(0.99)],
        half: [half.percentile(0.5), half.percentile(0.99)],
        again: full.again as f64 * 1e6 / full.answers as f64,
    })
}
