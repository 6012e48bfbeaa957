use std::fs;

use nova_protocol::PieceLength;

use super::*;
use crate::{
    content::fixture::write,
    create::{Align, Options, create},
    verify::{Check, verify},
};

const PIECE: usize = 64 << 10;

/// Bytes that no other seed gives.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}

fn torrent(root: &Path, piece_length: usize, align: Align) -> Metainfo {
    let piece_length = Some(PieceLength::chosen(piece_length as u64).unwrap());
    let options = Options { piece_length, align, ..Options::default() };
    create(root, &options, |_, _| {}, &CancellationToken::new()).unwrap().metainfo
}

/// Looks for all pieces of what is at `new`, in an empty place, and says how many bytes were found.
fn found(new: &Path, metainfo: &Metainfo, holdings: &Holdings) -> u64 {
    let home = tempfile::tempdir().unwrap();
    found_in(home.path(), new, metainfo, holdings)
}

fn found_in(home: &Path, new: &Path, metainfo: &Metainfo, holdings: &Holdings) -> u64 {
    let info = &metainfo.info;
    let root = home.join(&info.name);
    for file in info.stored_files() {
        let path = if info.is_single_file { root.clone() } else { file.path.below(&root) };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::options().create(true).append(true).open(path).unwrap();
    }
    let reused = reuse(metainfo, &root, holdings, |_| {}, &CancellationToken::new()).unwrap();
    let report = verify(info, &root, Check::Bytes, |_, _| {}, &CancellationToken::new()).unwrap();
    for (index, good) in (0..).zip(&report.good_pieces) {
        assert_eq!(reused.pieces.has(index), *good, "piece {index} of {}", new.display());
    }
    reused.bytes
}

fn holding(metainfo: &Metainfo, root: &Path) -> Holdings {
    let mut holdings = Holdings::default();
    holdings.add_content(metainfo.info.clone(), root.to_path_buf());
    holdings
}

#[test]
fn a_file_that_grew_leaves_the_pieces_of_the_others_where_files_are_aligned() {
    let home = tempfile::tempdir().unwrap();
    let (old, new) = (home.path().join("1/tree"), home.path().join("2/tree"));
    let (a, b) = (bytes(1, 10 * PIECE + 5), bytes(2, 9 * PIECE));
    write(&old, &[("a", &a), ("b", &b)]);
    let grown = [&b"new"[..], &a].concat();
    write(&new, &[("a", &grown), ("b", &b)]);
    let pieces = |align, lost: usize| {
        let (before, after) = (torrent(&old, PIECE, align), torrent(&new, PIECE, align));
        assert_eq!(found(&new, &after, &holding(&before, &old)), after.info.length - (lost * PIECE) as u64);
    };
    pieces(Align::Auto, 11);
    let (before, after) = (torrent(&old, PIECE, Align::None), torrent(&new, PIECE, Align::None));
    assert_eq!(found(&new, &after, &holding(&before, &old)), 8 * PIECE as u64 + 8, "found by file, though not by hash");
}

#[test]
fn pieces_of_other_lengths_are_found_by_file() {
    let home = tempfile::tempdir().unwrap();
    let tree = home.path().join("tree");
    write(&tree, &[("a", &bytes(1, 5 * PIECE)), ("nested/b", &bytes(2, 3 * PIECE))]);
    let (before, after) = (torrent(&tree, 2 * PIECE, Align::Auto), torrent(&tree, PIECE, Align::Auto));
    assert_eq!(found(&tree, &after, &holding(&before, &tree)), after.info.length);
}

#[test]
fn the_same_bytes_under_another_name_are_found_by_their_hashes() {
    let home = tempfile::tempdir().unwrap();
    let content = bytes(1, 3 * PIECE);
    write(home.path(), &[("old", &content), ("new/renamed", &content)]);
    let before = torrent(&home.path().join("old"), PIECE, Align::Auto);
    let after = torrent(&home.path().join("new"), PIECE, Align::Auto);
    assert_eq!(found(&home.path().join("new"), &after, &holding(&before, &home.path().join("old"))), after.info.length);
}

