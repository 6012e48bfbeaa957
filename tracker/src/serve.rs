use std::{
    io::{self, IsTerminal},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Tracker, announce,
    config::{Config, DEFAULT_FILE, Flags},
    http::{self, Face},
    listeners::Listeners,
};

/// How often peers that are gone are looked for.
const SWEEP: Duration = Duration::from_secs(15);

/// Serves announces, and the index beside them, until `shutdown` is cancelled; then finishes the requests in flight, for
/// a few seconds at most, and closes the index. New settings hold from the moment when they are sent.
///
/// # Errors
/// When the settings are wrong, the index cannot be opened or the listeners cannot be used.
pub async fn serve(
    mut settings: watch::Receiver<Config>,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let config = settings.borrow_and_update().clone();
    let limit = config.connections_max as usize;
    let tracker = Arc::new(Tracker::open(config, Instant::now()).await?);
    let Listeners { announce, datagrams, http } = listeners;
    let announce_addr = announce.local_addr().context("the announce listener has no address")?;
    let http = TcpListener::from_std(http).context("the HTTP listener cannot be used")?;
    let face = Arc::new(Face { tracker: Arc::clone(&tracker), announce_addr, shutdown: shutdown.clone() });
    let announces = async {
        let served = announce::serve(&tracker, announce, datagrams, &shutdown).await;
        shutdown.cancel();
        served.context("cannot serve announces")
    };
    let index = http::accept(http, http::index_routes(&face), limit, &face);
    let time = async { tokio::join!(keep_time(&tracker, &shutdown), sweep(&tracker, &shutdown)) };
    let (served, ..) = tokio::join!(announces, index, time, follow(&tracker, settings, &shutdown));
    served
}

/// The whole program: settings, listeners, and service until Ctrl-C or SIGTERM; SIGHUP reads the settings again.
///
/// # Errors
/// When the settings are wrong, an address is taken or the index cannot be opened.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
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
    let config = Config::load(&flags)?;
    let shutdown = CancellationToken::new();
    cancel_on_signal(shutdown.clone())?;
    raise_open_files();
    let listeners = Listeners::bind(&config)?;
    tracing::info!(announce = %listeners.announce.local_addr()?, http = %listeners.http.local_addr()?, "listening");
    let (sender, settings) = watch::channel(config);
    reload_on_signal(flags, sender)?;
    serve(settings, listeners, shutdown).await
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

fn reload_on_signal(flags: Flags, settings: watch::Sender<Config>) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen to SIGHUP")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match Config::load(&flags) {
                Ok(config) => drop(settings.send_replace(config)),
                Err(error) => tracing::error!(%error, "the settings stay as they were"),
            }
        }
    });
    Ok(())
}

/// Every connection needs a file descriptor, and shells give a process 1,024.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Takes over settings that are sent while the tracker serves.
async fn follow(tracker: &Tracker, mut settings: watch::Receiver<Config>, shutdown: &CancellationToken) {
    while let Some(Ok(())) = shutdown.run_until_cancelled(settings.changed()).await {
        let config = settings.borrow_and_update().clone();
        match tracker.reload(config) {
            Ok(()) => tracing::info!("the settings were read again"),
            Err(error) => tracing::error!(%error, "the settings stay as they were"),
        }
    }
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

/// Drops peers that are gone, on a thread of its own: with millions of peers that takes a while.
async fn sweep(tracker: &Arc<Tracker>, shutdown: &CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
        let tracker = Arc::clone(tracker);
        let swept = tokio::task::spawn_blocking(move || tracker.sweep(Instant::now())).await;
        swept.unwrap_or_else(|error| tracing::error!(%error, "cannot drop peers that are gone"));
    }
}
