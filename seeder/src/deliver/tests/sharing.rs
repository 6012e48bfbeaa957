//! Reflinks, hard links, and what makes way.

use super::*;

fn options(delivery: Delivery) -> Options {
    Options { replace: Replace::Nothing, delivery, is_intact: false, is_durable: true, no_preserve: Vec::new() }
}

/// The inode of the long file of a mixed tree.
fn inode(root: &Path) -> u64 {
    fs::metadata(root.join("a/long")).unwrap().ino()
}

#[test]
fn a_hard_link_is_the_same_file_and_read_only() {
    let setup = Setup::new();
    set_mode(&setup.source.join("bin/run"), 0o644);
    setup.deliver(&options(Delivery::HardLink)).unwrap();
    assert_eq!(inode(&setup.target()), inode(&setup.source));
    let mode = |path: &str| fs::metadata(setup.target().join(path)).unwrap().mode() & 0o777;
    assert_eq!((mode("a/long"), mode("bin/run")), (0o444, 0o555));
    assert!(setup.deliver(COPY).unwrap().was_there);
    fs::remove_dir_all(setup.target()).unwrap();
    setup.deliver(&options(Delivery::HardLink)).unwrap();
}

#[test]
fn what_was_written_into_a_hard_link_is_noticed_by_the_next_delivery() {
    let setup = Setup::single(b"content");
    setup.deliver(&options(Delivery::HardLink)).unwrap();
    // Its owner can take back what protects it; root need not.
    set_mode(&setup.target(), 0o644);
    fs::write(setup.target(), b"cOntent").unwrap();
    for delivery in [Delivery::HardLink, Delivery::Copy, Delivery::Auto] {
        let out = setup.dir.path().join("other");
        let refused =
            deliver(&setup.info, &setup.source, &out, &options(delivery), |_, _| {}, &CancellationToken::new());
        assert!(matches!(refused, Err(DeliverError::Damaged { pieces: 1, .. })), "{refused:?}");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    }
}

#[test]
fn what_cannot_be_shared_is_an_error_that_says_what_can_be_done() {
    let disk = SmallDisk::mount();
    let mut setup = Setup::new();
    setup.out = disk.0.path().to_path_buf();
    for (delivery, word) in [(Delivery::HardLink, "hard link"), (Delivery::Reflink, "reflink")] {
        let error = setup.deliver(&options(delivery)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot {word} ")), "{error}");
        assert!(error.contains("--delivery=copy"), "{error}");
        setup.assert_nothing_left();
    }
    let error = setup.deliver(&options(Delivery::HardLink)).unwrap_err().to_string();
    assert!(error.contains("different file systems"), "{error}");
    // A tmpfs has no reflinks, so that both files on it get another error.
    let mut inside = Setup::single(b"x");
    inside.source = setup.out.join("source");
    fs::write(&inside.source, b"x").unwrap();
    inside.out = setup.out.join("out");
    let error = inside.deliver(&options(Delivery::Reflink)).unwrap_err().to_string();
    assert!(error.contains("has no reflinks, as XFS and btrfs have"), "{error}");
}

#[test]
fn auto_copies_where_there_are_no_reflinks() {
    let disk = SmallDisk::mount();
    let mut setup = Setup::single(&vec![7; 300_000]);
    setup.out = disk.0.path().join("out");
    setup.deliver(&options(Delivery::Auto)).unwrap();
    setup.assert_delivered();
}

#[test]
fn a_reflink_shares_its_bytes_until_it_is_written_to() {
    let disk = Xfs::mount();
    let mut setup = Setup::single(&[]);
    setup.source = disk.path().join("file");
    // Two of these would not fit as copies.
    let bytes: Vec<u8> = (0..40_u32 << 20).flat_map(u32::to_le_bytes).collect();
    fs::write(&setup.source, &bytes).unwrap();
    setup.info = created(&setup.source).metainfo.info;
    for delivery in [Delivery::Auto, Delivery::Reflink] {
        setup.out = disk.path().join(format!("{delivery}"));
        setup.deliver(&options(delivery)).unwrap();
        setup.assert_delivered();
        Handle::options().write(true).open(setup.target()).unwrap().write_all_at(b"mine", 0).unwrap();
        assert!(fs::read(&setup.source).unwrap() == bytes);
    }
}

#[test]
fn a_version_that_is_known_makes_way_and_what_was_changed_in_it_does_not() {
    let setup = Setup::new();
    setup.deliver(COPY).unwrap();
    let old = setup.info.clone();
    write(&setup.source, &[("b", b"new")]);
    let next = Setup { info: created(&setup.source).metainfo.info, ..setup };
    let over = |version: &Arc<Info>| Options { replace: Replace::Versions(vec![version.clone()]), ..COPY.clone() };
    assert!(matches!(next.deliver(&over(&next.info)), Err(DeliverError::Exists(_))));
    fs::write(next.target().join("mine"), "precious").unwrap();
    assert!(matches!(next.deliver(&over(&old)), Err(DeliverError::Exists(_))));
    assert_eq!(fs::read(next.target().join("mine")).unwrap(), b"precious");
    fs::remove_file(next.target().join("mine")).unwrap();
    next.deliver(&over(&old)).unwrap();
    next.assert_delivered();
}
