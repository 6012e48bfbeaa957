//! What a torrent keeps of files and directories only when it is asked to.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

use nova_protocol::{
    FilePath,
    metainfo::{Access, Owner},
};

/// What else to keep, in the words of `cp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preserve {
    /// Who may read, write and execute. Bits that would give rights of their owner to others (set-id, sticky) are not kept.
    Mode,
    /// User and group, by number.
    Ownership,
}

/// What is kept of a file or directory; nothing when nothing shall be.
pub(super) fn access(path: Option<FilePath>, metadata: &Metadata, preserve: &[Preserve]) -> Option<Access> {
    let keeps = |what| preserve.contains(&what);
    let mode = (keeps(Preserve::Mode) && !metadata.is_symlink()).then(|| metadata.mode() & 0o777);
    let owner = keeps(Preserve::Ownership).then(|| Owner { uid: metadata.uid(), gid: metadata.gid() });
    (mode.is_some() || owner.is_some()).then(|| Access { path, is_directory: metadata.is_dir(), mode, owner })
}
