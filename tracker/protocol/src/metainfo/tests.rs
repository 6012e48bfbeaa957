use super::*;

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn file(text: &str, length: u64) -> NewFile {
    NewFile { path: path(text), length, kind: FileKind::Plain }
}

fn built(kind: NewKind, pieces: usize) -> Metainfo {
    let piece_length = PieceLength::chosen(1 << 16).unwrap();
    let pieces = vec![7; pieces * 20];
    let info = NewInfo { name: path("demo"), piece_length, pieces, private: true, kind, access: Vec::new() };
    Metainfo::from_info(&info.encode().unwrap(), &[], &[]).unwrap()
}

/// Metainfo with this info dictionary, written by hand.
fn around(info: &str) -> Result<Metainfo, MetainfoError> {
    Metainfo::parse(format!("d4:info{info}e").into_bytes())
}

fn listing(files: &str) -> Result<Metainfo, MetainfoError> {
    around(&format!("d5:filesl{files}e4:name1:n12:piece lengthi65536e6:pieces0:e"))
}

#[test]
fn a_directory_reads_back_as_it_was_built() {
    let files = vec![
        NewFile { kind: FileKind::Executable, ..file("bin/run", 5) },
        NewFile { kind: FileKind::Symlink(path("bin/run")), ..file("link", 0) },
        file("ünï/日本語", 65_536),
    ];
    let metainfo = built(NewKind::Directory(files), 2);
    let info = &metainfo.info;
    assert_eq!((info.name.as_str(), info.length, info.piece_count(), info.private), ("demo", 65_541, 2, true));
    assert_eq!((info.piece_size(0), info.piece_size(1), info.piece_size(2)), (65_536, 5, 0));
    let kinds: Vec<_> = info.files.iter().map(|file| (file.path.to_string(), file.offset, file.kind.clone())).collect();
    assert_eq!(
        kinds,
        [
            ("bin/run".to_owned(), 0, FileKind::Executable),
            ("link".to_owned(), 5, FileKind::Symlink(path("bin/run"))),
            ("ünï/日本語".to_owned(), 5, FileKind::Plain),
        ]
    );
}

#[test]
fn a_single_file_has_a_length_and_no_list() {
    let metainfo = built(NewKind::File { length: 1, executable: true }, 1);
    assert!(metainfo.info.is_single_file);
    assert_eq!(metainfo.info.files[0].kind, FileKind::Executable);
    assert!(metainfo.info_bytes().starts_with(b"d4:attr1:x6:lengthi1e4:name4:demo"));
}

#[test]
fn padding_reads_back_as_padding() {
    let pad = NewFile { kind: FileKind::Padding, ..file(".pad/60", 60) };
    let metainfo = built(NewKind::Directory(vec![file("a", 4), pad.clone(), file("b", 4), pad]), 1);
    let padding: Vec<bool> = metainfo.info.files.iter().map(|file| file.kind == FileKind::Padding).collect();
    assert_eq!(padding, [false, true, false, true]);
    assert_eq!(metainfo.info.stored_files().count(), 2);
}

#[test]
fn similar_torrents_are_named_outside_of_the_info_dictionary() {
    let plain = built(NewKind::File { length: 1, executable: false }, 1);
    let similar = [InfoHash::from([1; 20]), InfoHash::from([2; 20])];
    let named = plain.with_similar(&similar).with_sources(&[vec!["http://a/announce".to_owned()]], &[]);
    assert_eq!(named.info_hash(), plain.info_hash());
    let read = Metainfo::parse(named.as_bytes().to_vec()).unwrap();
    assert_eq!((read.similar.as_slice(), read.info_hash()), (&similar[..], plain.info_hash()));
    let garbled =
        Metainfo::parse([b"d4:info", plain.info_bytes(), b"7:similarl3:abc20:aaaaaaaaaaaaaaaaaaaaee"].concat());
    assert_eq!(garbled.unwrap().similar, [InfoHash::from([b'a'; 20])]);
}

#[test]
fn info_hash_is_of_the_raw_bytes_whatever_is_around_them() {
    let plain = built(NewKind::File { length: 1, executable: false }, 1);
    let trackers = [vec!["http://a/announce".to_owned(), "http://b/announce".to_owned()]];
    let seeds = ["http://s/".to_owned(), "http://t/".to_owned()];
    let moved = plain.with_sources(&trackers, &seeds);
    let read = Metainfo::parse(moved.as_bytes().to_vec()).unwrap();
    assert_eq!(read.info_hash(), plain.info_hash());
    assert_eq!(read.info_hash(), InfoHash::of(plain.info_bytes()));
    assert_eq!((read.trackers, read.web_seeds), (trackers.to_vec(), seeds.to_vec()));
}

