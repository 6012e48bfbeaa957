use nova_protocol::{
    Metainfo, Reference,
    api::{ReplicaReport, ReplicaState},
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

fn index() -> (TempDir, Index) {
    let directory = TempDir::new().unwrap();
    let index = Index::open(directory.path()).unwrap();
    (directory, index)
}

fn metainfo(name: &str) -> Metainfo {
    let info = format!("d6:lengthi9e4:name{}:{name}12:piece lengthi65536e6:pieces20:{}e", name.len(), "x".repeat(20));
    Metainfo::from_info(info.as_bytes(), &[vec!["http://elsewhere/".into()]], &[]).unwrap()
}

fn candidates(ids: &[&str]) -> Vec<Candidate> {
    ids.iter().map(|id| Candidate { id: (*id).to_owned(), free_bytes: 9 }).collect()
}

fn to(torrent: &Metainfo, reference: &str) -> Move {
    Move {
        reference: reference.parse().unwrap(),
        info_hash: torrent.info_hash(),
        expected_version: None,
        pusher: "someone".to_owned(),
        immutable: false,
        min_replicas: 0,
        live: Vec::new(),
    }
}

#[tokio::test]
async fn a_tag_move_is_there_after_the_index_is_opened_again() {
    let (directory, index) = index();
    let torrent = metainfo("a");
    index.put_torrent(torrent.clone()).await.unwrap();
    index.move_tag(to(&torrent, "a:v1")).await.unwrap();
    drop(index);
    let index = Index::open(directory.path()).unwrap();
    let reference: Reference = "a:v1".parse().unwrap();
    assert_eq!(index.tag(reference).await.unwrap().info_hash, torrent.info_hash());
    assert_eq!(index.info_hashes().await.unwrap(), [torrent.info_hash()]);
}

#[tokio::test]
async fn a_tag_move_is_on_disk_before_it_is_answered() {
    let (directory, index) = index();
    let torrent = metainfo("a");
    index.put_torrent(torrent.clone()).await.unwrap();
    index.move_tag(to(&torrent, "a:v1")).await.unwrap();
    // What a killed process leaves behind: the files as they are now.
    let killed = TempDir::new().unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, killed.path().join(path.file_name().unwrap())).unwrap();
    }
    let after = Index::open(killed.path()).unwrap();
    assert!(after.tag("a:v1".parse().unwrap()).await.is_ok());
    let synchronous: u32 = connect(&directory.path().join(FILE))
        .unwrap()
        .pragma_query_value(None, "synchronous", |row| row.get(0))
        .unwrap();
    assert_eq!(synchronous, 2, "FULL");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_both_versions_are_named() {
    let (directory, index) = index();
    drop(index);
    let connection = Connection::open(directory.path().join(FILE)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let refusal = Index::open(directory.path()).unwrap_err().to_string();
    assert!(refusal.contains("version 99") && refusal.contains("up to 1"), "{refusal}");
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join(FILE), "not a database, but long enough to look at".repeat(99)).unwrap();
    assert!(matches!(Index::open(directory.path()), Err(OpenError::Schema(..))));
}

#[tokio::test]
async fn a_write_that_fails_leaves_nothing() {
    let (_directory, index) = index();
    let failed = index
        .write(|transaction| {
            transaction.execute("INSERT INTO replicas VALUES ('o', x'00', 1, 1, 'assigned', 0, NULL)", [])?;
            Err::<(), _>(IndexError::Closed)
        })
        .await;
    assert!(failed.is_err());
    assert!(index.assignments("o".into(), 0).await.unwrap().assignments.is_empty());
}

#[tokio::test]
async fn metainfo_is_stored_without_the_trackers_of_others() {
    let (_directory, index) = index();
    let torrent = metainfo("a");
    assert!(index.put_torrent(torrent.clone()).await.unwrap());
    assert!(!index.put_torrent(torrent.clone()).await.unwrap());
    let stored = Metainfo::parse(index.metainfo(torrent.info_hash()).await.unwrap()).unwrap();
    assert_eq!(stored.info_bytes(), torrent.info_bytes());
    assert!(stored.trackers.is_empty());
}

#[tokio::test]
async fn torrents_spread_over_origins_and_stay_when_another_comes() {
    let (_directory, index) = index();
    let given = async |count: u32, ids: &[&str]| {
        for number in 0..count {
            index.put_torrent(metainfo(&format!("t{number}"))).await.unwrap();
        }
        index.top_up(None, candidates(ids), 2).await.unwrap()
    };
    let first = given(60, &["a", "b", "c"]).await;
    assert_eq!(first.len(), 120);
    for origin in ["a", "b", "c"] {
        let share = first.iter().filter(|held| held.origin == origin).count();
        assert!((25..=55).contains(&share), "{origin} has {share}");
    }
    assert!(given(60, &["a", "b", "c", "d"]).await.is_empty());
    let repaired = given(60, &["b", "c", "d"]).await;
    assert_eq!(repaired.len(), first.iter().filter(|held| held.origin == "a").count());
}

