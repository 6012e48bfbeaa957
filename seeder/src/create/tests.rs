use std::{
    ffi::OsStr,
    fs::File,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use nova_protocol::InfoHash;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::content::fixture::{created, make_fifo, preserved, set_mode, try_create, write, write_mixed};

fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

fn single(length: usize) -> (TempDir, Created, Vec<u8>) {
    let dir = tempdir().unwrap();
    let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
    write(dir.path(), &[("file", &bytes)]);
    let made = created(&dir.path().join("file"));
    (dir, made, bytes)
}

fn names(made: &Created) -> Vec<String> {
    made.metainfo.info.files.iter().map(|file| file.path.to_string()).collect()
}

/// What is said of a tree, with its directory written as `DIR`.
fn refusal(dir: &TempDir) -> String {
    let text = try_create(&dir.path().join("tree")).unwrap_err().to_string();
    text.replace(&fs::canonicalize(dir.path()).unwrap().display().to_string(), "DIR")
}

#[test]
fn each_piece_has_its_hash_at_every_border() {
    const PIECE: usize = 64 << 10;
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 5 * PIECE + 7] {
        let (_dir, made, bytes) = single(length);
        let expected: Vec<u8> = bytes.chunks(PIECE).flat_map(sha1).collect();
        assert_eq!(made.metainfo.info.pieces, expected, "{length}");
        assert_eq!(made.metainfo.info.length, length as u64);
    }
}

#[test]
fn pieces_longer_than_a_chunk_are_hashed_whole() {
    let dir = tempdir().unwrap();
    let bytes = vec![7; 5 << 20];
    write(dir.path(), &[("file", &bytes)]);
    let options = Options { piece_length: Some(PieceLength::chosen(2 << 20).unwrap()), ..Options::default() };
    let made = create(&dir.path().join("file"), &options, |_, _| {}, &CancellationToken::new()).unwrap();
    assert_eq!(made.metainfo.info.pieces, bytes.chunks(2 << 20).flat_map(sha1).collect::<Vec<u8>>());
}

#[test]
fn a_last_file_that_is_empty_takes_no_hash() {
    let dir = tempdir().unwrap();
    let tree = dir.path().join("tree");
    write(&tree, &[("a", &vec![1; 65_536]), ("z", b"")]);
    let made = created(&tree);
    assert_eq!(made.metainfo.info.pieces, sha1(&vec![1; 65_536]));
    assert_eq!(names(&made), ["a", "z"]);
}

#[test]
fn files_that_are_all_empty_have_no_pieces() {
    let dir = tempdir().unwrap();
    let tree = dir.path().join("tree");
    write(&tree, &[("a", b""), ("b/c", b"")]);
    let made = created(&tree);
    assert_eq!((made.metainfo.info.length, made.metainfo.info.piece_count()), (0, 0));
    assert_eq!(names(&made), ["a", "b/c"]);
}

#[test]
fn a_sparse_file_of_more_than_4_gib_is_hashed_whole() {
    const LENGTH: u64 = (4 << 30) + 1;
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    File::create(&path).unwrap().set_len(LENGTH).unwrap();
    let options = Options { piece_length: Some(PieceLength::chosen(16 << 20).unwrap()), ..Options::default() };
    let made = create(&path, &options, |_, _| {}, &CancellationToken::new()).unwrap();
    let (last, others) = made.metainfo.info.pieces.as_chunks::<20>().0.split_last().unwrap();
    let zeros = sha1(&vec![0; 16 << 20]);
    assert!(others.len() == 256 && others.iter().all(|hash| *hash == *zeros));
    assert_eq!((last.to_vec(), made.metainfo.info.length), (sha1(&[0]), LENGTH));
}

#[test]
fn thousands_of_tiny_files_are_one_content() {
    let dir = tempdir().unwrap();
    let tree = dir.path().join("tree");
    let mut expected = Vec::new();
    for number in 0..5_000 {
        let name = format!("{:02}/{number:04}", number / 100);
        write(&tree, &[(&name, name.as_bytes())]);
        expected.extend_from_slice(name.as_bytes());
    }
    let made = created(&tree);
    assert_eq!(made.metainfo.info.files.len(), 5_000);
    assert_eq!(made.metainfo.info.pieces, sha1(&expected));
}

