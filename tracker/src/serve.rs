use std::{
    io::{self, IsTerminal},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Tracker,
    config::{Config, DEFAULT_FILE, Flags},
    http::{self, Face},
};

/// Serves announces on one listener and everything else on the other until `shutdown` is cancelled; then finishes the
/// requests in flight, for a few seconds at most, and closes the index.
///
/// # Errors
/// When the settings are wrong or the index cannot be opened.
pub async fn serve(
    config: &Config,
    announce: TcpListener,
    http: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let tracker = Arc::new(Tracker::open(config.clone(), Instant::now()).await?);
    let announce_addr = announce.local_addr().context("the announce listener has no address")?;
    let face = Arc::new(Face { tracker: Arc::clone(&tracker), announce_addr, shutdown: shutdown.clone() });
    let limit = config.connections_max as usize;
    let announces = http::accept(announce, http::announce_routes(&face), limit, &face);
    let index = http::accept(http, http::index_routes(&face), limit, &face);
    tokio::join!(announces, index, keep_time(&tracker, &shutdown));
    Ok(())
}

/// The whole program: settings, listeners, and service until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the settings are wrong, an address is taken or the index cannot be opened.
pub async fn run(flags: &Flags) -> anyhow::Result<()> {
    if flags.print_config {
        print!("{DEFAULT_FILE}");
        return Ok(());
    }
    let filter = tracing_subscriber::EnvFilter::try_from_env("NOVA_TRACKER_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let config = Config::load(flags)?;
    let shutdown = CancellationToken::new();
    cancel_on_signal(shutdown.clone())?;
    let bind = async |addr| TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"));
    let (announce, http) = (bind(config.announce_listen).await?, bind(config.http_listen).await?);
    tracing::info!(announce = %announce.local_addr()?, http = %http.local_addr()?, "listening");
    serve(&config, announce, http, shutdown).await
}

fn cancel_on_signal(shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to Ctrl-C")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        shutdown.cancel();
    });
    Ok(())
}

async fn keep_time(tracker: &Tracker, shutdown: &CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = tracker.tick(Instant::now()).await {
            tracing::error!(%error, "cannot repair replicas; trying again in a second");
        }
    }
}
