//! `pull`: a tag becomes bytes in a directory, through the agent of this host, or as a peer of its own.

mod stage;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use nova_protocol::{
    Metainfo,
    api::{self, PullState, TagVersion},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::stage::sweep;
use self::stage::{named, stage};
use crate::{
    agent_client::AgentClient,
    content::Cancelled,
    create::Preserve,
    deliver::{self, DeliverError, Delivered, Delivery, Replace},
    fetch::{FetchError, Fetcher},
    reuse::Holdings,
    scratch::Scratch,
    service::ServiceError,
    source::{ResolveError, Resolved, Source},
    store,
    tracker::TrackerClient,
    versions::VersionsError,
};

const POLL: Duration = Duration::from_millis(100);
/// How long nothing may come from peers, where no setting says so.
pub const STALL_AFTER: Duration = Duration::from_secs(30);

/// What to pull, and where to.
#[derive(Debug, Clone)]
pub struct Request {
    /// What.
    pub source: Source,
    /// The content becomes `directory/NAME`, with the name that the torrent has.
    pub directory: PathBuf,
    /// What makes way, under the same name.
    pub replace: Replace,
    /// How it gets there from an agent's store.
    pub delivery: Delivery,
    /// Whether the disk has all of it before the pull is done.
    pub is_durable: bool,
    /// What was pushed and is not given here.
    pub no_preserve: Vec<Preserve>,
    /// Files and directories, absolute, that may have parts of it; what is in its place is one of them by itself.
    pub reuse: Vec<PathBuf>,
    /// Where a pull without an agent listens for peers; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long nothing may come from peers before a pull without an agent takes content from an origin over HTTP.
    pub stall_after: Duration,
    /// From when on it is no failure of the content that it is not here: what has come in is kept for the next try.
    pub deadline: Option<Instant>,
}

/// What a pull is doing.
#[derive(Debug, Clone)]
pub enum Progress {
    /// Pieces come in.
    Fetching(Box<api::Pull>),
    /// Everything is there, and is put in its place.
    Delivering {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// A pull that is done.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// What was pulled.
    pub metainfo: Arc<Metainfo>,
    /// The tag that was asked for, when this process asked for it.
    pub tag: Option<TagVersion>,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was there before.
    pub was_there: bool,
    /// Bytes that were on this host: in the cache of the agent, in another version, or left by a pull that was cut.
    pub reused: u64,
    /// Where the pieces came from.
    pub sources: Vec<api::Source>,
}

impl Pulled {
    fn there(metainfo: Arc<Metainfo>, tag: Option<TagVersion>, path: PathBuf) -> Self {
        let reused = metainfo.info.length;
        Self { metainfo, tag, path, was_there: true, reused, sources: Vec::new() }
    }
}

/// Why a pull put nothing in its place.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// There is no such thing to pull.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The agent said no, or nothing.
    #[error(transparent)]
    Agent(#[from] ServiceError),
    /// The session would not start, or stopped.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What came in could not be kept.
    #[error("cannot write to {}: {source}", path.display())]
    Stage {
        /// Where it should have been kept.
        path: PathBuf,
        /// Why it could not be.
        source: io::Error,
    },
    /// Another process pulls the same thing to the same place.
    #[error("another pull of this is under way in {}: wait for it, or run an agent, which fetches once for all", .0.display())]
    Busy(PathBuf),
    /// It could not be put in its place.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// A version could not be put beside the others.
    #[error("{0}")]
    Version(String),
    /// It is there, but the symlink does not lead to it.
    #[error(transparent)]
    Versions(#[from] VersionsError),
    /// The agent had it, and has no more, or this user may not read it there.
    #[error("the content in the agent's store cannot be read: this user may not, or it made way for something else")]
    Evicted,
    /// The token was cancelled.
    #[error("cancelled; nothing of it is left in {}", .0.display())]
    Cancelled(PathBuf),
}

/// Pulls as a peer of its own, until everything is there.
///
/// What has come in is kept in `.nova-INFO_HASH` beside the destination: a pull that is killed, or whose time is over, or
/// whose content cannot be put in its place, is gone on with from there; any other that fails or is cancelled removes it.
///
/// # Errors
/// Every variant of [`PullError`].
pub async fn pull(
    tracker: &TrackerClient,
    request: &Request,
    observe: impl Fn(Progress) + Send + Sync + 'static,
    stop: &CancellationToken,
) -> Result<Pulled, PullError> {
    let fetcher = Fetcher::alone(request.listen, tracker, request.stall_after).await?;
    let pulled = match fetch(&fetcher, tracker, request, &observe, stop).await {
        // Once begun, a delivery is waited for: it ends whole, or it leaves nothing.
        Ok(Fetched::Staged { stage, pulled }) => {
            let delivered = deliver_fetched(&pulled.metainfo, stage, request, observe, stop).await;
            delivered.map(|delivered| Pulled { path: delivered.path, was_there: delivered.was_there, ..pulled })
        }
        Ok(Fetched::WasThere(pulled)) => Ok(pulled),
        Err(error) => Err(error),
    };
    fetcher.stop().await;
    pulled
}

/// What a pull has got, about to be put in its place.
enum Fetched {
    /// It was in its place before.
    WasThere(Pulled),
    /// It is in a stage.
    Staged {
        /// Where.
        stage: Scratch,
        /// What will be said of it.
        pulled: Pulled,
    },
}

async fn fetch(
    fetcher: &Fetcher,
    tracker: &TrackerClient,
    request: &Request,
    observe: &(impl Fn(Progress) + Send + Sync + 'static),
    stop: &CancellationToken,
) -> Result<Fetched, PullError> {
    let cancelled = || PullError::Cancelled(request.directory.clone());
    let resolved = stop.run_until_cancelled(request.source.resolve(tracker, fetcher)).await;
    let Resolved { metainfo, tag, origins } = resolved.ok_or_else(cancelled)??;
    let (directory, info_hash) = (request.directory.clone(), metainfo.info_hash());
    if let Some(path) = already_there(&metainfo, request, stop).await? {
        blocking(move || sweep(&directory, info_hash)).await;
        return Ok(Fetched::WasThere(Pulled::there(metainfo, tag, path)));
    }
    let stage = blocking(move || stage(&directory, info_hash)).await?;
    let root = stage.content(&metainfo.info.name);
    let folder = if metainfo.info.is_single_file { root.parent().expect("it is in a stage") } else { &root };
    // Waited for even when cancelled: what makes files must end before the stage is removed.
    let added = fetcher.add(&metainfo, folder, &origins, request.holdings(&metainfo)).await;
    added.map_err(|error| named(&stage, error.into()))?;
    let watched = stop.run_until_cancelled(watch(fetcher, &metainfo, &origins, &root, observe)).await;
    fetcher.remove(metainfo.info_hash()).await;
    stage.keep(watched.is_none() && request.is_over());
    let last = watched.ok_or_else(cancelled)?.map_err(|error| named(&stage, error))?;
    let (reused, sources) = (last.reused, last.sources);
    let pulled = Pulled { metainfo, tag, path: root, was_there: false, reused, sources };
    Ok(Fetched::Staged { stage, pulled })
}

/// Pulls through the agent of this host, which fetches once for everybody and goes on seeding.
///
/// # Errors
/// Every variant of [`PullError`].
pub async fn pull_through(
    agent: &AgentClient,
    request: &Request,
    observe: impl Fn(Progress) + Send + Sync + 'static,
    stop: &CancellationToken,
) -> Result<Pulled, PullError> {
    let observe = Arc::new(observe);
    let mut is_second = false;
    loop {
        let pulled = pull_once(agent, request, observe.clone(), stop).await;
        match pulled {
            Err(PullError::Deliver(error @ DeliverError::Damaged { .. })) if !is_second => {
                tracing::warn!(%error, "the agent fetches it again");
                agent.remove(start(agent, request).await?.info_hash).await?;
                is_second = true;
            }
            Err(PullError::Evicted) if !is_second => is_second = true,
            pulled => return pulled,
        }
    }
}

async fn pull_once<F>(
    agent: &AgentClient,
    request: &Request,
    observe: Arc<F>,
    stop: &CancellationToken,
) -> Result<Pulled, PullError>
where
    F: Fn(Progress) + Send + Sync + 'static,
{
    let cancelled = || PullError::Cancelled(request.directory.clone());
    let started = stop.run_until_cancelled(start(agent, request)).await;
    let mut pull = started.ok_or_else(cancelled)??;
    let metainfo = stop.run_until_cancelled(agent.metainfo(pull.info_hash)).await;
    let metainfo = Arc::new(metainfo.ok_or_else(cancelled)??);
    if let Some(path) = already_there(&metainfo, request, stop).await? {
        let directory = request.directory.clone();
        blocking(move || deliver::sweep(&directory)).await;
        return Ok(Pulled::there(metainfo, None, path));
    }
    let had_all = pull.state == PullState::Seeding;
    while pull.state != PullState::Seeding {
        if let Some(reason) = pull.reason {
            return Err(FetchError::Failed(reason).into());
        }
        observe(Progress::Fetching(Box::new(pull)));
        if tokio::time::timeout(POLL, stop.cancelled()).await.is_ok() {
            return Err(cancelled());
        }
        let asked = stop.run_until_cancelled(agent.pull(metainfo.info_hash())).await;
        pull = asked.ok_or_else(cancelled)??;
    }
    observe(Progress::Fetching(Box::new(pull.clone())));
    // An agent that wants room does not remove what is being read. Whoever may not lock it may not read it either.
    let Some(_reading) = store::read(&pull.path).ok().flatten() else { return Err(PullError::Evicted) };
    let told = move |event| observe(event);
    let delivered = deliver(&metainfo, &pull.path, request, told, stop).await?;
    let (path, was_there, sources) = (delivered.path, delivered.was_there, pull.sources);
    let reused = if had_all { pull.length } else { pull.reused };
    Ok(Pulled { metainfo, tag: None, path, was_there, reused, sources })
}

/// The agent is told what it can find out itself; files and URLs may be this process's alone.
async fn start(agent: &AgentClient, request: &Request) -> Result<api::Pull, PullError> {
    let Request { source, reuse, .. } = request;
    Ok(match source {
        Source::File(_) | Source::Url(_) => agent.start_metainfo(&source.read().await?, reuse).await?,
        other => agent.start(&other.to_string(), reuse).await?,
    })
}

impl Request {
    fn options(&self) -> deliver::Options {
        let Self { replace, delivery, is_durable, no_preserve, .. } = self.clone();
        deliver::Options { replace, delivery, is_intact: false, is_durable, no_preserve }
    }

    /// Whether its time is over.
    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn holdings(&self, metainfo: &Metainfo) -> Holdings {
        let mut holdings = Holdings::default();
        self.reuse.iter().for_each(|path| holdings.add_path(path.clone()));
        holdings.add_path(self.directory.join(&metainfo.info.name));
        holdings
    }
}

/// Watches a torrent until it is complete.
async fn watch(
    fetcher: &Fetcher,
    metainfo: &Metainfo,
    origins: &[SocketAddr],
    root: &Path,
    observe: &impl Fn(Progress),
) -> Result<api::Pull, PullError> {
    let mut completed = std::pin::pin!(fetcher.complete(metainfo.info_hash()));
    loop {
        let done = tokio::select! {
            completed = &mut completed => { completed?; true }
            () = tokio::time::sleep(POLL) => false,
        };
        let status = fetcher.status(metainfo.info_hash()).ok_or(FetchError::Removed)?;
        let pull = status.describe(metainfo, origins, root.to_path_buf());
        observe(Progress::Fetching(Box::new(pull.clone())));
        if done {
            return Ok(pull);
        }
    }
}

/// The place of the content, when it is there already.
async fn already_there(
    metainfo: &Arc<Metainfo>,
    request: &Request,
    stop: &CancellationToken,
) -> Result<Option<PathBuf>, PullError> {
    let (metainfo, directory, options, stop) =
        (metainfo.clone(), request.directory.clone(), request.options(), stop.clone());
    let look = move || deliver::look(&metainfo.info, &directory, &options, &stop);
    blocking(look).await.map_err(|error| refusal(error, request))
}

async fn deliver(
    metainfo: &Arc<Metainfo>,
    source: &Path,
    request: &Request,
    observe: impl Fn(Progress) + Send + Sync + 'static,
    stop: &CancellationToken,
) -> Result<Delivered, PullError> {
    let (metainfo, source, directory, mut options, stop) =
        (metainfo.clone(), source.to_path_buf(), request.directory.clone(), request.options(), stop.clone());
    let deliver = move || {
        let progress = |done, total| observe(Progress::Delivering { done, total });
        options.is_intact = store::is_intact(&metainfo, &source);
        deliver::deliver(&metainfo.info, &source, &directory, &options, progress, &stop)
    };
    blocking(deliver).await.map_err(|error| refusal(error, request))
}

async fn deliver_fetched(
    metainfo: &Arc<Metainfo>,
    stage: Scratch,
    request: &Request,
    observe: impl Fn(Progress) + Send + 'static,
    stop: &CancellationToken,
) -> Result<Delivered, PullError> {
    let (metainfo, options, stop, request) = (metainfo.clone(), request.options(), stop.clone(), request.clone());
    let deliver = move || {
        observe(Progress::Delivering { done: metainfo.info.length, total: metainfo.info.length });
        let delivered = deliver::deliver_fetched(&metainfo.info, &stage, &request.directory, &options, &stop);
        // What could not be put in its place need not come again.
        stage.keep(match delivered {
            Ok(_) => false,
            Err(DeliverError::Cancelled(_)) => request.is_over(),
            Err(_) => true,
        });
        delivered.map_err(|error| named(&stage, refusal(error, &request)))
    };
    blocking(deliver).await
}

fn refusal(error: DeliverError, request: &Request) -> PullError {
    match error {
        DeliverError::Cancelled(Cancelled) => PullError::Cancelled(request.directory.clone()),
        error => error.into(),
    }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
