//! Checking files on disk against an info dictionary.

mod access;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashSet},
    fmt, fs,
    io::ErrorKind,
    ops::ControlFlow,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use nova_protocol::{
    FilePath,
    metainfo::{File, FileKind, Info, Owner},
};
use tokio_util::sync::CancellationToken;

use crate::{
    content::{Cancelled, Content, hash::hash_pieces, symlink},
    create::Preserve,
};

/// How much of the content is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check<'a> {
    /// The bytes of the files: what BitTorrent carries.
    Bytes,
    /// The executable bits and the symlinks too (BEP 47), and mode bits and owners where the torrent has them. Owners
    /// are looked at by who could have given files to them, as root can. What is named here is passed over.
    Everything(&'a [Preserve]),
}

/// What was found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether each piece is there and has its hash.
    pub good_pieces: Vec<bool>,
    /// The files that are not as stated, in the order of the info dictionary; what has the wrong mode or owner after them.
    pub damaged_files: Vec<(FilePath, Fault)>,
}

/// What is wrong with a file, or with a directory where a torrent lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing there.
    Missing,
    /// Something there of another kind than the file, symlink or directory that is expected; or below a symlink.
    Kind,
    /// A file of another length.
    Length {
        /// In bytes.
        found: u64,
        /// In bytes.
        expected: u64,
    },
    /// A piece that it has a part in does not have its hash, and no other file of that piece explains why.
    Content,
    /// It may be executed and should not, or the other way round.
    Executable {
        /// Whether it should.
        expected: bool,
    },
    /// Other mode bits than it was pushed with; whether it may be executed is said with them.
    Mode {
        /// Nine bits, and the sticky one.
        found: u32,
        /// Nine bits, and the sticky one.
        expected: u32,
    },
    /// It belongs to somebody else.
    Owner {
        /// Whose it is.
        found: Owner,
        /// Whose it should be.
        expected: Owner,
    },
    /// A symlink to somewhere else.
    Target {
        /// Where it points.
        found: PathBuf,
        /// Where it should.
        expected: PathBuf,
    },
    /// The operating system refused.
    Unreadable(ErrorKind),
}

impl Report {
    /// Whether everything that was checked is as stated.
    pub fn ok(&self) -> bool {
        self.damaged_files.is_empty() && self.good_pieces.iter().all(|&good| good)
    }
}

/// Checks the content at `root` on all cores: the file of a single-file torrent, or the directory of any other.
///
/// Files that no torrent mentions are not looked at. `progress` is told, from many threads, the bytes checked so far
/// and the bytes in all.
///
/// # Errors
/// [`Cancelled`]; whatever is wrong with the files is in the report.
pub fn verify(
    info: &Info,
    root: &Path,
    check: Check<'_>,
    progress: impl Fn(u64, u64) + Sync,
    cancel: &CancellationToken,
) -> Result<Report, Cancelled> {
    let content = Content::new(info, root);
    let mut faults = stated_faults(&content, check);
    let good = Mutex::new(vec![false; info.piece_count() as usize]);
    let unreadable = Mutex::new(BTreeMap::new());
    hash_pieces(&content, None, progress, cancel, |index, hash| {
        match hash {
            Ok(hash) if info.piece_hash(index) == Some(&hash) => lock(&good)[index as usize] = true,
            Ok(_) => {}
            Err(error) => {
                lock(&unreadable).insert(error.file, Fault::Unreadable(error.source.kind()));
            }
        }
        ControlFlow::Continue(())
    })?;
    for (index, fault) in into_inner(unreadable) {
        faults.entry(index).or_insert(fault);
    }
    let good_pieces = into_inner(good);
    blame_bad_pieces(&content, &good_pieces, &mut faults);
    let mut damaged_files: Vec<_> =
        faults.into_iter().map(|(index, fault)| (info.files[index].path.clone(), fault)).collect();
    if let Check::Everything(no_preserve) = check {
        let access: Vec<_> = access::faults(info, content.root(), no_preserve).collect();
        let modes = access.iter().filter(|(_, fault)| matches!(fault, Fault::Mode { .. }));
        let modes: HashSet<_> = modes.map(|(path, _)| path).collect();
        damaged_files.retain(|(path, fault)| !matches!(fault, Fault::Executable { .. }) || !modes.contains(path));
        damaged_files.extend(access);
    }
    Ok(Report { good_pieces, damaged_files })
}

