//! What a user may pull, and finding out what it is.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc};

use nova_protocol::{
    InfoHash, Magnet, Metainfo, MetainfoError, Reference, ReferenceError, api::TagVersion, magnet::MagnetError,
    metainfo::LIMITS,
};

use crate::{
    fetch::{FetchError, Fetcher},
    service::{ServiceError, innermost},
    tracker::TrackerClient,
};

/// What a user says to pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `NAME:TAG`.
    Reference(Reference),
    /// 40 hexadecimal digits.
    InfoHash(InfoHash),
    /// `magnet:?...`.
    Magnet(Magnet),
    /// The path of a `.torrent` file.
    File(PathBuf),
    /// The URL of a `.torrent` file.
    Url(String),
}

/// What there is to pull, and where.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What it is.
    pub metainfo: Arc<Metainfo>,
    /// The tag that was asked for.
    pub tag: Option<TagVersion>,
    /// Where origins that hold it serve it or fetch it.
    pub origins: Vec<SocketAddr>,
}

/// A text that says nothing to pull.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Neither a reference nor anything else.
    #[error("{0}; expected NAME:TAG, an info hash, a magnet link, or the path or URL of a .torrent file")]
    Reference(#[from] ReferenceError),
    /// A magnet link, but a wrong one.
    #[error(transparent)]
    Magnet(#[from] MagnetError),
}

/// Why there is nothing to pull.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The tracker said no, or nothing.
    #[error(transparent)]
    Tracker(#[from] ServiceError),
    /// The `.torrent` file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The URL gives nothing.
    #[error("cannot get {0}: {1}")]
    Get(String, String),
    /// What it gives is not a `.torrent`.
    #[error("{0}: {1}")]
    Metainfo(String, MetainfoError),
    /// Nobody gave the metainfo of a magnet link.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if text.starts_with("magnet:") {
            return Ok(Self::Magnet(text.parse()?));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Url(text.to_owned()));
        }
        if text.ends_with(".torrent") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        match text.parse() {
            Ok(info_hash) => Ok(Self::InfoHash(info_hash)),
            Err(_) => Ok(Self::Reference(text.parse()?)),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(reference) => reference.fmt(f),
            Self::InfoHash(info_hash) => info_hash.fmt(f),
            Self::Magnet(magnet) => magnet.fmt(f),
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

impl Source {
    /// Finds out what there is to pull. The tracker's word comes first, since its metainfo names the tracker; for a
    /// magnet link of a torrent that it does not know, peers are asked through `fetcher`.
    ///
    /// # Errors
    /// Every variant of [`ResolveError`].
    pub async fn resolve(&self, tracker: &TrackerClient, fetcher: &Fetcher) -> Result<Resolved, ResolveError> {
        let (info_hash, tag, own) = match self {
            Self::Reference(reference) => {
                let tag = tracker.tag(reference).await?;
                (tag.info_hash, Some(tag), None)
            }
            Self::InfoHash(info_hash) => (*info_hash, None, None),
            Self::Magnet(magnet) => (magnet.info_hash, None, None),
            Self::File(_) | Self::Url(_) => {
                let metainfo = self.read().await?;
                (metainfo.info_hash(), None, Some(metainfo))
            }
        };
        let metainfo = match (tracker.metainfo(info_hash).await, own, self) {
            (Ok(metainfo), _, _) | (Err(_), Some(metainfo), _) => metainfo,
            (Err(_), None, Self::Magnet(magnet)) => fetcher.metainfo_of(magnet).await?,
            (Err(error), None, _) => return Err(error.into()),
        };
        let origins = origins(tracker, info_hash).await;
        Ok(Resolved { metainfo: Arc::new(metainfo), tag, origins })
    }

    /// The metainfo of a file or a URL, as it says itself.
    ///
    /// # Errors
    /// [`ResolveError::Read`], [`ResolveError::Get`], [`ResolveError::Metainfo`].
    pub async fn read(&self) -> Result<Metainfo, ResolveError> {
        let bytes = match self {
            Self::File(path) => {
                let failed = |source| ResolveError::Read { path: path.clone(), source };
                let length = tokio::fs::metadata(path).await.map_err(failed)?.len();
                if length > LIMITS.bytes as u64 {
                    return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "too large for a .torrent file")));
                }
                tokio::fs::read(path).await.map_err(failed)?
            }
            other => get(&other.to_string()).await.map_err(|reason| ResolveError::Get(other.to_string(), reason))?,
        };
        Metainfo::parse(bytes).map_err(|error| ResolveError::Metainfo(self.to_string(), error))
    }
}

/// Where origins are, as far as the tracker knows. Only what is told to the user depends on it.
pub(crate) async fn origins(tracker: &TrackerClient, info_hash: InfoHash) -> Vec<SocketAddr> {
    let replicas = tracker.torrent(info_hash).await.map(|status| status.replicas).unwrap_or_default();
    replicas.into_iter().flat_map(|replica| [replica.peer_addr, replica.fetch_addr]).collect()
}

async fn get(url: &str) -> Result<Vec<u8>, String> {
    let text = |error: reqwest::Error| innermost(&error);
    let mut response = reqwest::get(url).await.and_then(reqwest::Response::error_for_status).map_err(text)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(text)? {
        if bytes.len() + chunk.len() > LIMITS.bytes {
            return Err("too large for a .torrent file".to_owned());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_by_its_form() {
        let hash = "0123456789abcdef0123456789abcdef01234567";
        let read = |text: &str| text.parse::<Source>();
        assert!(matches!(read("models/demo:v1"), Ok(Source::Reference(_))));
        assert!(matches!(read(hash), Ok(Source::InfoHash(_))));
        assert!(matches!(read(&format!("magnet:?xt=urn:btih:{hash}")), Ok(Source::Magnet(_))));
        assert!(matches!(read("./demo.torrent"), Ok(Source::File(_))));
        assert!(matches!(read("http://host/x"), Ok(Source::Url(_))));
        for text in ["", "magnet:?x", "a b", "../x"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
