//! Trees on disk for the tests of everything that reads or writes content.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use nova_protocol::{
    FilePath, PieceLength,
    metainfo::{File, FileKind, Info},
};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    thread::{CapabilitySet, capabilities, set_capabilities},
};
use tempfile::{TempDir, tempdir};
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use crate::create::{CreateError, Created, Options, Preserve, create};

/// Does something as one to whom the mode bits of files apply, as they do not to root, and who gives files to nobody.
pub(crate) fn as_anybody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let without = || {
        let mut own = capabilities(None).unwrap();
        let roots = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH | CapabilitySet::CHOWN;
        own.effective.remove(roots);
        set_capabilities(None, own).unwrap();
        work()
    };
    thread::scope(|scope| scope.spawn(without).join().unwrap())
}

/// Writes files, and their directories, below `root`.
pub(crate) fn write(root: &Path, files: &[(&str, &[u8])]) {
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// An XFS of its own, for as long as this lives.
pub(crate) struct Xfs(TempDir);

impl Xfs {
    pub fn mount() -> Self {
        let dir = tempdir().unwrap();
        let (image, mount) = (dir.path().join("image"), dir.path().join("mount"));
        fs::File::create(&image).unwrap().set_len(320 << 20).unwrap();
        fs::create_dir(&mount).unwrap();
        let made = Command::new("mkfs.xfs").arg("-q").arg(&image).status();
        assert!(made.is_ok_and(|status| status.success()), "no mkfs.xfs: apt-get install xfsprogs");
        let mounted = Command::new("mount").args(["-o", "loop"]).args([&image, &mount]).status();
        assert!(mounted.unwrap().success(), "this test mounts an XFS: run it as root");
        Self(dir)
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("mount")
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

pub(crate) fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory with something of everything, called `tree`.
pub(crate) fn write_mixed(root: &Path) -> PathBuf {
    let tree = root.join("tree");
    let long: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    write(&tree, &[("a/empty", b""), ("a/long", &long), ("b", b"b"), ("bin/run", b"#!"), ("ünï/日本語", b"utf-8")]);
    set_mode(&tree.join("bin/run"), 0o755);
    symlink("../bin/run", tree.join("a/link")).unwrap();
    symlink("nowhere", tree.join("dangling")).unwrap();
    tree
}

/// A torrent in pieces of 64 KiB.
pub(crate) fn created(path: &Path) -> Created {
    try_create(path).unwrap()
}

pub(crate) fn try_create(path: &Path) -> Result<Created, CreateError> {
    create_as(path, Options::default())
}

/// The same with mode bits and owners.
pub(crate) fn preserved(path: &Path) -> Created {
    create_as(path, Options { preserve: vec![Preserve::Mode, Preserve::Ownership], ..Options::default() }).unwrap()
}

fn create_as(path: &Path, options: Options) -> Result<Created, CreateError> {
    let options = Options { piece_length: Some(PieceLength::chosen(64 << 10).unwrap()), ..options };
    create(path, &options, |_, _| {}, &CancellationToken::new())
}

/// An info dictionary of these files without hashes, called `tree`.
pub(crate) fn info(files: &[(&str, u64, FileKind)]) -> Info {
    let mut length = 0;
    let file = |(path, size, kind): &(&str, u64, FileKind)| {
        let offset = length;
        length += size;
        File { path: FilePath::parse(path).unwrap(), length: *size, offset, kind: kind.clone() }
    };
    let files = files.iter().map(file).collect();
    let piece_length = PieceLength::chosen(64 << 10).unwrap();
    Info {
        name: "tree".to_owned(),
        piece_length,
        pieces: Vec::new(),
        private: true,
        is_single_file: false,
        files,
        length,
        access: Vec::new(),
    }
}

/// Everything below `root`, sorted: path, executable, and content or target.
pub(crate) fn listing(root: &Path) -> Vec<(PathBuf, bool, Vec<u8>)> {
    let entry = |entry: walkdir::DirEntry| {
        let (path, metadata) = (entry.path(), entry.metadata().unwrap());
        let content = if metadata.is_file() {
            fs::read(path).unwrap()
        } else if metadata.is_symlink() {
            fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            Vec::new()
        };
        (path.strip_prefix(root).unwrap().to_path_buf(), metadata.mode() & 0o100 != 0, content)
    };
    WalkDir::new(root).sort_by_file_name().into_iter().map(|found| entry(found.unwrap())).collect()
}
