//! What is where the content goes, and whether it makes way.

use std::{
    collections::HashSet,
    fs::{self, Metadata},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use nova_protocol::metainfo::Info;
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use super::{DeliverError, Options, Replace, write_error};
use crate::{content::Cancelled, create::Preserve, verify::matches};

/// How a name can be had that does not lead to the content yet.
pub(super) enum Way {
    /// Nothing has it.
    Free,
    /// What has it makes way.
    MakesWay(Old),
}

/// What makes way: the stamp of a version that was recognised, none when anything does.
pub(super) struct Old(Option<u64>);

impl Old {
    pub fn of(replace: &Replace, path: &Path) -> Self {
        Self(matches!(replace, Replace::Versions(_)).then(|| stamp(path)))
    }

    /// Whether it is what was looked at, now that it is at `path`.
    pub fn is_still(&self, path: &Path) -> bool {
        self.0.is_none_or(|stamp_then| stamp(path) == stamp_then)
    }
}

/// How the content gets the name `path`; `None` when it has it already.
pub(super) fn way(
    info: &Info,
    path: &Path,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Option<Way>, DeliverError> {
    let Some(existing) = existing(path)? else { return Ok(Some(Way::Free)) };
    // What is changed while it is looked at has changed since.
    let old = Old::of(&options.replace, path);
    let is = |version: &Info| is_delivered(version, path, &existing, &options.no_preserve, cancel);
    if is(info)? {
        return Ok(None);
    }
    let makes_way = match &options.replace {
        Replace::Nothing => false,
        Replace::Anything => true,
        Replace::Versions(versions) => {
            let mut is_one = false;
            for version in versions {
                is_one = is_one || is(version)?;
            }
            is_one
        }
    };
    if makes_way { Ok(Some(Way::MakesWay(old))) } else { Err(DeliverError::Exists(path.to_path_buf())) }
}

/// What has this name already; a symlink is what it is, not what it leads to.
fn existing(path: &Path) -> Result<Option<Metadata>, DeliverError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(write_error(path, error)),
    }
}

/// What changes when something in a tree is written to, made, removed or replaced, and not when the tree is renamed.
fn stamp(root: &Path) -> u64 {
    let mut known = DefaultHasher::new();
    for entry in WalkDir::new(root).sort_by_file_name() {
        let found = entry.and_then(|entry| {
            let found = entry.metadata()?;
            // Renaming a directory may count as a change of it, as opening one to its owner does.
            let file = (!found.is_dir()).then(|| (found.len(), found.mtime(), found.mtime_nsec(), found.mode()));
            let name = entry.path().strip_prefix(root).map(Path::to_path_buf);
            Ok((name.ok(), found.is_dir(), found.uid(), file))
        });
        found.ok().hash(&mut known);
    }
    known.finish()
}

/// Whether this very content is there, and nothing else with it.
fn is_delivered(
    info: &Info,
    path: &Path,
    existing: &Metadata,
    no_preserve: &[Preserve],
    cancel: &CancellationToken,
) -> Result<bool, Cancelled> {
    let same_kind = if info.is_single_file { existing.is_file() } else { existing.is_dir() };
    Ok(same_kind && has_nothing_else(info, path) && matches(info, path, no_preserve, cancel)?)
}

/// Whether there are as many entries as the content has. Directories count where it lists them: elsewhere an empty one is
/// nobody's.
fn has_nothing_else(info: &Info, path: &Path) -> bool {
    let counted = WalkDir::new(path).into_iter().try_fold((0, 0), |(files, directories), entry| {
        let is_directory = entry.ok()?.file_type().is_dir();
        Some((files + usize::from(!is_directory), directories + usize::from(is_directory)))
    });
    counted.is_some_and(|(files, directories)| {
        files == info.stored_files().count() && (info.access.is_empty() || directories == directory_count(info))
    })
}

/// How many directories there are in the content, itself with them: those that are listed, and those that others are in.
fn directory_count(info: &Info) -> usize {
    if info.is_single_file {
        return 0;
    }
    let listed = info.access.iter().filter(|access| access.is_directory);
    let listed = listed.filter_map(|access| Some(access.path.as_ref()?.segments()));
    let parents = info.stored_files().map(|file| &file.path.segments()[..file.path.segments().len() - 1]);
    let mut found = HashSet::from([[].as_slice()]);
    for mut directory in listed.chain(parents) {
        while let Some((_, parent)) = directory.split_last()
            && found.insert(directory)
        {
            directory = parent;
        }
    }
    found.len()
}