#[test]
fn unknown_keys_inside_info_count_in_the_info_hash() {
    let one = around("d6:lengthi0e4:name1:n12:piece lengthi65536e6:pieces0:e").unwrap();
    let other = around("d6:lengthi0e4:name1:n12:piece lengthi65536e6:pieces0:6:source1:xe").unwrap();
    assert_eq!(one.info, other.info);
    assert_ne!(one.info_hash(), other.info_hash());
}

#[test]
fn sources_that_cannot_be_read_are_passed_over() {
    let bytes = b"d8:announcei7e4:infod6:lengthi0e4:name1:n12:piece lengthi65536e6:pieces0:e8:url-listi1ee";
    let read = Metainfo::parse(bytes.to_vec()).unwrap();
    assert!(read.trackers.is_empty() && read.web_seeds.is_empty());
}

#[test]
fn paths_that_leave_the_root_are_refused() {
    for segments in ["2:..1:a", "1:a2:..1:b", "0:", "", "3:a/b", "3:a\\b", "2:C:"] {
        let read = listing(&format!("d6:lengthi0e4:pathl{segments}ee"));
        assert!(matches!(read, Err(MetainfoError::Path(0, _))), "{segments}");
    }
    let name = around("d6:lengthi0e4:name2:..12:piece lengthi65536e6:pieces0:e");
    assert!(matches!(name, Err(MetainfoError::Name(_))));
}

#[test]
fn a_symlink_stays_inside_and_is_never_part_of_a_path() {
    let target = listing("d4:attr1:l6:lengthi0e4:pathl1:ae12:symlink pathl2:..ee");
    assert!(matches!(target, Err(MetainfoError::Symlink(..))));
    let link = "d4:attr1:l6:lengthi0e4:pathl1:ae12:symlink pathl1:zee";
    let below = listing(&format!("{link}d6:lengthi0e4:pathl1:a6:passwdee"));
    assert!(matches!(below, Err(MetainfoError::Conflict(_))));
    let long = listing("d4:attr1:l6:lengthi1e4:pathl1:ae12:symlink pathl1:zee");
    assert!(matches!(long, Err(MetainfoError::SymlinkLength(_))));
}

#[test]
fn a_single_file_has_content_of_its_own() {
    for attributes in [
        "4:attr1:l6:lengthi0e4:name1:n12:piece lengthi65536e6:pieces0:12:symlink pathl1:xe",
        "4:attr1:p6:lengthi0e4:name1:n12:piece lengthi65536e6:pieces0:",
    ] {
        assert!(matches!(around(&format!("d{attributes}e")), Err(MetainfoError::Kind(_))), "{attributes}");
    }
}

#[test]
fn the_same_path_twice_is_refused() {
    let one = "d6:lengthi0e4:pathl1:aee";
    assert!(matches!(listing(&format!("{one}{one}")), Err(MetainfoError::Conflict(_))));
}

#[test]
fn lengths_that_overflow_are_refused() {
    let huge = format!("i{}e", i64::MAX);
    let twice = format!("d6:length{huge}4:pathl1:aeed6:length{huge}4:pathl1:bee");
    assert!(matches!(listing(&twice), Err(MetainfoError::Length(1, i64::MAX))));
    assert!(matches!(listing("d6:lengthi-1e4:pathl1:aee"), Err(MetainfoError::Length(0, -1))));
}

#[test]
fn piece_hashes_match_the_length() {
    let read = |length: u64, hashes: usize| {
        let pieces = "x".repeat(hashes);
        around(&format!("d6:lengthi{length}e4:name1:n12:piece lengthi65536e6:pieces{hashes}:{pieces}e"))
    };
    for (length, hashes) in [(65_536, 20), (65_537, 40), (0, 0), (1, 20)] {
        assert!(read(length, hashes).is_ok(), "{length}");
    }
    for (length, hashes) in [(65_536, 40), (65_537, 20), (0, 20), (1, 19), (1 << 62, 20)] {
        assert!(matches!(read(length, hashes), Err(MetainfoError::Pieces { .. })), "{length}");
    }
}

#[test]
fn a_torrent_of_version_2_alone_is_named_as_such() {
    let read = around("d9:file treed1:ad0:d6:lengthi0eeee12:meta versioni2e4:name1:n12:piece lengthi65536ee");
    assert!(matches!(read, Err(MetainfoError::OnlyV2)));
}

#[test]
fn a_layout_is_one_file_or_a_list() {
    for info in [
        "d4:name1:n12:piece lengthi65536e6:pieces0:e",
        "d5:filesle4:name1:n12:piece lengthi65536e6:pieces0:e",
        "d5:filesle6:lengthi0e4:name1:n12:piece lengthi65536e6:pieces0:e",
    ] {
        assert!(matches!(around(info), Err(MetainfoError::Layout)), "{info}");
    }
}

#[test]
fn every_cut_of_a_torrent_is_refused() {
    let whole = built(NewKind::File { length: 9, executable: false }, 1);
    for cut in 0..whole.as_bytes().len() {
        assert!(Metainfo::parse(whole.as_bytes()[..cut].to_vec()).is_err(), "{cut}");
    }
}
