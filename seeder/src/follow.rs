//! A directory that stays at a tag: what the tag points to is pulled, and again whenever it moves.

pub mod config;
mod execute;
mod news;
mod pace;

use std::{fmt::Display, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use nova_protocol::{InfoHash, Reference, api::TagVersion, metainfo::Info};
use tokio_util::sync::CancellationToken;

use self::{execute::execute, news::News, pace::backoff};
use crate::{
    create::Preserve,
    deliver::{DeliverError, Delivery, Replace},
    place::{Place, Through},
    pull::{self, Progress, PullError, Pulled, Request},
    service::ServiceError,
    source::Source,
    tracker::TrackerClient,
};

/// The longest pause after pulls that failed.
const FAILED_PAUSE: Duration = Duration::from_mins(1);

/// How long a command may go on once the watch has ended.
const COMMAND_ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Versions of a tag that make way for the newest, before this process has delivered any.
const EARLIER: usize = 16;

/// What stays where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// The tag.
    pub reference: Reference,
    /// Where its content is kept.
    pub place: Place,
    /// How it gets there from an agent's store.
    pub delivery: Delivery,
    /// What was pushed with its content and is not given to it.
    pub no_preserve: Vec<Preserve>,
    /// Whether anything makes way, even what a user has changed.
    pub replace: bool,
    /// A command for the shell, run when the content is in its place: once at the start, since it may have been cut
    /// short before, and after each move.
    pub exec: Option<String>,
    /// Files and directories, absolute, that may have parts of it.
    pub reuse: Vec<PathBuf>,
    /// Where a pull without an agent listens for peers.
    pub listen: SocketAddr,
    /// How long nothing may come from peers before a pull without an agent takes content from an origin over HTTP.
    pub stall_after: Duration,
}

/// What happens meanwhile. Whatever it is, the place holds one whole version.
#[derive(Debug)]
pub enum Event {
    /// A pull is under way.
    Progress(Progress),
    /// A version is in its place, or was there already.
    Placed {
        /// The version.
        tag: Box<TagVersion>,
        /// Where it came from.
        pulled: Box<Pulled>,
    },
    /// There is no such tag: it is waited for. Told once.
    Absent,
    /// The tracker does not answer, and why. Told once.
    Away(String),
    /// The tracker answers again.
    Back,
    /// A version could not be put in its place, which is tried again; why. The same reason is told once.
    Failed(String),
    /// The command failed, and how.
    CommandFailed(String),
}

/// Follows until `stop`. A pull under way ends or leaves nothing; a command under way is waited for, not for long.
pub async fn follow<F>(
    follow: &Follow,
    tracker: &TrackerClient,
    through: &Through,
    observe: F,
    stop: &CancellationToken,
) where
    F: Fn(Event) + Send + Sync + 'static,
{
    let follower = Follower { follow, tracker, through, observe: Arc::new(observe), stop };
    let mut news = News::new(tracker.clone(), follow.reference.clone());
    let _stopped = stop.run_until_cancelled(news.connect()).await;
    follower.run(&mut news).await;
}

struct Follower<'a, F> {
    follow: &'a Follow,
    tracker: &'a TrackerClient,
    through: &'a Through,
    observe: Arc<F>,
    stop: &'a CancellationToken,
}

/// What is in its place, and what was told last.
#[derive(Default)]
struct State {
    placed: Option<TagVersion>,
    /// What this process has put there.
    own: Option<Arc<Info>>,
    is_away: bool,
    is_absent: bool,
    told: Option<String>,
    /// In a row.
    failures: u32,
}

