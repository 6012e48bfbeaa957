//! What a million peers take of a server's memory.

use anyhow::Result;

use crate::{
    Bench,
    compare::Face,
    load::Load,
    measure::median,
    peers::Peer,
    servers::{Kind, Server},
    udp,
};

/// How many peers announce, each to one swarm.
const PEERS: u32 = 1_000_000;
/// Into how many swarms they are divided.
const SWARMS: [u32; 3] = [1000, 200_000, 1_000_000];

/// Measures every server, and prints the table.
pub fn run(bench: &Bench) {
    println!("\nResident memory of {PEERS} IPv4 peers, in bytes for each\n");
    println!("| | {} |", SWARMS.map(|swarms| format!("in {swarms} swarms")).join(" | "));
    println!("|---|{}", "---|".repeat(SWARMS.len()));
    for kind in [Kind::Nova, Kind::Opentracker, Kind::Aquatic] {
        let program = match kind.find(&bench.programs) {
            Ok(program) => program,
            Err(error) => {
                println!("| {} | {error:#} |{}", kind.name(), " |".repeat(SWARMS.len() - 1));
                continue;
            }
        };
        let mut cells = Vec::new();
        for swarms in SWARMS {
            let once = || measure(&kind.start(&program, bench.server_core)?, swarms);
            // The figure hardly differs from round to round; the first is enough for those who are in a hurry.
            let rounds = (0..bench.rounds.min(2)).map(|_| once()).collect::<Result<Vec<_>>>();
            cells.push(rounds.map_or_else(|error| format!("{error:#}"), |rounds| format!("{:.1}", median(rounds))));
        }
        println!("| {} | {} |", kind.name(), cells.join(" | "));
    }
}

/// Bytes for each peer, by UDP where the server has it, since that is quicker.
fn measure(server: &Server, swarms: u32) -> Result<f64> {
    let load = Load { target: server.announce, duration: None, pace: None, num_want: 0, checks: false };
    let face = if udp::answers(&load) { Face::Udp } else { Face::HttpLasting };
    let before = server.resident()?;
    let mut peers = (0..PEERS).map(|count| Peer { swarm: count % swarms, number: count / swarms });
    face.run(&load, &mut peers)?;
    Ok(server.resident()?.saturating_sub(before) as f64 / f64::from(PEERS))
}
