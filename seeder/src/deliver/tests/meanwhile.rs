//! What others do in a destination while a delivery takes its time.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{way::Old, *};

impl Setup {
    /// Does something once when a part of the content is there.
    fn deliver_while(&self, options: &Options, meanwhile: impl Fn() + Sync) -> Result<Delivered, DeliverError> {
        let is_done = AtomicBool::new(false);
        let progress = |_, _| {
            if !is_done.swap(true, Relaxed) {
                meanwhile();
            }
        };
        deliver(&self.info, &self.source, &self.out, options, progress, &CancellationToken::new())
    }

    /// The only thing in the destination that a delivery has made.
    fn stage(&self) -> PathBuf {
        let mut entries = fs::read_dir(&self.out).unwrap().map(|entry| entry.unwrap().path());
        entries.find(|path| path.to_str().unwrap().contains(".nova-stage-")).unwrap()
    }
}

#[test]
fn what_comes_where_nothing_was_stays() {
    for setup in [Setup::new(), Setup::single(b"mine")] {
        let target = setup.target();
        for bytes in [&b"theirs"[..], b""] {
            let refused = setup.deliver_while(COPY, || {
                let _ = fs::remove_file(&target);
                fs::write(&target, bytes).unwrap();
            });
            assert!(matches!(&refused, Err(DeliverError::Exists(path)) if *path == target), "{refused:?}");
            assert_eq!(fs::read(&target).unwrap(), bytes);
            setup.assert_alone();
            fs::remove_file(&target).unwrap();
        }
        let refused = setup.deliver_while(COPY, || write(&target, &[("file", b"theirs")]));
        assert!(matches!(refused, Err(DeliverError::Exists(_))), "{refused:?}");
        assert_eq!(fs::read(target.join("file")).unwrap(), b"theirs");
        setup.assert_alone();
    }
}

#[test]
fn a_version_that_is_changed_stays_and_one_that_is_not_makes_way() {
    let (old, mut next) = (Setup::new(), Setup::new());
    write(&next.source, &[("b", b"new")]);
    next.info = created(&next.source).metainfo.info;
    next.out.clone_from(&old.out);
    old.deliver(COPY).unwrap();
    let over = Options { replace: Replace::Versions(vec![old.info.clone()]), ..COPY.clone() };
    let target = next.target();
    let changes: [fn(&Path); 4] = [
        |target| fs::write(target.join("a/mine"), "precious").unwrap(),
        |target| fs::write(target.join("b"), "B").unwrap(),
        |target| fs::create_dir(target.join("a/mine")).unwrap(),
        |target| fs::rename(target.join("b"), target.join("c")).unwrap(),
    ];
    for change in changes {
        let refused = next.deliver_while(&over, || change(&target));
        assert!(matches!(refused, Err(DeliverError::Exists(_))), "{refused:?}");
        next.assert_alone();
        let changed = next.dir.path().join("changed");
        fs::rename(&target, &changed).unwrap();
        old.deliver(COPY).unwrap();
        change(&target);
        assert_eq!(listing(&target), listing(&changed));
        fs::remove_dir_all(&changed).unwrap();
        fs::remove_dir_all(&target).unwrap();
        old.deliver(COPY).unwrap();
    }
    next.deliver_while(&over, || {}).unwrap();
    next.assert_delivered();
}

#[test]
fn one_that_is_gone_is_not_missed() {
    for is_file in [false, true] {
        let setup = if is_file { Setup::single(b"new") } else { Setup::new() };
        write(&setup.out, &[(&setup.info.name, b"old")]);
        setup.deliver_while(REPLACE, || fs::remove_file(setup.target()).unwrap()).unwrap();
        setup.assert_delivered();
    }
}

#[test]
fn what_is_put_in_place_of_a_stage_is_not_touched() {
    let setup = Setup::new();
    let victim = setup.dir.path().join("victim");
    write(&victim, &[("new/tree/b", b"precious"), ("new/tree/mine", b"precious")]);
    let before = listing(&victim);
    let swap = || {
        let stage = setup.stage();
        fs::rename(&stage, setup.out.join("moved")).unwrap();
        symlink(&victim, stage).unwrap();
    };
    setup.deliver_while(COPY, swap).unwrap();
    assert_eq!((listing(&victim), listing(&setup.target())), (before, listing(&setup.source)));
    assert_eq!(listing(&setup.out.join("moved")).len(), 1, "it is emptied wherever it is");
}

#[test]
fn what_makes_way_is_there_until_the_new_is_whole() {
    let setup = Setup::new();
    write(&setup.target(), &[("old", b"old")]);
    let before = listing(&setup.target());
    let cancel = CancellationToken::new();
    let at_the_end = |_, _| cancel.cancel();
    let cut = deliver(&setup.info, &setup.source, &setup.out, REPLACE, at_the_end, &cancel);
    assert!(matches!(cut, Err(DeliverError::Cancelled(_))));
    assert_eq!(listing(&setup.target()), before);
    fs::write(setup.source.join("b"), "B").unwrap();
    assert!(matches!(setup.deliver(REPLACE), Err(DeliverError::Damaged { .. })));
    assert_eq!(listing(&setup.target()), before);
    setup.assert_alone();
}

#[test]
fn the_same_content_that_another_delivery_has_put_there_is_there() {
    for setup in [Setup::new(), Setup::single(b"same")] {
        let delivered = setup.deliver_while(COPY, || assert!(!setup.deliver(COPY).unwrap().was_there)).unwrap();
        assert!(delivered.was_there);
        setup.assert_delivered();
    }
}

#[test]
fn replacing_works_where_names_cannot_be_exchanged() {
    let setup = Setup::new();
    write(&setup.target(), &[("old", b"old")]);
    let scratch = Scratch::make(&setup.out, PREFIX).unwrap();
    let stage = Stage { info: &setup.info, directory: &setup.out, options: REPLACE, scratch: &scratch };
    build(&stage, &setup.source, |_, _| {}, &CancellationToken::new()).unwrap();
    stage.finish(&CancellationToken::new()).unwrap();
    let any = Old::of(&Replace::Anything, &setup.target());
    assert!(stage.put_after(&any, &setup.target()).is_err(), "there is nothing to put");
    assert_eq!(fs::read(setup.target().join("old")).unwrap(), b"old");
    fs::rename(stage.root(), scratch.ready()).unwrap();
    let old = Old::of(&Replace::Versions(Vec::new()), &setup.target());
    fs::write(setup.target().join("mine"), "precious").unwrap();
    assert!(!stage.put_after(&old, &setup.target()).unwrap());
    assert_eq!(fs::read(setup.target().join("mine")).unwrap(), b"precious");
    assert!(stage.give_back(&scratch.ready(), &setup.target(), &io::ErrorKind::Other.into()).is_err());
    assert!(scratch.ready().exists(), "what has no place to go back to is kept");
    scratch.keep(false);
    assert!(stage.put_after(&any, &setup.target()).unwrap());
    drop(scratch);
    setup.assert_delivered();
}

#[test]
fn content_that_is_called_as_a_stage_is_refused() {
    let mut setup = Setup::single(b"x");
    Arc::make_mut(&mut setup.info).name = ".nova-stage-x".into();
    assert!(matches!(setup.deliver(COPY), Err(DeliverError::Name(_))));
}
