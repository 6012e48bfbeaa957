//! `nova-tracker`: the announce service and the index.

use std::process::ExitCode;

use clap::Parser;
use nova_tracker::config::Flags;

#[tokio::main]
async fn main() -> ExitCode {
    match nova_tracker::run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
