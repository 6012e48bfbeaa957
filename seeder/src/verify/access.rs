//! Checking mode bits, owners and directories, where a torrent has them.

use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

use nova_protocol::{
    FilePath,
    metainfo::{Access, Info, Owner},
};

use super::Fault;
use crate::{
    create::Preserve,
    restore::{is_mode, owner, place},
};

/// What is not as it was pushed, in the order of the list. What is wrong with a file in other ways is others' to report.
pub(super) fn faults<'a>(
    info: &'a Info,
    root: &'a Path,
    no_preserve: &'a [Preserve],
) -> impl Iterator<Item = (FilePath, Fault)> + 'a {
    info.access.iter().flat_map(|access| {
        let named = access.path.clone().or_else(|| FilePath::parse(&info.name).ok());
        let found = faults_of(access, &place(access, root), no_preserve).into_iter().flatten();
        found.filter_map(move |fault| Some((named.clone()?, fault)))
    })
}

fn faults_of(access: &Access, path: &Path, no_preserve: &[Preserve]) -> [Option<Fault>; 2] {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(_) if !access.is_directory => return [None, None],
        Err(error) if error.kind() == ErrorKind::NotFound => return [Some(Fault::Missing), None],
        Err(error) => return [Some(Fault::Unreadable(error.kind())), None],
    };
    if access.is_directory != metadata.is_dir() {
        return [access.is_directory.then_some(Fault::Kind), None];
    }
    let found = metadata.mode() & 0o1777;
    let mode = access.mode.filter(|_| !no_preserve.contains(&Preserve::Mode) && !metadata.is_symlink());
    let mode = mode.filter(|&expected| !is_mode(access, found, expected));
    let mode = mode.map(|expected| Fault::Mode { found, expected });
    let found = Owner { uid: metadata.uid(), gid: metadata.gid() };
    let owner = owner(access, no_preserve).filter(|&expected| found != expected);
    [mode, owner.map(|expected| Fault::Owner { found, expected })]
}
