//! Where a user wants content, and who fetches it there.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use nova_protocol::InfoHash;
use tokio_util::sync::CancellationToken;

use crate::{
    agent_client::AgentClient,
    deliver::Replace,
    pull::{self, Progress, PullError, Pulled, Request},
    source::{ResolveError, Source},
    tracker::TrackerClient,
    versions::Versions,
};

/// Where content goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// Into this directory, under the name that the torrent has.
    Directory(PathBuf),
    /// Into a directory of versions beside this symlink, which is swapped to it in one step; see [`Versions`].
    Link(PathBuf),
}

/// Who fetches.
#[derive(Debug, Clone)]
pub enum Through {
    /// An agent of this host.
    Agent(AgentClient),
    /// This process, as a peer of its own.
    Alone(TrackerClient),
}

impl Through {
    /// Pulls into the directory of the request.
    ///
    /// # Errors
    /// Every variant of [`PullError`].
    pub async fn pull(
        &self,
        request: &Request,
        observe: impl Fn(Progress) + Send + Sync + 'static,
        stop: &CancellationToken,
    ) -> Result<Pulled, PullError> {
        match self {
            Self::Agent(agent) => pull::pull_through(agent, request, observe, stop).await,
            Self::Alone(tracker) => pull::pull(tracker, request, observe, stop).await,
        }
    }

    /// Pulls a torrent to a place; the directory of the request is not used. Where a version is delivered for a
    /// symlink, whatever differs from it makes way: that directory is nova's.
    ///
    /// # Errors
    /// Every variant of [`PullError`].
    pub async fn pull_to(
        &self,
        place: &Place,
        info_hash: InfoHash,
        request: Request,
        observe: impl Fn(Progress) + Send + Sync + 'static,
        stop: &CancellationToken,
    ) -> Result<Pulled, PullError> {
        match place {
            Place::Directory(directory) => {
                self.pull(&Request { directory: directory.clone(), ..request }, observe, stop).await
            }
            Place::Link(link) => self.pull_behind(link, info_hash, request, observe, stop).await,
        }
    }

    async fn pull_behind(
        &self,
        link: &Path,
        info_hash: InfoHash,
        request: Request,
        observe: impl Fn(Progress) + Send + Sync + 'static,
        stop: &CancellationToken,
    ) -> Result<Pulled, PullError> {
        let (path, replace) = (link.to_path_buf(), matches!(request.replace, Replace::Anything));
        let versions = pull::blocking(move || Versions::open(&path, replace)).await?;
        let directory = versions.directory(info_hash);
        let is_durable = request.is_durable;
        let mut request = Request { directory, replace: Replace::Anything, ..request };
        // An agent has the version before, unless it made way.
        request.reuse.extend(fs::canonicalize(link).ok().filter(|_| matches!(self, Self::Alone(_))));
        let pulled = self.pull(&request, observe, stop).await.map_err(|error| match error {
            PullError::Fetch(_) | PullError::Deliver(_) | PullError::Stage { .. } | PullError::Busy(_) => {
                PullError::Version(versions.named(&error.to_string()))
            }
            PullError::Cancelled(_) => PullError::Cancelled(link.to_path_buf()),
            other => other,
        })?;
        let name = pulled.metainfo.info.name.clone();
        let was_current = versions.current() == Some(info_hash);
        pull::blocking(move || versions.swap(info_hash, &name, is_durable)).await?;
        Ok(Pulled { path: link.to_path_buf(), was_there: pulled.was_there && was_current, ..pulled })
    }
}

/// The info hash that a source stands for now.
///
/// # Errors
/// [`ResolveError`].
pub async fn info_hash_of(source: &Source, tracker: &TrackerClient) -> Result<InfoHash, ResolveError> {
    Ok(match source {
        Source::Reference(reference) => tracker.tag(reference).await?.info_hash,
        Source::InfoHash(info_hash) => *info_hash,
        Source::Magnet(magnet) => magnet.info_hash,
        Source::File(_) | Source::Url(_) => source.read().await?.info_hash(),
    })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) | Self::Link(path) => path.display().fmt(f),
        }
    }
}