#[test]
fn of_more_contents_than_are_looked_through_by_file_those_that_are_similar_come_first() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().join("store")).unwrap();
    let entries = (0..=BY_FILE_MAX).map(|number| {
        let tree = home.path().join(number.to_string()).join("tree");
        write(&tree, &[("a", &bytes(number as u64, 3 * PIECE))]);
        let entry = store.insert(Arc::new(torrent(&tree, 2 * PIECE, Align::Auto))).unwrap();
        fs::rename(&tree, entry.content_path()).unwrap();
        entry
    });
    let last = entries.max_by_key(|entry| entry.metainfo.info_hash()).unwrap();
    let tree = last.content_path();
    let new = torrent(&tree, PIECE, Align::Auto);
    assert_eq!(found(&tree, &new, &Holdings::of(&store)), 0);
    let new = new.with_similar(&[last.metainfo.info_hash()]);
    assert_eq!(found(&tree, &new, &Holdings::of(&store)), new.info.length);
}

#[test]
fn what_an_earlier_try_left_stays_and_the_rest_is_found() {
    let home = tempfile::tempdir().unwrap();
    let (tree, begun) = (home.path().join("tree"), home.path().join("begun"));
    let content = bytes(1, 4 * PIECE);
    write(&tree, &[("a", &content)]);
    let mut left = content.clone();
    left[2 * PIECE] ^= 1;
    write(&begun, &[("tree/a", &left)]);
    let info = torrent(&tree, PIECE, Align::Auto);
    assert_eq!(found_in(&begun, &tree, &info, &Holdings::default()), 3 * PIECE as u64);
    assert_eq!(found_in(&begun, &tree, &info, &holding(&info, &tree)), 4 * PIECE as u64);
}

#[test]
fn a_user_names_a_file_a_directory_or_what_the_directory_is_in() {
    let home = tempfile::tempdir().unwrap();
    let tree = home.path().join("tree");
    write(&tree, &[("bin/a", &bytes(1, 3 * PIECE)), ("b", &bytes(2, PIECE))]);
    let info = torrent(&tree, PIECE, Align::Auto);
    let named = |path: &Path| {
        let mut holdings = Holdings::default();
        holdings.add_path(path.to_path_buf());
        found(&tree, &info, &holdings)
    };
    assert_eq!(named(home.path()), info.info.length);
    assert_eq!(named(&tree), info.info.length);
    assert_eq!(named(&tree.join("b")), PIECE as u64);
    assert_eq!(named(&tree.join("not there")), 0);
}

#[test]
fn a_single_file_is_reused_under_any_name() {
    let home = tempfile::tempdir().unwrap();
    let mut content = bytes(1, 4 * PIECE);
    write(home.path(), &[("v1.img", &content)]);
    content[0] ^= 1;
    write(home.path(), &[("v2.img", &content)]);
    let info = torrent(&home.path().join("v2.img"), PIECE, Align::Auto);
    let mut holdings = Holdings::default();
    holdings.add_path(home.path().join("v1.img"));
    assert_eq!(found(&home.path().join("v2.img"), &info, &holdings), 3 * PIECE as u64);
}

#[test]
fn content_that_is_not_what_its_torrent_says_is_not_believed() {
    let home = tempfile::tempdir().unwrap();
    let (old, new) = (home.path().join("1/tree"), home.path().join("2/tree"));
    let content = bytes(1, 3 * PIECE);
    write(&old, &[("a", &content)]);
    write(&new, &[("a", &content)]);
    let (before, after) = (torrent(&old, PIECE, Align::Auto), torrent(&new, PIECE, Align::Auto));
    let mut damaged = content;
    damaged[PIECE] ^= 1;
    write(&old, &[("a", &damaged[..2 * PIECE])]);
    assert_eq!(found(&new, &after, &holding(&before, &old)), PIECE as u64);
}

#[test]
fn a_cancelled_search_ends() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), &[("a", &bytes(1, PIECE))]);
    let info = torrent(&home.path().join("a"), PIECE, Align::Auto);
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert!(reuse(&info, &home.path().join("a"), &Holdings::default(), |_| {}, &cancel).is_err());
}
