//! The command line of `nova-seeder`.

use std::{io::IsTerminal, process::ExitCode};

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{agent, origin};

/// Holds content for a fleet (origin), or pulls it for a host (agent).
#[derive(Debug, Parser)]
#[command(name = "nova-seeder", version)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Hold content, serve it to every peer, fetch what the tracker assigns.
    Origin(origin::Flags),
    /// Pull for every user of this host, once, and go on seeding.
    Agent(agent::Flags),
}

/// Runs what the arguments say, until SIGTERM or SIGINT.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    // librqbit says at INFO what only its own developers want to know.
    let filter = EnvFilter::try_from_env("NOVA_SEEDER_LOG").unwrap_or_else(|_| EnvFilter::new("warn,nova_seeder=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match serve(arguments.role).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn serve(role: Role) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    cancel_on_signal(shutdown.clone())?;
    match role {
        Role::Origin(flags) if flags.print_config => print!("{}", origin::DEFAULT_FILE),
        Role::Agent(flags) if flags.print_config => print!("{}", agent::DEFAULT_FILE),
        Role::Origin(flags) => {
            let config = origin::Config::load(&flags)?;
            let listeners = origin::Listeners::bind(&config).await?;
            origin::serve(config, listeners, shutdown).await?;
        }
        Role::Agent(flags) => {
            let config = agent::Config::load(&flags)?;
            let listeners = agent::Listeners::bind(&config).await?;
            agent::serve(config, listeners, shutdown).await?;
        }
    }
    Ok(())
}

/// The first signal ends in order; the second one, at once.
fn cancel_on_signal(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for is_second in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if is_second {
                std::process::exit(130);
            }
            shutdown.cancel();
        }
    });
    Ok(())
}
