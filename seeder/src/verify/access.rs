//! Checking mode bits, owners and directories, where a torrent has them.

use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

use nova_protocol::{
    FilePath,
    metainfo::{Access, Info, Owner},
};

use super::Fault;
use crate::restore::{place, restores_owners};

/// What is not as it was pushed, in the order of the list. Files that are not there are others' to report.
pub(super) fn faults<'a>(info: &'a Info, root: &'a Path) -> impl Iterator<Item = (FilePath, Fault)> + 'a {
    info.access.iter().filter_map(|access| {
        let named = || access.path.clone().or_else(|| FilePath::parse(&info.name).ok());
        fault(access, &place(access, root)).and_then(|fault| Some((named()?, fault)))
    })
}

fn fault(access: &Access, path: &Path) -> Option<Fault> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) if access.is_directory && !metadata.is_dir() => return Some(Fault::Kind),
        Ok(metadata) => metadata,
        Err(_) if !access.is_directory => return None,
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(Fault::Missing),
        Err(error) => return Some(Fault::Unreadable(error.kind())),
    };
    let (mode, owner) = (metadata.mode() & 0o777, Owner { uid: metadata.uid(), gid: metadata.gid() });
    match *access {
        Access { mode: Some(expected), .. } if mode != expected => Some(Fault::Mode { found: mode, expected }),
        Access { owner: Some(expected), .. } if owner != expected && restores_owners() => {
            Some(Fault::Owner { found: owner, expected })
        }
        _ => None,
    }
}
