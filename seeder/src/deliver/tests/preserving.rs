//! Mode bits, owners and empty directories, when they were pushed.

use std::os::unix::fs::lchown;

use super::*;
use crate::{
    content::fixture::{as_anybody, preserved},
    verify::{Check, verify},
};

/// Path, mode bits and owner of everything below `root`, sorted.
fn rights(root: &Path) -> Vec<(PathBuf, u32, (u32, u32))> {
    let entry = |entry: walkdir::DirEntry| {
        let metadata = entry.metadata().unwrap();
        let path = entry.path().strip_prefix(root).unwrap().to_path_buf();
        (path, metadata.mode() & 0o777, (metadata.uid(), metadata.gid()))
    };
    WalkDir::new(root).sort_by_file_name().into_iter().map(|found| entry(found.unwrap())).collect()
}

/// A tree that is closed to its owner here and there.
fn closed() -> Setup {
    let mut setup = Setup::new();
    fs::create_dir_all(setup.source.join("none/inside")).unwrap();
    for (path, mode) in [("none/inside", 0o700), ("none", 0o555), ("b", 0o640), ("bin/run", 0o510), ("a", 0o550)] {
        set_mode(&setup.source.join(path), mode);
    }
    set_mode(&setup.source, 0o555);
    setup.info = preserved(&setup.source).metainfo.info;
    setup
}

fn replace(delivery: Delivery) -> Options {
    Options { replace: Replace::Anything, mode: Mode::Keep(delivery), is_intact: false, is_durable: true }
}

#[test]
fn mode_bits_and_empty_directories_are_as_pushed_and_a_closed_tree_is_replaced() {
    let setup = closed();
    as_anybody(|| {
        for delivery in [Delivery::Copy, Delivery::Auto] {
            assert!(!setup.deliver(&replace(delivery)).unwrap().was_there);
            assert_eq!(rights(&setup.target()), rights(&setup.source));
            setup.assert_delivered();
            assert!(setup.deliver(COPY).unwrap().was_there);
            set_mode(&setup.target().join("b"), 0o600);
            assert!(matches!(setup.deliver(COPY), Err(DeliverError::Exists(_))));
        }
    });
}

#[test]
fn a_file_that_nobody_may_read_is_delivered() {
    let mut setup = Setup::single(b"secret");
    set_mode(&setup.source, 0o000);
    setup.info = preserved(&setup.source).metainfo.info;
    set_mode(&setup.source, 0o400);
    as_anybody(|| setup.deliver(MOVE).unwrap());
    assert_eq!(fs::metadata(setup.target()).unwrap().mode() & 0o777, 0o000);
}

#[test]
fn owners_are_given_and_looked_at_by_root() {
    let mut setup = Setup::new();
    for (path, owner) in [("b", 12_345), ("a/link", 23_456), ("bin", 34_567)] {
        lchown(setup.source.join(path), Some(owner), Some(owner + 1)).unwrap();
    }
    setup.info = preserved(&setup.source).metainfo.info;
    setup.deliver(COPY).unwrap();
    assert_eq!(rights(&setup.target()), rights(&setup.source));
    assert!(setup.deliver(COPY).unwrap().was_there);
    lchown(setup.target().join("b"), Some(0), Some(0)).unwrap();
    set_mode(&setup.target().join("bin"), 0o711);
    fs::remove_dir_all(setup.target().join("a")).unwrap();
    let found = verify(&setup.info, &setup.target(), Check::Everything, |_, _| {}, &CancellationToken::new()).unwrap();
    let found: Vec<_> = found.damaged_files.iter().map(|(path, fault)| format!("{path}: {fault}")).collect();
    let expected = ["b: belongs to 0:0, expected 12345:12346", "bin: mode 711, expected 755", "a: missing"];
    assert!(expected.iter().all(|fault| found.contains(&(*fault).to_owned())), "{found:?}");
}

#[test]
fn a_hard_link_is_refused_since_the_agent_has_the_same_file() {
    let setup = closed();
    let before = rights(&setup.source);
    let error = setup.deliver(&replace(Delivery::HardLink)).unwrap_err().to_string();
    assert!(error.contains("mode bits or owners") && error.contains("--delivery=copy"), "{error}");
    assert_eq!(rights(&setup.source), before);
    setup.assert_nothing_left();
}
