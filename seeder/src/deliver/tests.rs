mod fetched;
mod meanwhile;
mod preserving;
mod sharing;

use std::{
    fs::File as Handle,
    os::unix::fs::{FileExt, MetadataExt, symlink},
    process::Command,
    sync::Arc,
};

use nova_protocol::metainfo::FileKind;
use tempfile::{TempDir, tempdir};
use walkdir::WalkDir;

use super::*;
use crate::content::fixture::{Xfs, created, info, listing, make_fifo, set_mode, write, write_mixed};

const COPY: &Options = &Options {
    replace: Replace::Nothing,
    delivery: Delivery::Copy,
    is_intact: false,
    is_durable: true,
    no_preserve: Vec::new(),
};
const REPLACE: &Options = &Options {
    replace: Replace::Anything,
    delivery: Delivery::Copy,
    is_intact: false,
    is_durable: true,
    no_preserve: Vec::new(),
};

/// The hash of `abc`, nine zeros and `de`.
const PADDED: [u8; 20] = [
    0xf7, 0x89, 0x57, 0x8d, 0x68, 0x5a, 0xd5, 0x48, 0x36, 0x9f, 0x93, 0x80, 0x11, 0x35, 0xc5, 0xab, 0x73, 0xdf, 0x8e,
    0xca,
];

/// A torrent `tree` of a directory, and an empty destination.
struct Setup {
    dir: TempDir,
    source: PathBuf,
    out: PathBuf,
    info: Arc<Info>,
}

impl Setup {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let source = write_mixed(&dir.path().join("source"));
        let info = created(&source).metainfo.info;
        let out = dir.path().join("out");
        Self { dir, source, out, info }
    }

    /// A torrent `file` of one file.
    fn single(bytes: &[u8]) -> Self {
        let dir = tempdir().unwrap();
        write(dir.path(), &[("source/file", bytes)]);
        let source = dir.path().join("source/file");
        let info = created(&source).metainfo.info;
        let out = dir.path().join("out");
        Self { dir, source, out, info }
    }

    fn deliver(&self, options: &Options) -> Result<Delivered, DeliverError> {
        deliver(&self.info, &self.source, &self.out, options, |_, _| {}, &CancellationToken::new())
    }

    fn target(&self) -> PathBuf {
        self.out.join(&self.info.name)
    }

    /// The content is in its place, and nothing else is in the destination.
    fn assert_delivered(&self) {
        assert_eq!(listing(&self.target()), listing(&self.source));
        self.assert_alone();
    }

    fn assert_alone(&self) {
        let entries: Vec<_> = fs::read_dir(&self.out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(entries, [self.info.name.as_str()]);
    }

    fn assert_nothing_left(&self) {
        assert_eq!(fs::read_dir(&self.out).unwrap().count(), 0);
    }
}

#[test]
fn what_is_intact_is_copied_without_a_look_at_it_and_is_the_same() {
    let home = tempdir().unwrap();
    let tree = write_mixed(home.path());
    let info = created(&tree).metainfo.info;
    let intact = Options { is_intact: true, ..COPY.clone() };
    let out = home.path().join("out");
    deliver(&info, &tree, &out, &intact, |_, _| {}, &CancellationToken::new()).unwrap();
    assert_eq!(listing(&out.join("tree")), listing(&tree));
}

#[test]
fn a_delivered_tree_is_the_same_tree() {
    let setup = Setup::new();
    let delivered = setup.deliver(COPY).unwrap();
    assert_eq!(delivered, Delivered { path: setup.target(), was_there: false });
    setup.assert_delivered();
}

#[test]
fn what_need_not_be_durable_is_the_same_and_replaces_whole() {
    for is_intact in [false, true] {
        let setup = Setup::new();
        let options = Options { is_intact, is_durable: false, ..REPLACE.clone() };
        write(&setup.target(), &[("old", b"old")]);
        setup.deliver(&options).unwrap();
        setup.assert_delivered();
    }
}

#[test]
fn thousands_of_tiny_files_are_delivered() {
    let mut setup = Setup::new();
    for number in 0..3_000 {
        write(&setup.source, &[(&format!("{}/{number}", number / 100), b"tiny")]);
    }
    setup.info = created(&setup.source).metainfo.info;
    setup.deliver(COPY).unwrap();
    setup.assert_delivered();
}

