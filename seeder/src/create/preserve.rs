//! What a torrent keeps of files and directories only when it is asked to.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

use clap::ValueEnum;
use nova_protocol::{
    FilePath,
    metainfo::{Access, Owner},
};
use serde::{Deserialize, Serialize};

/// What is not of the content itself, in the words of `cp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preserve {
    /// Who may read, write and execute, and the sticky bit of directories. Set-id bits are not kept.
    Mode,
    /// User and group, by number.
    Ownership,
}

/// What is kept of a file or directory; nothing when nothing shall be.
pub(super) fn access(path: Option<FilePath>, metadata: &Metadata, preserve: &[Preserve]) -> Option<Access> {
    let keeps = |what| preserve.contains(&what);
    let bits = if metadata.is_dir() { 0o1777 } else { 0o777 };
    let mode = (keeps(Preserve::Mode) && !metadata.is_symlink()).then(|| metadata.mode() & bits);
    let owner = keeps(Preserve::Ownership).then(|| Owner { uid: metadata.uid(), gid: metadata.gid() });
    (mode.is_some() || owner.is_some()).then(|| Access { path, is_directory: metadata.is_dir(), mode, owner })
}
