use nova_protocol::{
    FilePath, PieceLength,
    metainfo::{FileKind, NewFile, NewInfo, NewKind},
};

use super::*;

fn metainfo(name: &str) -> Arc<Metainfo> {
    let file = |path, length| NewFile { path: FilePath::parse(path).unwrap(), length, kind: FileKind::Plain };
    let info = NewInfo {
        name: FilePath::parse(name).unwrap(),
        piece_length: PieceLength::for_total(0),
        pieces: vec![0; 20],
        private: true,
        kind: NewKind::Directory(vec![file("a/b/c", 3), file("d", 1)]),
        access: Vec::new(),
    };
    Arc::new(Metainfo::from_info(&info.encode().unwrap(), &[], &[]).unwrap())
}

fn fill(entry: &Entry) {
    let root = entry.content_path();
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::write(root.join("a/b/c"), "abc").unwrap();
    fs::write(root.join("d"), "d").unwrap();
}

#[test]
fn a_torrent_is_complete_once_it_is_marked_and_after_reopening() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().join("store")).unwrap();
    let entry = store.insert(metainfo("x")).unwrap();
    fill(&entry);
    assert!(!entry.is_complete());
    entry.mark_complete().unwrap();

    let reopened = Store::open(home.path().join("store")).unwrap();
    assert_eq!(reopened.list().unwrap(), [entry.metainfo.info_hash()]);
    let entry = reopened.get(entry.metainfo.info_hash()).unwrap().unwrap();
    assert!(entry.is_complete());
    let mut bytes = [0; 4];
    entry.content().read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"abcd");
}

#[test]
fn content_that_is_not_all_there_cannot_be_marked() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().to_path_buf()).unwrap();
    let entry = store.insert(metainfo("x")).unwrap();
    assert!(entry.mark_complete().is_err() && !entry.is_complete());
}

#[test]
fn inserting_again_keeps_content_and_mark() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().to_path_buf()).unwrap();
    let entry = store.insert(metainfo("x")).unwrap();
    fill(&entry);
    entry.mark_complete().unwrap();
    assert!(store.insert(metainfo("x")).unwrap().is_complete());
}

#[test]
fn removal_leaves_nothing_and_may_be_repeated() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().to_path_buf()).unwrap();
    let entry = store.insert(metainfo("x")).unwrap();
    fill(&entry);
    for _ in 0..2 {
        store.remove(entry.metainfo.info_hash()).unwrap();
    }
    let left = |part| fs::read_dir(home.path().join(part)).unwrap().count();
    assert_eq!([METAINFO, CONTENT, COMPLETE].map(left), [0, 0, 0]);
}

#[test]
fn damaged_metainfo_is_an_error_that_names_the_file() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().to_path_buf()).unwrap();
    let info_hash = store.insert(metainfo("damaged")).unwrap().metainfo.info_hash();
    fs::write(store.metainfo_path(info_hash), "d4:info").unwrap();
    let error = store.get(info_hash).unwrap_err();
    assert!(matches!(error, StoreError::Metainfo { .. }) && error.to_string().contains(&info_hash.to_string()));
}

#[test]
fn a_reserved_place_is_listed_and_strange_files_are_not() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().to_path_buf()).unwrap();
    fs::write(store.content_root().join("README"), "not ours").unwrap();
    store.reserve(InfoHash::from([7; 20])).unwrap();
    assert_eq!(store.list().unwrap(), [InfoHash::from([7; 20])]);
    assert!(store.get(InfoHash::from([7; 20])).unwrap().is_none());
}

#[test]
fn what_was_marked_is_intact_until_somebody_writes_to_it_or_puts_another_in_its_place() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().join("store")).unwrap();
    let entry = store.insert(metainfo("x")).unwrap();
    fill(&entry);
    let is_intact = || is_intact(&entry.metainfo, &entry.content_path());
    assert!(!is_intact());
    entry.mark_complete().unwrap();
    assert!(is_intact());
    let file = entry.content_path().join("d");
    fs::hard_link(&file, home.path().join("delivered")).unwrap();
    assert!(is_intact(), "another name is no write");
    fs::write(&file, "e").unwrap();
    assert!(!is_intact(), "a write right after the mark is seen");
    entry.mark_complete().unwrap();
    fs::write(home.path().join("other"), "f").unwrap();
    fs::rename(home.path().join("other"), &file).unwrap();
    assert!(!is_intact());
}

#[test]
fn who_reads_content_keeps_it_from_being_claimed() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().join("store")).unwrap();
    let entry = store.insert(metainfo("x")).unwrap();
    fill(&entry);
    let reading = read(&entry.content_path()).unwrap();
    assert!(reading.is_some() && store.claim(entry.metainfo.info_hash()).unwrap().is_none());
    drop(reading);
    let claim = store.claim(entry.metainfo.info_hash()).unwrap();
    assert!(claim.is_some() && read(&entry.content_path()).unwrap().is_none());
}