/// Whether the content at `root` is exactly as stated in everything that is preserved here. Ends at the first thing that
/// is not, so that another version of the same thing costs little.
///
/// # Errors
/// [`Cancelled`].
pub fn matches(
    info: &Info,
    root: &Path,
    no_preserve: &[Preserve],
    cancel: &CancellationToken,
) -> Result<bool, Cancelled> {
    let content = Content::new(info, root);
    let has_others = access::faults(info, content.root(), no_preserve).next().is_some();
    if has_others || !stated_faults(&content, Check::Everything(no_preserve)).is_empty() {
        return Ok(false);
    }
    let differs = AtomicBool::new(false);
    hash_pieces(
        &content,
        None,
        |_, _| {},
        cancel,
        |index, hash| match hash {
            Ok(hash) if info.piece_hash(index) == Some(&hash) => ControlFlow::Continue(()),
            _ => {
                differs.store(true, Ordering::Relaxed);
                ControlFlow::Break(())
            }
        },
    )?;
    Ok(!differs.into_inner())
}

/// The faults that show without reading any content, by the index of the file.
fn stated_faults(content: &Content<&Info>, check: Check<'_>) -> BTreeMap<usize, Fault> {
    let mut real_directories = HashSet::new();
    let mut faults = BTreeMap::new();
    for (index, file) in content.info().files.iter().enumerate() {
        let skipped = match file.kind {
            FileKind::Padding => true,
            FileKind::Symlink(_) => check == Check::Bytes,
            FileKind::Plain | FileKind::Executable => false,
        };
        if !skipped {
            let inside = below_real_directories(content, &file.path, &mut real_directories);
            faults.extend(stated_fault(&content.path_of(index), file, inside, check).map(|fault| (index, fault)));
        }
    }
    faults
}

/// Whether no directory on the way to `file` is a symlink, which could lead out of the root.
fn below_real_directories<'a>(content: &Content<&Info>, file: &'a FilePath, real: &mut HashSet<&'a [String]>) -> bool {
    let segments = file.segments();
    (1..segments.len()).all(|depth| {
        let directory = &segments[..depth];
        let is_real =
            || fs::symlink_metadata(content.root().join(directory.join("/"))).is_ok_and(|found| found.is_dir());
        real.contains(directory) || (is_real() && real.insert(directory))
    })
}

fn stated_fault(path: &Path, file: &File, inside: bool, check: Check<'_>) -> Option<Fault> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(Fault::Missing),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Some(Fault::Kind),
        Err(error) => return Some(Fault::Unreadable(error.kind())),
    };
    if let FileKind::Symlink(target) = &file.kind {
        return symlink_fault(path, file, target).or((!inside).then_some(Fault::Kind));
    }
    let (executable, expected) = (found.mode() & 0o100 != 0, file.kind == FileKind::Executable);
    if !found.is_file() || !inside {
        Some(Fault::Kind)
    } else if found.len() != file.length {
        Some(Fault::Length { found: found.len(), expected: file.length })
    } else if check != Check::Bytes && executable != expected {
        Some(Fault::Executable { expected })
    } else {
        None
    }
}

fn symlink_fault(path: &Path, file: &File, target: &FilePath) -> Option<Fault> {
    match fs::read_link(path) {
        Ok(says) if symlink::resolve(&file.path, &says).as_ref() == Some(target) => None,
        Ok(found) => Some(Fault::Target { found, expected: symlink::relative(&file.path, target) }),
        Err(_) => Some(Fault::Kind),
    }
}

/// Blames the files of each bad piece, unless one of them is known to be at fault already.
fn blame_bad_pieces(content: &Content<&Info>, good_pieces: &[bool], faults: &mut BTreeMap<usize, Fault>) {
    let info = content.info();
    let mut blamed = BTreeMap::new();
    for (index, _) in (0..).zip(good_pieces).filter(|&(_, good)| !good) {
        let start = u64::from(index) * u64::from(info.piece_length.get());
        let suspects = || info.files_in(start..start + u64::from(info.piece_size(index)));
        if !suspects().any(|file| faults.contains_key(&file)) {
            let stored = suspects().filter(|&file| info.files[file].kind != FileKind::Padding);
            blamed.extend(stored.map(|file| (file, Fault::Content)));
        }
    }
    faults.append(&mut blamed);
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "missing"),
            Self::Kind => write!(f, "of another kind, or below a symlink"),
            Self::Length { found, expected } => write!(f, "{found} bytes, expected {expected}"),
            Self::Content => write!(f, "content differs"),
            Self::Executable { expected: true } => write!(f, "not executable, expected executable"),
            Self::Executable { expected: false } => write!(f, "executable, expected not executable"),
            Self::Mode { found, expected } => write!(f, "mode {found:03o}, expected {expected:03o}"),
            Self::Owner { found, expected } => write!(f, "belongs to {found}, expected {expected}"),
            Self::Target { found, expected } => {
                write!(f, "a symlink to {}, expected {}", found.display(), expected.display())
            }
            Self::Unreadable(kind) => write!(f, "cannot be read: {kind}"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
