//! Content built out of an agent's store, which keeps it, or out of what a pull has fetched.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nova_protocol::metainfo::{self, FileKind, Info};
use tokio_util::sync::CancellationToken;

use super::{
    DeliverError, Delivery, Options,
    copy::{CopyError, copy, copy_intact},
    share,
    stage::{Stage, make_parents},
};
use crate::{
    content::{Cancelled, Content, open_file},
    verify::{Check, verify},
};

/// Gives the files that a pull has fetched to where they are what only a delivery gives.
pub(super) fn adopt(stage: &Stage<'_>) -> Result<(), DeliverError> {
    for (index, file) in stage.info.files.iter().enumerate().filter(|(_, file)| file.kind.has_content()) {
        let staged = stage.staged(index);
        let failed = |source| stage.failed(&staged, source);
        let executable = file.kind == FileKind::Executable;
        make_parents(&staged).map_err(failed)?;
        if file.length == 0 && !staged.exists() {
            new_file(&staged, executable).map_err(failed)?;
        } else {
            open_source(&staged, file.length)?;
            share::set_executable(&staged, executable).map_err(failed)?;
        }
    }
    Ok(())
}

/// Builds the files out of a source that stays, verified unless it is known to be intact: it has been on a disk, perhaps
/// for long, with nobody to look after it.
pub(super) fn build(
    stage: &Stage<'_>,
    source: &Path,
    progress: impl Fn(u64, u64) + Sync,
    cancel: &CancellationToken,
) -> Result<(), DeliverError> {
    let content = &Content::new(stage.info, source);
    let delivery = stage.resolve(content)?;
    for (index, file) in stage.info.files.iter().enumerate() {
        if file.kind.has_content() {
            stage.place(content, index, file, delivery)?;
            if cancel.is_cancelled() {
                return Err(Cancelled.into());
            }
        }
    }
    match delivery {
        Delivery::Copy => stage.copy(content, &progress, cancel)?,
        _ if stage.options.is_intact => {}
        _ => stage.check(source, &progress, cancel)?,
    }
    progress(stage.info.length, stage.info.length);
    Ok(())
}

impl Stage<'_> {
    /// What `auto` stands for here.
    fn resolve(&self, content: &Content<&Info>) -> Result<Delivery, DeliverError> {
        if self.options.delivery != Delivery::Auto {
            return Ok(self.options.delivery);
        }
        let mut files = self.info.files.iter().enumerate();
        let first = files.find(|(_, file)| file.length > 0 && file.kind != FileKind::Padding);
        let Some((index, file)) = first else { return Ok(Delivery::Copy) };
        let source = open_source(&content.path_of(index), file.length)?;
        let probe = tempfile::tempfile_in(self.scratch.root()).map_err(|source| self.failed(&self.root(), source))?;
        let has_reflinks = share::reflink(&source, &probe).is_ok();
        Ok(if has_reflinks { Delivery::Reflink } else { Delivery::Copy })
    }

    /// Puts a file in the stage; one that is to be copied gets its length alone.
    fn place(
        &self,
        content: &Content<&Info>,
        index: usize,
        file: &metainfo::File,
        delivery: Delivery,
    ) -> Result<(), DeliverError> {
        let staged = self.staged(index);
        let failed = |source| self.failed(&staged, source);
        let executable = file.kind == FileKind::Executable;
        make_parents(&staged).map_err(failed)?;
        if file.length == 0 {
            return new_file(&staged, executable).map(drop).map_err(failed);
        }
        let path = content.path_of(index);
        let source = open_source(&path, file.length)?;
        let shared = match delivery {
            Delivery::HardLink => share::hard_link(&path, &staged, executable),
            Delivery::Reflink => {
                let target = new_file(&staged, executable).map_err(failed)?;
                share::reflink(&source, &target)
            }
            Delivery::Auto | Delivery::Copy => {
                let target = new_file(&staged, executable).map_err(failed)?;
                return target.set_len(file.length).map_err(failed);
            }
        };
        shared.map_err(|error| {
            let reason = share::reason(delivery, &error);
            DeliverError::Share { delivery, file: path, directory: self.directory.to_path_buf(), reason }
        })
    }

    fn copy(
        &self,
        content: &Content<&Info>,
        progress: &(impl Fn(u64, u64) + Sync),
        cancel: &CancellationToken,
    ) -> Result<(), DeliverError> {
        let Options { is_durable, is_intact, .. } = *self.options;
        let copied = if is_intact {
            copy_intact(content, &self.root(), is_durable, progress, cancel)
        } else {
            copy(content, &self.root(), is_durable, progress, cancel)
        };
        copied.map_err(|error| match error {
            CopyError::Cancelled => Cancelled.into(),
            CopyError::Read(error) => DeliverError::Read { path: error.path, source: error.source },
            CopyError::Write(index, source) => self.failed(&self.staged(index), source),
            CopyError::Damaged(pieces) => damaged(content.root(), pieces),
        })
    }

    fn check(
        &self,
        source: &Path,
        progress: &(impl Fn(u64, u64) + Sync),
        cancel: &CancellationToken,
    ) -> Result<(), DeliverError> {
        let report = verify(self.info, &self.root(), Check::Bytes, progress, cancel)?;
        match report.good_pieces.iter().filter(|&&good| !good).count() {
            0 => Ok(()),
            pieces => Err(damaged(source, pieces)),
        }
    }
}

fn damaged(root: &Path, pieces: usize) -> DeliverError {
    DeliverError::Damaged { root: root.to_path_buf(), pieces }
}

fn new_file(path: &Path, executable: bool) -> io::Result<File> {
    let mode = if executable { 0o755 } else { 0o644 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

fn open_source(path: &Path, expected: u64) -> Result<File, DeliverError> {
    let read_error = |source| DeliverError::Read { path: path.to_path_buf(), source };
    let file = open_file(path).map_err(read_error)?;
    let metadata = file.metadata().map_err(read_error)?;
    if metadata.is_file() && metadata.len() == expected {
        Ok(file)
    } else {
        Err(DeliverError::Length { path: path.to_path_buf(), found: metadata.len(), expected })
    }
}
