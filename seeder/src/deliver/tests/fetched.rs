//! What a pull has fetched, and has for nobody else.

use super::*;

impl Setup {
    /// The source as if it had been fetched.
    fn fetched(&self) -> Scratch {
        let scratch = self.scratch();
        let content = scratch.content(&self.info.name);
        fs::create_dir_all(content.parent().unwrap()).unwrap();
        fs::rename(&self.source, content).unwrap();
        scratch
    }

    fn scratch(&self) -> Scratch {
        fs::create_dir_all(&self.out).unwrap();
        Scratch::take(&self.out.join(".nova-hash")).unwrap().unwrap()
    }

    fn put(&self, scratch: &Scratch, options: &Options) -> Result<Delivered, DeliverError> {
        deliver_fetched(&self.info, scratch, &self.out, options, &CancellationToken::new())
    }
}

#[test]
fn it_is_not_written_again_and_nothing_else_is_left() {
    let setup = Setup::new();
    let before = listing(&setup.source);
    let inode = |root: &Path| fs::metadata(root.join("a/long")).unwrap().ino();
    let fetched_inode = inode(&setup.source);
    let scratch = setup.fetched();
    assert!(!setup.put(&scratch, COPY).unwrap().was_there);
    drop(scratch);
    assert_eq!((listing(&setup.target()), inode(&setup.target())), (before, fetched_inode));
    setup.assert_alone();
}

#[test]
fn it_gets_executable_bits_symlinks_and_empty_files_from_the_torrent() {
    let setup = Setup::new();
    let before = listing(&setup.source);
    set_mode(&setup.source.join("bin/run"), 0o644);
    set_mode(&setup.source.join("b"), 0o755);
    fs::remove_file(setup.source.join("a/empty")).unwrap();
    // A session makes a file of no bytes where a symlink shall be.
    fs::remove_file(setup.source.join("a/link")).unwrap();
    fs::write(setup.source.join("a/link"), "").unwrap();
    setup.put(&setup.fetched(), COPY).unwrap();
    assert_eq!(listing(&setup.target()), before);
}

#[test]
fn a_delivery_of_it_that_fails_leaves_it_whole() {
    let setup = Setup::new();
    fs::write(setup.source.join("ünï/日本語"), "x").unwrap();
    let scratch = setup.fetched();
    let before = listing(&scratch.content("tree"));
    let error = setup.put(&scratch, COPY).unwrap_err().to_string();
    assert!(error.ends_with("日本語 has 1 bytes, expected a file of 5"), "{error}");
    assert_eq!(listing(&scratch.content("tree")), before);
    assert!(!setup.target().exists());
}

#[test]
fn one_that_was_cut_is_gone_on_with_and_gives_what_it_is_asked_for_then() {
    let mut setup = Setup::new();
    set_mode(&setup.source.join("b"), 0o600);
    set_mode(&setup.source.join("a"), 0o1700);
    std::os::unix::fs::chown(setup.source.join("bin/run"), Some(12_345), None).unwrap();
    setup.info = crate::content::fixture::preserved(&setup.source).metainfo.info;
    let scratch = setup.fetched();
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    for options in [COPY.clone(), Options { is_durable: false, ..COPY.clone() }] {
        std::os::unix::fs::chown(scratch.content("tree").join("bin/run"), Some(0), None).unwrap();
        let cut = deliver_fetched(&setup.info, &scratch, &setup.out, &options, &cancelled);
        assert!(matches!(cut, Err(DeliverError::Cancelled(_))), "{cut:?}");
        let owner = fs::metadata(scratch.content("tree").join("bin/run")).unwrap().uid();
        assert_eq!(owner, 0, "what was cut before it took long is not given away");
    }
    set_mode(&scratch.content("tree").join("a"), 0o1700);
    set_mode(&scratch.content("tree").join("b"), 0o600);
    scratch.keep(true);
    drop(scratch);
    let scratch = setup.scratch();
    scratch.tidy().unwrap();
    let none = vec![Preserve::Mode, Preserve::Ownership];
    setup.put(&scratch, &Options { no_preserve: none, ..COPY.clone() }).unwrap();
    let found = |name: &str| fs::metadata(setup.target().join(name)).unwrap();
    let modes = ["a", "b", "bin/run"].map(|name| found(name).mode() & 0o7777);
    assert_eq!((modes, found("bin/run").uid()), ([0o755, 0o644, 0o755], 0));
}

#[test]
fn what_it_replaced_is_not_gone_on_with_and_what_could_not_replace_is() {
    let setup = Setup::new();
    write(&setup.target(), &[("old", b"old")]);
    let scratch = setup.fetched();
    let before = listing(&scratch.content("tree"));
    assert!(matches!(setup.put(&scratch, COPY), Err(DeliverError::Exists(_))));
    assert_eq!(listing(&scratch.content("tree")), before);
    setup.put(&scratch, REPLACE).unwrap();
    scratch.keep(true);
    drop(scratch);
    let scratch = setup.scratch();
    scratch.tidy().unwrap();
    assert_eq!(fs::read_dir(scratch.root().join("new")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(scratch.root()).unwrap().count(), 1);
    assert_eq!(listing(&setup.target()), before);
}