#[test]
fn the_same_tree_has_the_same_info_hash_anywhere() {
    let dir = tempdir().unwrap();
    let files: [(&str, &[u8]); 5] =
        [("z", b"1"), ("a-b", b"2"), ("a/b", b"3"), ("ünï/日本語", b"4"), ("B", &vec![5; 200_000])];
    let (one, other) = (dir.path().join("one/tree"), dir.path().join("deeper/other/tree"));
    write(&one, &files);
    for file in files.iter().rev() {
        write(&other, &[*file]);
    }
    set_mode(&other.join("z"), 0o600);
    fs::create_dir_all(other.join("empty/directory")).unwrap();
    let (one, other) = (created(&one), created(&other));
    assert_eq!(one.metainfo.as_bytes(), other.metainfo.as_bytes());
    assert_eq!(names(&one), ["B", "a/b", "a-b", "z", "ünï/日本語"]);
}

#[test]
fn the_info_hash_of_known_content_never_changes() {
    let dir = tempdir().unwrap();
    write(dir.path(), &[("file", b"nova\n")]);
    let info =
        [&b"d6:lengthi5e4:name4:file12:piece lengthi65536e6:pieces20:"[..], &sha1(b"nova\n"), &b"e"[..]].concat();
    assert_eq!(created(&dir.path().join("file")).metainfo.info_hash(), InfoHash::of(&info));
}

#[test]
fn kinds_are_kept() {
    let dir = tempdir().unwrap();
    let tree = write_mixed(dir.path());
    set_mode(&tree.join("b"), 0o654);
    let made = created(&tree);
    let kind = |path: &str| {
        made.metainfo.info.files.iter().find(|file| file.path.to_string() == path).map(|file| file.kind.clone())
    };
    assert_eq!(kind("bin/run"), Some(FileKind::Executable));
    assert_eq!(kind("b"), Some(FileKind::Plain));
    assert_eq!(kind("a/link"), Some(FileKind::Symlink(FilePath::parse("bin/run").unwrap())));
    assert_eq!(kind("dangling"), Some(FileKind::Symlink(FilePath::parse("nowhere").unwrap())));
    set_mode(&tree.join("bin/run"), 0o700);
    let file = created(&tree.join("bin/run"));
    assert_eq!(file.metainfo.info.files[0].kind, FileKind::Executable);
}

#[test]
fn symlinks_out_of_the_directory_are_refused() {
    for target in ["/etc/passwd", "../secret", "sub/../../secret", ".", "sub/.."] {
        let dir = tempdir().unwrap();
        write(dir.path(), &[("tree/sub/file", b"x"), ("secret", b"x")]);
        symlink(target, dir.path().join("tree/link")).unwrap();
        let expected =
            format!("symlink DIR/tree/link points to {target}, expected a relative target inside the directory");
        assert_eq!(refusal(&dir), expected);
    }
}

#[test]
fn a_symlink_given_as_the_path_is_followed_and_gives_its_name() {
    let dir = tempdir().unwrap();
    write(dir.path(), &[("real/file", b"x")]);
    symlink("real", dir.path().join("link")).unwrap();
    let made = created(&dir.path().join("link"));
    assert_eq!((made.metainfo.info.name.as_str(), names(&made)), ("link", vec!["file".to_owned()]));
    assert_eq!(made.root, fs::canonicalize(dir.path().join("real")).unwrap());
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    let error = try_create(&dir.path().join("dangling")).unwrap_err().to_string();
    assert!(error.contains("/dangling: No such file"), "{error}");
}