#[test]
fn a_delivered_file_is_the_same_file() {
    for bytes in [&b""[..], b"x", &vec![7; 300_000]] {
        let setup = Setup::single(bytes);
        setup.deliver(COPY).unwrap();
        setup.assert_delivered();
    }
}

#[test]
fn content_of_no_bytes_is_delivered_without_a_source() {
    let setup = Setup::new();
    let info = info(&[("a/empty", 0, FileKind::Executable), ("b", 0, FileKind::Plain)]);
    deliver(&info, Path::new("/nowhere"), &setup.out, COPY, |_, _| {}, &CancellationToken::new()).unwrap();
    let made: Vec<_> = listing(&setup.target()).into_iter().map(|(path, executable, _)| (path, executable)).collect();
    let expected = [("", true), ("a", true), ("a/empty", true), ("b", false)];
    assert_eq!(made, expected.map(|(path, executable)| (PathBuf::from(path), executable)));
}

#[test]
fn padding_is_not_delivered() {
    let setup = Setup::new();
    write(&setup.source, &[("x", b"abc"), ("y", b"de")]);
    let mut info = info(&[("x", 3, FileKind::Plain), (".pad/9", 9, FileKind::Padding), ("y", 2, FileKind::Plain)]);
    info.pieces = PADDED.to_vec();
    deliver(&info, &setup.source, &setup.out, COPY, |_, _| {}, &CancellationToken::new()).unwrap();
    let made: Vec<_> = listing(&setup.target()).into_iter().skip(1).map(|(path, _, bytes)| (path, bytes)).collect();
    assert_eq!(made, [(PathBuf::from("x"), b"abc".to_vec()), (PathBuf::from("y"), b"de".to_vec())]);
}

#[test]
fn a_sparse_file_stays_sparse() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    Handle::create(&path).unwrap().set_len(64 << 20).unwrap();
    Handle::options().write(true).open(&path).unwrap().write_all_at(b"data", 32 << 20).unwrap();
    let info = created(&path).metainfo.info;
    let out = dir.path().join("out");
    deliver(&info, &path, &out, COPY, |_, _| {}, &CancellationToken::new()).unwrap();
    assert!(fs::metadata(out.join("file")).unwrap().blocks() * 512 < 1 << 20);
    assert!(fs::read(out.join("file")).unwrap() == fs::read(path).unwrap());
}

#[test]
fn the_same_content_is_delivered_once() {
    let setup = Setup::new();
    setup.deliver(COPY).unwrap();
    let inode = || fs::metadata(setup.target()).unwrap().ino();
    let before = inode();
    assert!(setup.deliver(REPLACE).unwrap().was_there);
    assert_eq!(inode(), before);
}

#[test]
fn what_differs_stays_without_replace_and_goes_with_it() {
    let changes: [fn(&Path); 5] = [
        |target| fs::write(target.join("b"), "B").unwrap(),
        |target| fs::write(target.join("more"), "").unwrap(),
        |target| fs::remove_file(target.join("dangling")).unwrap(),
        |target| set_mode(&target.join("b"), 0o755),
        |target| fs::remove_dir_all(target).and_then(|()| fs::write(target, "a file")).unwrap(),
    ];
    for change in changes {
        let setup = Setup::new();
        setup.deliver(COPY).unwrap();
        change(&setup.target());
        let before = listing(&setup.target());
        let error = setup.deliver(COPY).unwrap_err().to_string();
        let expected = format!("{} already exists and differs; --replace replaces it", setup.target().display());
        assert_eq!(error, expected);
        assert_eq!(listing(&setup.target()), before);
        assert!(!setup.deliver(REPLACE).unwrap().was_there);
        setup.assert_delivered();
    }
}

#[test]
fn a_file_replaces_a_file_and_a_directory() {
    let setup = Setup::single(b"new");
    write(&setup.out, &[("file", b"old")]);
    setup.deliver(REPLACE).unwrap();
    setup.assert_delivered();
    fs::remove_file(setup.target()).unwrap();
    write(&setup.target(), &[("some/thing", b"old")]);
    setup.deliver(REPLACE).unwrap();
    setup.assert_delivered();
}

