//! The tables that are printed.

use crate::{measure::median, servers::Kind};

/// One measurement of one server.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Announces a second.
    pub rate: f64,
    /// Microseconds of the server's processor time for an announce.
    pub cost: f64,
    /// Which part of its core the server used.
    pub busy: f64,
    /// Microseconds to the median answer and to that of 99 %, at full and at half load.
    pub full: [f64; 2],
    pub half: [f64; 2],
    /// Datagrams lost, or lasting connections closed by the server, per million answers.
    pub again: f64,
}

/// Prints a row for each server, and those that are not there with the reason.
pub fn print(title: &str, servers: &[(Kind, Vec<Round>)], missing: &[(Kind, String)]) {
    println!("\n{title}\n");
    println!(
        "| | announces/s | CPU µs each | core used | p50, p99 µs at full load | at half load | again per million \
         | nova's CPU / this |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let ours = servers.iter().find(|(kind, _)| *kind == Kind::Nova).map(|(_, rounds)| rounds);
    for (kind, rounds) in servers {
        let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value));
        let ratio = ours.filter(|ours| ours.len() == rounds.len()).map_or_else(
            || "-".to_owned(),
            |ours| format!("{:.2}", median(ours.iter().zip(rounds).map(|(ours, round)| ours.cost / round.cost))),
        );
        println!(
            "| {} | {:.0} | {:.2} | {:.0} % | {:.0}, {:.0} | {:.0}, {:.0} | {:.0} | {ratio} |",
            kind.name(),
            of(|round| round.rate),
            of(|round| round.cost),
            of(|round| round.busy * 100.0),
            of(|round| round.full[0]),
            of(|round| round.full[1]),
            of(|round| round.half[0]),
            of(|round| round.half[1]),
            of(|round| round.again),
        );
    }
    for (kind, reason) in missing {
        println!("| {} | {reason} | | | | | | |", kind.name());
    }
}