#[tokio::test]
async fn an_origin_without_space_and_one_that_failed_do_not_count() {
    let (_directory, index) = index();
    let torrent = metainfo("a");
    let info_hash = torrent.info_hash();
    index.put_torrent(torrent).await.unwrap();
    let full = Candidate { id: "full".into(), free_bytes: 8 };
    let given = index.top_up(None, [candidates(&["a"]), vec![full]].concat(), 2).await.unwrap();
    assert_eq!(given, [Held { origin: "a".into(), info_hash }]);
    let report = ReplicaReport { state: ReplicaState::Failed, have: 0, reason: Some("disk".into()) };
    index.report("a".into(), info_hash, report).await.unwrap();
    let given = index.top_up(None, candidates(&["a", "b"]), 1).await.unwrap();
    assert_eq!(given, [Held { origin: "b".into(), info_hash }]);
}

#[tokio::test]
async fn assignments_follow_the_cursor_with_releases() {
    let (_directory, index) = index();
    let (one, two) = (metainfo("one"), metainfo("two"));
    for torrent in [&one, &two] {
        index.put_torrent(torrent.clone()).await.unwrap();
        index.top_up(None, candidates(&["o"]), 1).await.unwrap();
    }
    let all = index.assignments("o".into(), 0).await.unwrap();
    assert_eq!(all.assignments.len(), 2);
    index.remove_torrent(one.info_hash()).await.unwrap();
    let news = index.assignments("o".into(), all.cursor).await.unwrap();
    assert_eq!(news.assignments.len(), 1);
    assert_eq!((news.assignments[0].info_hash, news.assignments[0].hold), (one.info_hash(), false));
    assert!(index.assignments("o".into(), news.cursor).await.unwrap().assignments.is_empty());
    for foreign_or_first in [0, 1 << 40] {
        let held = index.assignments("o".into(), foreign_or_first).await.unwrap();
        assert_eq!(held.assignments.len(), 1);
        assert!(held.assignments[0].hold && held.assignments[0].info_hash == two.info_hash());
    }
}

#[tokio::test]
async fn pages_of_tags_follow_the_prefix() {
    let (_directory, index) = index();
    let torrent = metainfo("a");
    index.put_torrent(torrent.clone()).await.unwrap();
    for reference in ["m/a:1", "m/a:2", "m/b:1", "n:1", "m:1", "модели/x:1"] {
        index.move_tag(to(&torrent, reference)).await.unwrap();
    }
    let page = async |prefix: &str, after: Option<&str>, limit| {
        let after = after.map(|text| text.parse().unwrap());
        let page = index.tags(prefix.to_owned(), after, limit).await.unwrap();
        let tags: Vec<_> = page.tags.iter().map(|tag| tag.reference.to_string()).collect();
        (tags.join(" "), page.next.map(|next| next.to_string()))
    };
    assert_eq!(page("m/", None, 2).await, ("m/a:1 m/a:2".into(), Some("m/a:2".into())));
    assert_eq!(page("m/", Some("m/a:2"), 2).await, ("m/b:1".into(), None));
    assert_eq!(page("m/a:2", None, 9).await, ("m/a:2".into(), None));
    assert_eq!(page("мод", None, 9).await, ("модели/x:1".into(), None));
    assert_eq!(page("%", None, 9).await, (String::new(), None));
    assert_eq!(page("", None, 9).await.0.split(' ').count(), 6);
}

#[tokio::test]
async fn a_move_that_is_sent_again_is_answered_with_the_version_that_it_made() {
    let (_directory, index) = index();
    let (old, new) = (metainfo("old"), metainfo("new"));
    index.put_torrent(old.clone()).await.unwrap();
    index.put_torrent(new.clone()).await.unwrap();
    let set = async |torrent: &Metainfo, expected| {
        index.move_tag(Move { expected_version: Some(expected), ..to(torrent, "a:v1") }).await
    };
    assert!(matches!(set(&old, 0).await, Ok(Moved::New(_))));
    assert!(matches!(set(&old, 0).await, Ok(Moved::Already(tag)) if tag.version == 1));
    assert!(matches!(set(&new, 0).await, Err(IndexError::VersionMismatch { found: 1, .. })));
    assert!(matches!(set(&new, 1).await, Ok(Moved::New(_))));
    assert!(matches!(set(&new, 1).await, Ok(Moved::Already(tag)) if tag.version == 2));
    for expected in [0, 3, u64::MAX] {
        assert!(matches!(set(&new, expected).await, Err(IndexError::VersionMismatch { found: 2, .. })), "{expected}");
    }
    assert!(matches!(set(&old, 1).await, Err(IndexError::VersionMismatch { .. })));
}
