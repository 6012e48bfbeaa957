//! What a person reads.

use crate::{Arguments, Event, measure::median, run::Outcome};

/// One line for one run.
pub fn print_run(arguments: &Arguments, outcome: &Outcome) {
    let Outcome { done, bound, copies, identical, .. } = outcome;
    let [p50, p99, last] = outcome.percentiles();
    println!(
        "{} of {} done: p50 {p50:.1} s, p99 {p99:.1} s, last {last:.1} s = {:.2} of the bound of {bound:.1} s; \
         seeders sent {copies:.2} copies; processor {:.1} s a GiB for each, seeders {:.1} s; {}",
        done.len(),
        arguments.hosts,
        last / bound,
        outcome.leecher_cpu,
        outcome.seeder_cpu,
        if *identical { "all copies identical" } else { "NOT all copies identical" },
    );
}

/// One row of a table for all runs.
pub fn print_summary(arguments: &Arguments, runs: &[Outcome]) {
    let middle = |part: fn(&Outcome) -> f64| median(runs.iter().map(part));
    let kinds: Vec<_> = arguments.leechers.iter().map(|kind| kind.name()).collect();
    println!(
        "\n| seeder | leechers | N | R Mbit/s | F MiB | p50 s | p99 s | last s | bound s | last/bound | p99/p50 | \
         copies | cpu s/GiB |\n|{}",
        "---|".repeat(13)
    );
    let event = match arguments.event {
        Event::None => String::new(),
        event => format!(", {event:?}"),
    };
    let slow = if arguments.slow > 0 { format!(", {} slow", arguments.slow) } else { String::new() };
    println!(
        "| {} x {} | {}{slow}{event} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | {:.1} |",
        arguments.origins,
        arguments.seeder.name(),
        kinds.join(", "),
        arguments.hosts,
        arguments.rate,
        arguments.size,
        middle(|run| run.percentiles()[0]),
        middle(|run| run.percentiles()[1]),
        middle(|run| run.percentiles()[2]),
        middle(|run| run.bound),
        middle(|run| run.percentiles()[2] / run.bound),
        middle(|run| run.percentiles()[1] / run.percentiles()[0]),
        middle(|run| run.copies),
        middle(|run| run.leecher_cpu),
    );
}
