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
        (path, metadata.mode() & 0o7777, (metadata.uid(), metadata.gid()))
    };
    WalkDir::new(root).sort_by_file_name().into_iter().map(|found| entry(found.unwrap())).collect()
}

/// A tree that is closed to its owner here and there.
fn closed() -> Setup {
    let mut setup = Setup::new();
    fs::create_dir_all(setup.source.join("none/inside")).unwrap();
    for (path, mode) in [("none/inside", 0o700), ("none", 0o1555), ("b", 0o640), ("bin/run", 0o510), ("a", 0o550)] {
        set_mode(&setup.source.join(path), mode);
    }
    set_mode(&setup.source, 0o555);
    setup.info = preserved(&setup.source).metainfo.info;
    setup
}

fn replace(delivery: Delivery) -> Options {
    Options { replace: Replace::Anything, delivery, is_intact: false, is_durable: true, no_preserve: Vec::new() }
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
fn what_its_owner_may_not_read_is_recognised_all_the_same() {
    let mut setup = Setup::new();
    for path in ["b", "a"] {
        set_mode(&setup.source.join(path), 0o000);
    }
    setup.info = preserved(&setup.source).metainfo.info;
    as_anybody(|| {
        set_mode(&setup.source.join("b"), 0o400);
        set_mode(&setup.source.join("a"), 0o500);
        setup.deliver(COPY).unwrap();
        assert!(setup.deliver(COPY).unwrap().was_there);
    });
    let mode = |path| fs::metadata(setup.target().join(path)).unwrap().mode() & 0o777;
    assert_eq!((mode("b"), mode("a")), (0o400, 0o500));
    assert!(setup.deliver(COPY).unwrap().was_there, "whoever looks");
    fs::remove_dir_all(setup.target()).unwrap();
    setup.deliver(COPY).unwrap();
    assert_eq!((mode("b"), mode("a")), (0o000, 0o000), "root can read it");
}

#[test]
fn an_empty_directory_that_a_version_no_longer_has_is_gone() {
    let mut setup = Setup::new();
    fs::create_dir_all(setup.source.join("spool/in")).unwrap();
    let first = preserved(&setup.source).metainfo.info;
    fs::remove_dir(setup.source.join("spool/in")).unwrap();
    let second = preserved(&setup.source).metainfo.info;
    setup.info = first.clone();
    setup.deliver(COPY).unwrap();
    setup.info = second;
    let over = |versions: &[&Arc<Info>]| {
        let replace = Replace::Versions(versions.iter().map(|version| Arc::clone(version)).collect());
        setup.deliver(&Options { replace, ..COPY.clone() })
    };
    assert!(matches!(over(&[]), Err(DeliverError::Exists(_))), "the first version is another");
    fs::create_dir(setup.target().join("a/own")).unwrap();
    assert!(matches!(over(&[&first]), Err(DeliverError::Exists(_))), "somebody has made a directory in it");
    fs::remove_dir(setup.target().join("a/own")).unwrap();
    assert!(!over(&[&first]).unwrap().was_there);
    setup.assert_delivered();
    assert!(setup.target().join("spool").is_dir() && over(&[]).unwrap().was_there);
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
    set_mode(&setup.target().join("b"), 0o755);
    set_mode(&setup.target().join("bin"), 0o711);
    fs::remove_dir_all(setup.target().join("a")).unwrap();
    let found =
        verify(&setup.info, &setup.target(), Check::Everything(&[]), |_, _| {}, &CancellationToken::new()).unwrap();
    let found: Vec<_> = found.damaged_files.iter().map(|(path, fault)| format!("{path}: {fault}")).collect();
    let own: Vec<_> = found.iter().filter(|fault| !fault.starts_with("a/")).collect();
    let expected = [
        "a: missing",
        "b: mode 755, expected 644",
        "b: belongs to 0:0, expected 12345:12346",
        "bin: mode 711, expected 755",
    ];
    assert_eq!(own, expected);
}

#[test]
fn what_is_not_to_be_preserved_is_as_it_would_be_without() {
    let mut setup = Setup::new();
    set_mode(&setup.source.join("b"), 0o600);
    lchown(setup.source.join("b"), Some(12_345), None).unwrap();
    setup.info = preserved(&setup.source).metainfo.info;
    let found = |no_preserve: &[Preserve]| {
        let options = Options { no_preserve: no_preserve.to_vec(), ..COPY.clone() };
        let _ = fs::remove_dir_all(setup.target());
        setup.deliver(&options).unwrap();
        assert!(setup.deliver(&options).unwrap().was_there);
        let check = |check| verify(&setup.info, &setup.target(), check, |_, _| {}, &CancellationToken::new()).unwrap();
        assert!(check(Check::Everything(no_preserve)).ok());
        assert_eq!(check(Check::Everything(&[])).ok(), no_preserve.is_empty());
        let metadata = fs::metadata(setup.target().join("b")).unwrap();
        (metadata.mode() & 0o777, metadata.uid())
    };
    assert_eq!(found(&[]), (0o600, 12_345));
    assert_eq!(found(&[Preserve::Ownership]), (0o600, 0));
    assert_eq!(found(&[Preserve::Mode]), (0o644, 12_345));
    assert_eq!(found(&[Preserve::Mode, Preserve::Ownership]), (0o644, 0));
}

#[test]
fn a_hard_link_is_refused_before_anything_is_fetched_since_the_agent_has_the_same_file() {
    let setup = closed();
    let options = replace(Delivery::HardLink);
    let error = look(&setup.info, &setup.out, &options, &CancellationToken::new()).unwrap_err().to_string();
    assert!(error.contains("mode bits or owners") && error.contains("--delivery=copy"), "{error}");
    assert!(!setup.out.exists());
}
