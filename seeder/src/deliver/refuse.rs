//! What cannot be delivered, as far as that can be known before it is fetched.

use std::{
    collections::BTreeSet,
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::Path,
};

use nova_protocol::metainfo::{Info, Owner};

use super::{DeliverError, Delivery, Options, write_error};
use crate::{
    create::Preserve,
    restore::{gives, owner},
};

/// Mode bits that no file has at first.
const TRIED: u32 = 0o751;

/// What the names of directories begin with that pulls and deliveries make, and remove.
const OWN: &str = ".nova-";

pub(super) fn refuse(info: &Info, directory: &Path, options: &Options) -> Result<(), DeliverError> {
    if info.name.starts_with(OWN) {
        return Err(DeliverError::Name(info.name.clone()));
    }
    let no_preserve = &options.no_preserve;
    if !gives(info, no_preserve) {
        return Ok(());
    }
    if options.delivery == Delivery::HardLink {
        let reason = "it was pushed with mode bits or owners, which a hard link would give to the agent's own file: use \
                      --delivery=reflink or --delivery=copy, or --no-preserve=mode,ownership";
        let (file, directory) = ((&info.name).into(), directory.to_path_buf());
        return Err(DeliverError::Share { delivery: Delivery::HardLink, file, directory, reason: reason.to_owned() });
    }
    let probe = fs::create_dir_all(directory).and_then(|()| tempfile::tempfile_in(directory));
    let probe = probe.map_err(|source| write_error(directory, source))?;
    if !no_preserve.contains(&Preserve::Mode) && info.access.iter().any(|access| access.mode.is_some()) {
        try_mode(&probe).map_err(|source| DeliverError::Mode { directory: directory.to_path_buf(), source })?;
    }
    let owners: BTreeSet<Owner> = info.access.iter().filter_map(|access| owner(access, no_preserve)).collect();
    for owner in owners {
        let directory = directory.to_path_buf();
        try_owner(&probe, owner).map_err(|source| DeliverError::Owner { directory, owner, source })?;
    }
    Ok(())
}

fn try_mode(probe: &File) -> io::Result<()> {
    probe.set_permissions(Permissions::from_mode(TRIED))?;
    is_so(probe.metadata()?.mode() & 0o777 == TRIED)
}

fn try_owner(probe: &File, owner: Owner) -> io::Result<()> {
    fchown(probe, Some(owner.uid), Some(owner.gid))?;
    let found = probe.metadata()?;
    is_so((found.uid(), found.gid()) == (owner.uid, owner.gid))
}

/// Some file systems pass over what they cannot do.
fn is_so(is_so: bool) -> io::Result<()> {
    if is_so { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}