#[test]
fn names_that_no_torrent_holds_are_named() {
    for (name, expected) in [
        (&b"caf\xe9"[..], r#"path segment "caf\\xe9" is not UTF-8"#),
        (b"a\\b", r#"path segment "a\\b" contains a separator"#),
        (b"C:x", r#"path segment "C:x" starts with a drive"#),
    ] {
        let dir = tempdir().unwrap();
        write(dir.path(), &[("tree/file", b"x")]);
        fs::write(dir.path().join("tree").join(OsStr::from_bytes(name)), b"x").unwrap();
        let refusal = refusal(&dir);
        assert!(refusal.starts_with("DIR/tree/") && refusal.ends_with(expected), "{refusal}");
    }
}

#[test]
fn special_files_are_named() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    let _socket = UnixListener::bind(dir.path().join("tree/socket")).unwrap();
    assert_eq!(refusal(&dir), "DIR/tree/socket is a socket, expected a file, a directory or a symlink");
    fs::remove_file(dir.path().join("tree/socket")).unwrap();
    make_fifo(&dir.path().join("tree/fifo"));
    assert_eq!(refusal(&dir), "DIR/tree/fifo is a fifo, expected a file, a directory or a symlink");
    let device = try_create(Path::new("/dev/null")).unwrap_err().to_string();
    assert_eq!(device, "/dev/null is a device, expected a file, a directory or a symlink");
}

#[test]
fn a_directory_without_files_is_refused() {
    let dir = tempdir().unwrap();
    fs::create_dir_all(dir.path().join("tree/empty")).unwrap();
    assert_eq!(refusal(&dir), "DIR/tree: no files in it, and a torrent cannot hold an empty directory");
}

#[test]
fn a_file_that_changes_while_it_is_hashed_is_named() {
    for length in [0, 70_000, 400_000] {
        let dir = tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap().join("file");
        fs::write(&path, vec![0; 300_000]).unwrap();
        let options = Options {
            threads: Some(1),
            piece_length: Some(PieceLength::chosen(64 << 10).unwrap()),
            ..Options::default()
        };
        let resize = |_, _| File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        let error = create(&path, &options, resize, &CancellationToken::new()).unwrap_err();
        assert_eq!(error.to_string(), format!("{} changed while it was read", path.display()), "{length}");
    }
}

#[test]
fn progress_ends_at_the_length_and_a_cancelled_token_ends_it_early() {
    let dir = tempdir().unwrap();
    write(dir.path(), &[("file", &vec![0; 300_000])]);
    let path = dir.path().join("file");
    let last = Mutex::new(0);
    let keep = |done: u64, total| {
        assert_eq!(total, 300_000);
        let mut last = last.lock().unwrap();
        *last = done.max(*last);
    };
    create(&path, &Options::default(), keep, &CancellationToken::new()).unwrap();
    assert_eq!(*last.lock().unwrap(), 300_000);
    let token = CancellationToken::new();
    let error = create(&path, &Options::default(), |_, _| token.cancel(), &token).unwrap_err();
    assert!(matches!(error, CreateError::Cancelled(_)));
}

#[test]
fn more_pieces_than_metainfo_holds_are_refused_before_hashing() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = try_create(&path).unwrap_err().to_string();
    assert_eq!(error, "16777216 pieces of 65536 bytes are too many for a torrent: choose longer pieces");
}

#[test]
fn a_name_may_be_chosen() {
    let dir = tempdir().unwrap();
    write(dir.path(), &[("file", b"x")]);
    let named = |name: &str| {
        let options = Options { name: Some(name.to_owned()), private: true, ..Options::default() };
        create(&dir.path().join("file"), &options, |_, _| {}, &CancellationToken::new())
    };
    let made = named("other").unwrap().metainfo;
    assert_eq!((made.info.name.as_str(), made.info.private), ("other", true));
    assert!(matches!(named("a/b"), Err(CreateError::Path { .. })));
    assert!(matches!(try_create(Path::new("/")), Err(CreateError::NoName(_))));
}

#[test]
fn mode_bits_are_part_of_a_torrent_only_when_they_are_preserved() {
    let dir = tempdir().unwrap();
    let tree = write_mixed(dir.path());
    fs::create_dir(tree.join("none")).unwrap();
    let (plain, kept) = (created(&tree).metainfo, preserved(&tree).metainfo);
    set_mode(&tree.join("b"), 0o2640);
    assert_eq!(created(&tree).metainfo.info_hash(), plain.info_hash());
    let other = preserved(&tree).metainfo;
    assert_ne!(other.info_hash(), kept.info_hash());
    assert_eq!((&other.info.files, &other.info.pieces), (&plain.info.files, &plain.info.pieces));
    let named = |path: &str| other.info.access.iter().find(|access| access.path == FilePath::parse(path).ok()).unwrap();
    assert_eq!((named("b").mode, named("a/link").mode), (Some(0o640), None));
    assert!(named("none").is_directory && named("").is_directory && !named("bin/run").is_directory);
}
