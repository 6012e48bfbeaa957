use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nova_protocol::{Metainfo, api::TagVersion, metainfo::Info};
use nova_seeder::{fetch::Fetcher, pull, source::Source};

use crate::context::Context;

/// The torrent that a user means, and the tag by which it was named.
#[derive(Debug)]
pub struct Target {
    /// What it is.
    pub metainfo: Metainfo,
    /// The tag that was named.
    pub tag: Option<TagVersion>,
}

/// Reads what the user named; the path of a `.torrent` starts where the command does.
pub fn read(context: &Context, text: &str) -> Result<Source> {
    Ok(match text.parse()? {
        Source::File(path) => Source::File(context.env.path(&path)),
        source => source,
    })
}

/// Finds the torrent. A file is read without asking anybody; for a magnet link of a torrent that the tracker does not
/// know, peers are asked.
pub async fn find(context: &Context, source: &Source) -> Result<Target> {
    let tracker = context.tracker()?;
    let tag = match source {
        Source::Reference(reference) => Some(context.ask(tracker.tag(reference)).await?),
        _ => None,
    };
    let metainfo = match (source, &tag) {
        (_, Some(tag)) => context.ask(tracker.metainfo(tag.info_hash)).await?,
        (Source::InfoHash(info_hash), _) => context.ask(tracker.metainfo(*info_hash)).await?,
        (Source::Magnet(_), _) => of_magnet(context, source).await?,
        _ => context.ask(source.read()).await?,
    };
    Ok(Target { metainfo, tag })
}

async fn of_magnet(context: &Context, source: &Source) -> Result<Metainfo> {
    let fetcher = Fetcher::alone(context.config.listen, &context.tracker()?, pull::STALL_AFTER).await?;
    let resolved = context.ask(source.resolve(&context.tracker()?, &fetcher)).await;
    fetcher.stop().await;
    Ok(resolved?.metainfo.as_ref().clone())
}

/// The directory or file at `path` that holds the content: `path` itself, or what has the torrent's name in it.
pub fn content_at(path: PathBuf, info: &Info) -> PathBuf {
    let inner = path.join(&info.name);
    let listed = info.access.iter().filter_map(|access| access.path.as_ref());
    let mut paths = info.files.iter().map(|file| &file.path).chain(listed);
    let has_own = paths.any(|path| path.segments().first() == Some(&info.name));
    if inner.exists() && (info.is_single_file || !has_own) { inner } else { path }
}

/// The name that a torrent of `path` has; a directory given as `.` has the name of where it leads.
pub fn name_of(name: Option<&str>, path: &Path) -> Result<String> {
    let last = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    let found = name.map(str::to_owned).or_else(|| last(path)).or_else(|| last(&path.canonicalize().ok()?));
    found.with_context(|| format!("{} has no name; give it one with --name", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_named_by_a_dot_has_a_name() {
        let directory = tempfile::Builder::new().prefix("nova").tempdir().unwrap();
        assert!(name_of(None, &directory.path().join(".")).unwrap().starts_with("nova"));
        assert_eq!(name_of(Some("x"), Path::new("/y")).unwrap(), "x");
        assert!(name_of(None, Path::new("/")).is_err());
    }
}