#[test]
fn a_symlink_in_the_place_is_not_followed() {
    let setup = Setup::new();
    let elsewhere = setup.dir.path().join("elsewhere");
    write(&elsewhere, &[("precious", b"x")]);
    fs::create_dir(&setup.out).unwrap();
    symlink(&elsewhere, setup.target()).unwrap();
    assert!(matches!(setup.deliver(COPY), Err(DeliverError::Exists(_))));
    setup.deliver(REPLACE).unwrap();
    setup.assert_delivered();
    assert_eq!(listing(&elsewhere).len(), 2);
}

#[test]
fn a_source_that_is_not_as_stated_leaves_nothing() {
    let setup = Setup::new();
    fs::write(setup.source.join("b"), "").unwrap();
    assert!(matches!(setup.deliver(COPY), Err(DeliverError::Length { found: 0, expected: 1, .. })));
    fs::remove_file(setup.source.join("b")).unwrap();
    assert!(matches!(setup.deliver(COPY), Err(DeliverError::Read { .. })));
    symlink("/etc/passwd", setup.source.join("b")).unwrap();
    assert!(matches!(setup.deliver(COPY), Err(DeliverError::Read { .. })));
    setup.assert_nothing_left();
}

#[test]
fn a_cancelled_token_leaves_nothing() {
    let setup = Setup::new();
    let token = CancellationToken::new();
    let cancel = |_, _| token.cancel();
    let ended = deliver(&setup.info, &setup.source, &setup.out, COPY, cancel, &token);
    assert!(matches!(ended, Err(DeliverError::Cancelled(_))));
    setup.assert_nothing_left();
}

/// A file system of 1 MiB, for as long as this lives.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let dir = tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir.path()).status();
        assert!(mounted.unwrap().success(), "this test mounts a tmpfs: run it as root");
        Self(dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_said_in_numbers_and_leaves_nothing() {
    let disk = SmallDisk::mount();
    let mut setup = Setup::single(&vec![7; 3 << 20]);
    setup.out = disk.0.path().to_path_buf();
    let error = setup.deliver(COPY).unwrap_err().to_string();
    let expected = format!(
        "no space left on device while writing file in {}: 3145728 bytes needed, 1048576 free",
        disk.0.path().display()
    );
    assert_eq!(error, expected);
    setup.assert_nothing_left();
    let mut tree = Setup::new();
    write(&tree.source, &[("big", &vec![7; 3 << 20])]);
    tree.info = created(&tree.source).metainfo.info;
    tree.out.clone_from(&setup.out);
    let error = tree.deliver(COPY).unwrap_err().to_string();
    assert!(error.starts_with("no space left on device while writing tree/"), "{error}");
    tree.assert_nothing_left();
}

#[test]
fn what_a_killed_delivery_left_is_swept_and_one_under_way_is_not() {
    let setup = Setup::new();
    let (dead, alive) = (setup.out.join(".nova-stage-dead"), setup.out.join(".nova-stage-alive"));
    let own = setup.out.join(".nova-stage-own");
    for left in [&dead, &alive, &own] {
        fs::create_dir_all(left.join("tree")).unwrap();
        set_mode(left, 0o700);
    }
    set_mode(&own, 0o755);
    let _delivery = crate::claim::claim(&alive).unwrap().unwrap();
    // Others' are left alone, and hold nothing up.
    make_fifo(&setup.out.join(".nova-stage-fifo"));
    symlink(&setup.source, setup.out.join(".nova-stage-link")).unwrap();
    setup.deliver(COPY).unwrap();
    assert!(!dead.exists() && alive.exists() && own.exists() && setup.source.exists());
}

#[test]
fn a_delivery_that_is_cancelled_at_its_last_step_leaves_nothing() {
    let setup = Setup::new();
    let cancel = CancellationToken::new();
    let progress = |done, total| {
        if done == total {
            cancel.cancel();
        }
    };
    let refused = deliver(&setup.info, &setup.source, &setup.out, COPY, progress, &cancel);
    assert!(matches!(refused, Err(DeliverError::Cancelled(_))), "{refused:?}");
    assert_eq!(fs::read_dir(&setup.out).unwrap().count(), 0);
}

#[test]
fn a_copy_of_a_damaged_source_is_not_delivered() {
    let setup = Setup::single(b"content");
    fs::write(&setup.source, b"cOntent").unwrap();
    assert!(matches!(setup.deliver(COPY), Err(DeliverError::Damaged { pieces: 1, .. })));
    assert_eq!(fs::read_dir(&setup.out).unwrap().count(), 0);
}