impl<F> Follower<'_, F>
where
    F: Fn(Event) + Send + Sync + 'static,
{
    async fn run(&self, news: &mut News) {
        let mut state = State::default();
        loop {
            let Some(asked) = self.stop.run_until_cancelled(self.tracker.tag(&self.follow.reference)).await else {
                return;
            };
            let answered = self.told_of_tracker(asked, &mut state);
            if let Some(tag) = answered.filter(|tag| state.placed.as_ref() != Some(tag)) {
                self.move_to(tag, news, &mut state).await;
                if state.failures == 0 {
                    // News of the next move may have come, and gone, meanwhile.
                    continue;
                }
            }
            let again = backoff(state.failures, FAILED_PAUSE);
            tokio::select! {
                () = news.wait() => {}
                () = tokio::time::sleep(again), if state.failures > 0 => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// The tag, if there is one; tells of a tracker or a tag that went or came.
    fn told_of_tracker(&self, asked: Result<TagVersion, ServiceError>, state: &mut State) -> Option<TagVersion> {
        let is_away = asked.as_ref().is_err_and(|error| !error.is_not_found());
        match (&asked, state.is_away) {
            (Err(error), false) if is_away => self.tell(Event::Away(error.to_string())),
            (_, true) if !is_away => self.tell(Event::Back),
            _ => {}
        }
        state.is_away = is_away;
        let is_absent = asked.as_ref().is_err_and(ServiceError::is_not_found);
        if is_absent && !state.is_absent {
            self.tell(Event::Absent);
            // A tag that comes again is put in its place again, whatever its version.
            state.placed = None;
        }
        state.is_absent = is_absent || (is_away && state.is_absent);
        asked.ok()
    }

    async fn move_to(&self, tag: TagVersion, news: &mut News, state: &mut State) {
        match self.place_unless_superseded(&tag, news, state).await {
            Some(Ok(pulled)) => {
                (state.failures, state.told, state.own) = (0, None, Some(pulled.metainfo.info.clone()));
                let path = pulled.path.clone();
                self.tell(Event::Placed { tag: Box::new(tag.clone()), pulled: Box::new(pulled) });
                self.execute(&tag, path).await;
                state.placed = Some(tag);
            }
            Some(Err(error)) => {
                state.failures += 1;
                let text = error.to_string();
                if !self.stop.is_cancelled() && state.told.as_ref() != Some(&text) {
                    self.tell(Event::Failed(text.clone()));
                    state.told = Some(text);
                }
            }
            None => state.failures = 0,
        }
    }

    /// `None` when the tag moved on meanwhile, and the pull was given up.
    async fn place_unless_superseded(
        &self,
        tag: &TagVersion,
        news: &mut News,
        state: &State,
    ) -> Option<Result<Pulled, PullError>> {
        let stop = self.stop.child_token();
        let mut placed = std::pin::pin!(self.place(tag, state.own.as_ref(), &stop));
        tokio::select! {
            placed = &mut placed => return Some(placed),
            () = self.superseded(tag.info_hash, news) => stop.cancel(),
        }
        // Waited for: it may have been done in the same instant, and otherwise cleans up.
        placed.await.ok().map(Ok)
    }

    async fn superseded(&self, info_hash: InfoHash, news: &mut News) {
        loop {
            news.wait().await;
            match self.tracker.tag(&self.follow.reference).await {
                Ok(now) if now.info_hash != info_hash => return,
                Err(error) if error.is_not_found() => return,
                _ => {}
            }
        }
    }

    async fn place(
        &self,
        tag: &TagVersion,
        own: Option<&Arc<Info>>,
        stop: &CancellationToken,
    ) -> Result<Pulled, PullError> {
        let follow = self.follow;
        // Whoever stops this does not wait for a tracker that does not answer.
        let _stopped = stop.run_until_cancelled(self.sweep_others(tag)).await;
        let pull = async |replace| {
            let request = Request {
                source: Source::InfoHash(tag.info_hash),
                directory: PathBuf::new(),
                replace,
                delivery: follow.delivery,
                is_durable: true,
                no_preserve: follow.no_preserve.clone(),
                reuse: follow.reuse.clone(),
                listen: follow.listen,
                stall_after: follow.stall_after,
                deadline: None,
            };
            let observe = self.observe.clone();
            let observe = move |progress| observe(Event::Progress(progress));
            self.through.pull_to(&follow.place, tag.info_hash, request, observe, stop).await
        };
        if follow.replace {
            return pull(Replace::Anything).await;
        }
        match pull(Replace::Versions(own.cloned().into_iter().collect())).await {
            // What is there may have been put there before this process started.
            Err(PullError::Deliver(DeliverError::Exists(_))) => pull(Replace::Versions(self.earlier(tag).await?)).await,
            pulled => pulled,
        }
    }

    /// Removes what pulls of other versions have left that were cut, since the tag has moved on: there may be no room for two.
    async fn sweep_others(&self, tag: &TagVersion) {
        let (Through::Alone(tracker), Place::Directory(directory)) = (self.through, &self.follow.place) else { return };
        let Ok(history) = tracker.history(&tag.reference).await else { return };
        let (directory, current) = (directory.clone(), tag.info_hash);
        let others =
            history.versions.into_iter().map(|version| version.info_hash).filter(move |&other| other != current);
        pull::blocking(move || others.for_each(|other| pull::sweep(&directory, other))).await;
    }

    /// What the tag pointed to before; there is nothing to lose in it, since it can be pulled again.
    async fn earlier(&self, tag: &TagVersion) -> Result<Vec<Arc<Info>>, ServiceError> {
        let mut hashes = Vec::new();
        for version in self.tracker.history(&tag.reference).await?.versions {
            if version.info_hash != tag.info_hash && !hashes.contains(&version.info_hash) {
                hashes.push(version.info_hash);
            }
        }
        let mut earlier = Vec::new();
        for info_hash in hashes.into_iter().take(EARLIER) {
            match self.tracker.metainfo(info_hash).await {
                Ok(metainfo) => earlier.push(metainfo.info),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(earlier)
    }

    async fn execute(&self, tag: &TagVersion, path: PathBuf) {
        let Some(command) = &self.follow.exec else { return };
        if let Err(error) = execute(command, tag, path, self.stop, COMMAND_ENDS_WITHIN).await {
            self.tell(Event::CommandFailed(error.to_string()));
        }
    }

    fn tell(&self, event: Event) {
        (self.observe)(event);
    }
}

impl Display for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.place, self.reference)
    }
}
