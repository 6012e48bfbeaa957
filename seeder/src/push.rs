//! `push`: a path becomes a torrent, origins fetch it from here, a tag moves to it.

mod upload;

use std::{
    io,
    net::SocketAddr,
    num::NonZeroU32,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use nova_protocol::{
    InfoHash, Reference,
    api::{MoveTag, TagVersion, TorrentStatus},
};
use tokio_util::sync::CancellationToken;

use self::upload::Upload;
use crate::{
    create::{self, CreateError, Created},
    service::ServiceError,
    tracker::TrackerClient,
    upload::Limits,
};

const POLL: Duration = Duration::from_millis(200);
/// How long the tracker may be away, no origin live, or all of them failed, before the push gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to push, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// A file or a directory.
    pub path: PathBuf,
    /// Where the tag shall be; the name of the path and `latest` when absent.
    pub reference: Option<Reference>,
    /// How to make the torrent.
    pub create: create::Options,
    /// The version that the tag must have now, 0 for none.
    pub expected_version: Option<u64>,
    /// What the history says of who pushed.
    pub pusher: String,
    /// Where the upload engine listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Bytes of content that leave in a second, at least 64 KiB.
    pub upload_limit: Option<NonZeroU32>,
}

/// What a push is doing.
#[derive(Debug, Clone)]
pub enum Progress {
    /// Pieces are hashed.
    Hashing {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The tracker has the torrent.
    Registered(TorrentStatus),
    /// Origins fetch.
    Uploading {
        /// Bytes that have left this process.
        sent: u64,
        /// How far each origin is.
        status: TorrentStatus,
    },
}

/// A push that is done.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The tag as it is now.
    pub tag: TagVersion,
    /// Bytes that left this process; 0 for content that was there already.
    pub sent: u64,
    /// Live origins that hold all of it.
    pub replicas: usize,
}

/// Why a push did not end in a tag.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// There is no torrent of the path.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The name of the path makes no reference.
    #[error("{0:?} makes no reference: {1}; give one, as in `push PATH NAME:TAG`")]
    Reference(String, nova_protocol::ReferenceError),
    /// The tracker said no, or nothing.
    #[error(transparent)]
    Tracker(#[from] ServiceError),
    /// The upload engine cannot listen.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// No origin is there to take the content.
    #[error("no origin is live, so nothing can hold the content: start one (`nova-seeder origin`) and push again")]
    NoOrigin,
    /// Origins are there, and none has room.
    #[error("no origin has room for {needed} bytes: {offers}; free some there, or add an origin")]
    NoRoom {
        /// Bytes of content.
        needed: u64,
        /// What each has.
        offers: String,
    },
    /// Every origin gave up.
    #[error("every origin failed: {0}")]
    OriginsFailed(String),
    /// A file could not be read any more.
    #[error("the content changed while it was pushed: {0}; push again")]
    Changed(io::Error),
    /// Origins got all of it and more, and pieces of it still do not verify.
    #[error(
        "{0} bytes left for {1} bytes of content and it does not verify: it changed while it was pushed; push again"
    )]
    NotVerified(u64, u64),
    /// The token was cancelled.
    #[error("cancelled; what origins have got stays there, and the next push of the same content goes on from it")]
    Cancelled,
}

/// Pushes a path. Content that enough origins hold already costs hashing and three small requests.
///
/// `observe` is called from many threads while hashing.
///
/// # Errors
/// Every variant of [`PushError`].
pub async fn push(
    tracker: &TrackerClient,
    request: Request,
    observe: impl Fn(Progress) + Send + Sync + 'static,
    stop: &CancellationToken,
) -> Result<Pushed, PushError> {
    let observe = Arc::new(observe);
    // A path or a tracker that is not there is better found out before hashing than after.
    let found = tokio::fs::metadata(&request.path).await;
    found.map_err(|source| CreateError::Read { path: request.path.clone(), source })?;
    tracker.ready().await?;
    let created = hash(&request, observe.clone(), stop).await?;
    let reference = match request.reference {
        Some(reference) => reference,
        None => reference_of(&created.metainfo.info.name)?,
    };
    let info_hash = created.metainfo.info_hash();
    let metainfo = created.metainfo.with_similar(similar(tracker, &reference, info_hash).await.as_slice());
    let status = patiently(|| tracker.put_torrent(&metainfo), stop).await?;
    observe(Progress::Registered(status.clone()));
    let (status, sent) = if status.is_replicated() {
        (status, 0)
    } else {
        let limits = Limits { connections: 512, bytes_per_second: request.upload_limit };
        let upload = Upload::start(tracker, &created, request.listen, limits).await?;
        let ended = upload.until_replicated(tracker, status, observe.as_ref(), stop).await;
        upload.end().await;
        ended?
    };
    let body = MoveTag { info_hash, expected_version: request.expected_version, pusher: request.pusher };
    let tag = patiently(|| tracker.move_tag(&reference, &body), stop).await?;
    Ok(Pushed { tag, sent, replicas: status.complete_replicas() })
}

/// What the tag points to now: whoever has that has most of this, as a rule (BEP 38).
async fn similar(tracker: &TrackerClient, reference: &Reference, info_hash: InfoHash) -> Option<InfoHash> {
    let now = tracker.tag(reference).await.ok()?.info_hash;
    (now != info_hash).then_some(now)
}

/// Asks until there is an answer, for as long as a tracker may take to restart.
async fn patiently<T, F>(ask: impl Fn() -> F, stop: &CancellationToken) -> Result<T, PushError>
where
    F: Future<Output = Result<T, ServiceError>>,
{
    let start = Instant::now();
    loop {
        match ask().await {
            Err(error) if error.is_temporary() && start.elapsed() < PATIENCE => {}
            answer => return Ok(answer?),
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = stop.cancelled() => return Err(PushError::Cancelled),
        }
    }
}

async fn hash<F>(request: &Request, observe: Arc<F>, stop: &CancellationToken) -> Result<Created, PushError>
where
    F: Fn(Progress) + Send + Sync + 'static,
{
    let (path, options, stop) = (request.path.clone(), request.create.clone(), stop.clone());
    let hash = move || create::create(&path, &options, |done, total| observe(Progress::Hashing { done, total }), &stop);
    match tokio::task::spawn_blocking(hash).await {
        Ok(Err(CreateError::Cancelled(_))) => Err(PushError::Cancelled),
        Ok(created) => Ok(created?),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The reference of a path that is pushed without one.
fn reference_of(name: &str) -> Result<Reference, PushError> {
    let refused = |error| PushError::Reference(name.to_owned(), error);
    Ok(Reference { name: name.parse().map_err(refused)?, tag: nova_protocol::Tag::latest() })
}
