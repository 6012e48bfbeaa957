use std::{
    os::unix::fs::chown,
    sync::atomic::{AtomicBool, Ordering},
};

use tempfile::{TempDir, tempdir};

use super::*;
use crate::content::fixture::{as_anybody, set_mode};

fn hash(digit: char) -> InfoHash {
    digit.to_string().repeat(40).parse().unwrap()
}

/// A version whose two files say the same.
fn deliver(versions: &Versions, info_hash: InfoHash) {
    let tree = versions.directory(info_hash).join("tree");
    fs::create_dir_all(&tree).unwrap();
    for file in ["one", "two"] {
        fs::write(tree.join(file), info_hash.to_string()).unwrap();
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn setup() -> (TempDir, PathBuf) {
    let home = tempdir().unwrap();
    let link = home.path().join("live");
    (home, link)
}

#[test]
fn the_symlink_leads_to_the_newest_and_the_one_before_stays() {
    let (home, link) = setup();
    let versions = Versions::open(&link, false).unwrap();
    for digit in ['a', 'b', 'c'] {
        deliver(&versions, hash(digit));
        versions.swap(hash(digit), "tree", true).unwrap();
        assert_eq!(versions.current(), Some(hash(digit)));
        assert_eq!(fs::read_to_string(link.join("one")).unwrap(), hash(digit).to_string());
    }
    let left = [hash('b').to_string(), hash('c').to_string(), PREVIOUS.to_owned()];
    assert_eq!(names(&home.path().join(".live.versions")), left);
    assert_eq!(names(home.path()), [".live.versions", "live"]);
    versions.swap(hash('c'), "tree", true).unwrap();
    assert_eq!(names(&home.path().join(".live.versions")), left);
}

#[test]
fn what_was_cut_short_is_removed_by_the_next_swap() {
    let (home, link) = setup();
    let versions = Versions::open(&link, false).unwrap();
    deliver(&versions, hash('a'));
    versions.swap(hash('a'), "tree", true).unwrap();
    deliver(&versions, hash('d'));
    symlink("nowhere", home.path().join(".live.versions").join(NEXT)).unwrap();
    fs::create_dir(home.path().join(".live.versions").join(OLD)).unwrap();
    deliver(&versions, hash('b'));
    versions.swap(hash('b'), "tree", true).unwrap();
    let left = [hash('a').to_string(), hash('b').to_string(), PREVIOUS.to_owned()];
    assert_eq!(names(&home.path().join(".live.versions")), left);
}

/// As a kill leaves it right before the symlink gets its place: what it led to is the version before already.
#[test]
fn a_swap_that_was_cut_before_its_rename_is_gone_on_with_or_gives_way_to_another() {
    for next in ['b', 'c'] {
        let (home, link) = setup();
        let versions = Versions::open(&link, false).unwrap();
        deliver(&versions, hash('a'));
        versions.swap(hash('a'), "tree", true).unwrap();
        deliver(&versions, hash('b'));
        let inside = home.path().join(".live.versions");
        symlink(hash('a').to_string(), inside.join(PREVIOUS)).unwrap();
        symlink(versions.name.join(hash('b').to_string()).join("tree"), inside.join(NEXT)).unwrap();
        drop(versions);
        let versions = Versions::open(&link, false).unwrap();
        assert_eq!(versions.current(), Some(hash('a')));
        deliver(&versions, hash(next));
        versions.swap(hash(next), "tree", true).unwrap();
        assert_eq!(fs::read_to_string(link.join("one")).unwrap(), hash(next).to_string());
        assert_eq!(names(&inside), [hash('a').to_string(), hash(next).to_string(), PREVIOUS.to_owned()]);
    }
}

#[test]
fn what_somebody_else_has_put_there_is_not_used_and_loses_nothing() {
    let (home, link) = setup();
    let (inside, theirs) = (home.path().join(".live.versions"), home.path().join("theirs"));
    fs::create_dir_all(theirs.join(hash('d').to_string())).unwrap();
    symlink(&theirs, &inside).unwrap();
    assert!(matches!(Versions::open(&link, true), Err(VersionsError::Write { .. })));
    fs::remove_file(&inside).unwrap();
    fs::rename(&theirs, &inside).unwrap();
    chown(&inside, Some(12_345), None).unwrap();
    let error = Versions::open(&link, true).unwrap_err().to_string();
    assert!(error.contains("another user's"), "{error}");
    assert_eq!(names(&inside), [hash('d').to_string()]);
    chown(&inside, Some(0), None).unwrap();
    fs::write(inside.join("notes"), "precious").unwrap();
    let versions = Versions::open(&link, true).unwrap();
    deliver(&versions, hash('a'));
    versions.swap(hash('a'), "tree", true).unwrap();
    assert_eq!(names(&inside), [hash('a').to_string(), "notes".to_owned()]);
    // The same while a version is on its way, which goes where it was to go.
    fs::rename(&inside, home.path().join("moved")).unwrap();
    fs::create_dir_all(theirs.join(hash('d').to_string())).unwrap();
    symlink(&theirs, &inside).unwrap();
    deliver(&versions, hash('b'));
    let error = versions.swap(hash('b'), "tree", true).unwrap_err().to_string();
    assert_eq!(error, format!("cannot write {}: something else was put there", inside.display()));
    assert_eq!(names(&theirs), [hash('d').to_string()]);
    assert!(home.path().join("moved").join(hash('b').to_string()).exists());
}

#[test]
fn what_else_has_the_name_makes_way_when_it_is_said() {
    let occupy: [fn(&Path); 5] = [
        |link| fs::write(link, "a file").unwrap(),
        |link| fs::create_dir_all(link.join("full/of")).unwrap(),
        |link| {
            fs::create_dir_all(link.join("closed")).unwrap();
            set_mode(link, 0o500);
        },
        |link| symlink("/etc", link).unwrap(),
        |link| symlink(".live.versions/no-hash", link).unwrap(),
    ];
    for occupy in occupy {
        let (home, link) = setup();
        occupy(&link);
        let refused = Versions::open(&link, false).unwrap_err();
        let expected = format!("{} exists and is no symlink of nova's; --replace replaces it", link.display());
        assert_eq!(refused.to_string(), expected);
        assert_eq!(names(home.path()), ["live"]);
        let versions = Versions::open(&link, true).unwrap();
        deliver(&versions, hash('a'));
        as_anybody(|| versions.swap(hash('a'), "tree", true)).unwrap();
        assert_eq!(versions.current(), Some(hash('a')));
        assert_eq!(names(&home.path().join(".live.versions")), [hash('a').to_string()]);
        assert!(Path::new("/etc").is_dir());
    }
}

#[test]
fn what_comes_to_the_name_of_the_symlink_meanwhile_stays() {
    let (home, link) = setup();
    let versions = Versions::open(&link, false).unwrap();
    deliver(&versions, hash('a'));
    fs::create_dir(&link).unwrap();
    fs::write(link.join("mine"), "precious").unwrap();
    assert!(matches!(versions.swap(hash('a'), "tree", true), Err(VersionsError::Occupied(path)) if path == link));
    assert_eq!(fs::read(link.join("mine")).unwrap(), b"precious");
    assert_eq!(names(home.path()), [".live.versions", "live"]);
}

#[test]
fn one_process_has_the_versions_for_itself() {
    let (_home, link) = setup();
    let versions = Versions::open(&link, false).unwrap();
    assert!(matches!(Versions::open(&link, false), Err(VersionsError::Busy(_))));
    drop(versions);
    Versions::open(&link, false).unwrap();
}

#[test]
fn a_path_without_a_name_is_refused() {
    for path in ["/", "..", "x/..", ""] {
        assert!(matches!(Versions::open(Path::new(path), false), Err(VersionsError::Name(_))), "{path}");
    }
}

#[test]
fn a_reader_of_an_open_directory_never_sees_a_mixture() {
    let (_home, link) = setup();
    let versions = Versions::open(&link, false).unwrap();
    deliver(&versions, hash('a'));
    versions.swap(hash('a'), "tree", true).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                // Both files below what the symlink led to in one moment, as a process sees that has opened it.
                let Ok(here) = fs::canonicalize(&link) else {
                    // Two swaps while it was looked up; the symlink itself is always there.
                    assert!(fs::symlink_metadata(&link).is_ok());
                    continue;
                };
                let read = |file: &str| fs::read_to_string(here.join(file));
                // One that was left behind by two swaps is gone, and is opened anew.
                if let (Ok(one), Ok(two)) = (read("one"), read("two")) {
                    assert_eq!(one, two);
                    seen.insert(one);
                }
            }
            seen.len()
        });
        for round in 0..=200 {
            // Each is new: here a version is not delivered in one step, and a reader may still have one of that name.
            let version = InfoHash::from([round; 20]);
            deliver(&versions, version);
            versions.swap(version, "tree", true).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 1);
    });
}
