use std::os::unix::fs::{chown, symlink};

use super::*;
use crate::content::fixture::{make_fifo, set_mode, write};

/// A closed directory `scratch` that has a file in it.
fn setup() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), &[("scratch/file", b"x"), ("victim/file", b"victim")]);
    let path = home.path().join("scratch");
    set_mode(&path, 0o700);
    (home, path)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn one_process_has_it_and_it_is_gone_afterwards_unless_it_is_kept() {
    let (home, path) = setup();
    let taken = Scratch::take(&path).unwrap().unwrap();
    assert!(Scratch::take(&path).unwrap().is_none());
    taken.keep(true);
    drop(taken);
    assert_eq!(fs::read(path.join("file")).unwrap(), b"x", "what an earlier process left is gone on with");
    drop(Scratch::take(&path).unwrap().unwrap());
    assert!(!path.exists());
    let made = [0; 2].map(|_| Scratch::make(home.path(), "prefix-").unwrap());
    assert!(made.iter().all(|made| mode(&made.path) == 0o700) && made[0].path != made[1].path);
}

#[test]
fn a_group_that_a_directory_passes_on_is_passed_on() {
    let (home, _) = setup();
    chown(home.path(), None, Some(12_345)).unwrap();
    set_mode(home.path(), 0o2755);
    let taken = Scratch::make(home.path(), "prefix-").unwrap();
    fs::create_dir(taken.root().join("inside")).unwrap();
    let inside = fs::metadata(taken.path.join("inside")).unwrap();
    assert_eq!((inside.gid(), inside.mode() & 0o2000), (12_345, 0o2000));
}

#[test]
fn it_is_the_directory_that_was_taken_whatever_has_its_name() {
    let (home, path) = setup();
    let taken = Scratch::take(&path).unwrap().unwrap();
    fs::rename(&path, home.path().join("moved")).unwrap();
    fs::rename(home.path().join("victim"), &path).unwrap();
    fs::write(taken.root().join("file"), "new").unwrap();
    let read = |path: &str| fs::read(home.path().join(path)).unwrap();
    assert_eq!((read("moved/file"), read("scratch/file")), (b"new".to_vec(), b"victim".to_vec()));
    let inside = taken.root().join("file");
    assert_eq!(taken.named(&inside.display().to_string()), path.join("file").display().to_string());
    drop(taken);
    assert_eq!(read("scratch/file"), b"victim");
    assert_eq!(fs::read_dir(home.path().join("moved")).unwrap().count(), 0);
}

#[test]
fn what_somebody_else_has_put_there_is_not_used() {
    let (home, path) = setup();
    set_mode(&path, 0o2755);
    let error = Scratch::take(&path).err().unwrap().to_string();
    assert!(error.contains("open to others"), "{error}");
    assert_eq!(mode(&path), 0o2755);
    chown(&path, Some(12_345), None).unwrap();
    let error = Scratch::take(&path).err().unwrap().to_string();
    assert!(error.contains("another user's"), "{error}");
    let (link, fifo) = (home.path().join("link"), home.path().join("fifo"));
    symlink("victim", &link).unwrap();
    make_fifo(&fifo);
    for path in [link, fifo] {
        assert!(Scratch::take(&path).is_err(), "{}", path.display());
    }
    let victim = home.path().join("victim");
    assert_eq!((mode(&victim), fs::read(victim.join("file")).unwrap().len(), path.exists()), (0o755, 6, true));
}

#[test]
fn what_is_found_in_it_is_used_only_if_it_can_be_nobody_elses() {
    let (home, path) = setup();
    let inside = |name: &str| path.join("new").join(name);
    let files = ["a/own", "a/linked", "theirs/x", "given", "shut/x"];
    write(&path.join("new"), &files.map(|name| (name, &b"x"[..])));
    write(&path.join("ready"), &[("what/made/way", b"x")]);
    fs::hard_link(inside("a/linked"), home.path().join("another name")).unwrap();
    symlink("../victim", inside("a/link")).unwrap();
    set_mode(&inside("a/own"), 0o4771);
    set_mode(&inside("shut"), 0o3577);
    for given in ["given", "theirs"] {
        chown(inside(given), Some(12_345), None).unwrap();
    }
    let taken = Scratch::take(&path).unwrap().unwrap();
    taken.keep(true);
    taken.tidy().unwrap();
    let mut found: Vec<_> = walkdir::WalkDir::new(&path)
        .min_depth(1)
        .into_iter()
        .map(|entry| entry.unwrap().path().strip_prefix(&path).unwrap().display().to_string())
        .collect();
    found.sort();
    assert_eq!(found, ["new", "new/a", "new/a/own", "new/shut", "new/shut/x"]);
    assert_eq!(["a", "a/own", "shut"].map(|name| mode(&inside(name))), [0o755, 0o644, 0o2755]);
    assert!(home.path().join("victim/file").exists() && home.path().join("another name").exists());
}
