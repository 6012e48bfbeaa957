//! The `.torrent` files of nova and of others: each reads the other's, and finds the same info hash.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use nova_protocol::{InfoHash, Metainfo};
use nova_tests::{Cli, Client, Stack, Tree, free_addr};
use tempfile::TempDir;

const ANNOUNCE: &str = "http://127.0.0.1:15003/announce";

#[test]
fn a_torrent_of_every_other_tool_is_accepted() {
    let stack = Stack::tracker_alone(&[]);
    let tree = Tree::of_everything(&stack.path("demo"), 1 << 20);
    for (client, private) in Client::ALL.into_iter().flat_map(|client| [(client, true), (client, false)]) {
        for content in [&tree, &tree.join("weights.bin")] {
            let torrent = stack.path(&format!("{}.torrent", client.name()));
            let _may_be_there = fs::remove_file(&torrent);
            client.create(content, ANNOUNCE, private, &torrent);
            let expected = client.info_hash(&torrent);
            assert_eq!(inspected(&stack.cli(), &torrent), expected.to_string(), "{client:?}");

            let metainfo = Metainfo::parse(fs::read(&torrent).unwrap()).unwrap();
            let put = stack.block_on(stack.tracker.put_torrent(&metainfo)).unwrap();
            assert_eq!((put.info_hash, put.private), (expected, private), "{client:?}");
        }
    }
}

#[test]
fn every_other_tool_reads_the_torrents_of_nova() {
    let home = tempfile::tempdir().unwrap();
    for content in contents(&home.path().join("contents")) {
        for arguments in [&["--public"][..], &["--tracker-url", ANNOUNCE, "--web-seed=http://127.0.0.1/"]] {
            let (torrent, info_hash) = create(home.path(), &content, arguments);
            for client in Client::ALL {
                assert_eq!(client.info_hash(&torrent), info_hash, "{client:?}, {}", content.display());
            }
        }
    }
}

#[test]
fn a_private_torrent_of_a_file_is_the_same_everywhere() {
    let (home, file) = file();
    for client in Client::ALL {
        assert_eq!(made_by(client, &file, true), create(home.path(), &file, &[]).1, "{client:?}");
    }
}

/// Not Transmission's: it says `private` of those that are not, too, with 0.
#[test]
fn a_public_torrent_of_a_file_is_the_same_by_mktorrent_and_libtorrent() {
    let (home, file) = file();
    for client in [Client::Aria2, Client::Libtorrent] {
        assert_eq!(made_by(client, &file, false), create(home.path(), &file, &["--public"]).1, "{client:?}");
    }
}

/// All sort these names alike. In general mktorrent sorts by whole paths, in which `a.b` is before `a/b`; Transmission
/// does so too, with small letters as capitals and others than ASCII first. It also leaves out empty files, and neither
/// of the two notes executable bits or symlinks.
#[test]
fn a_torrent_of_plain_files_is_the_same_everywhere() {
    let home = tempfile::tempdir().unwrap();
    let tree = Tree::new(&home.path().join("plain")).file("a/b/one", 70_000).file("a/two", 1).file("c", 1 << 17).root();
    for client in Client::ALL {
        assert_eq!(made_by(client, &tree, true), create(home.path(), &tree, &[]).1, "{client:?}");
    }
}

/// Not symlinks: libtorrent notes for those that they may be executed, as Linux says of all symlinks.
#[test]
fn a_torrent_of_executable_and_empty_files_is_the_same_by_libtorrent() {
    let home = tempfile::tempdir().unwrap();
    let tree = Tree::new(&home.path().join("tools"))
        .executable("bin/run.sh", "#!/bin/sh\n")
        .file("nested/empty", 0)
        .file("ünï/日本語 and a space", 4321)
        .root();
    assert_eq!(made_by(Client::Libtorrent, &tree, true), create(home.path(), &tree, &[]).1);
}

/// Mode bits and owners are no part of any BEP.
#[test]
fn stock_clients_read_a_torrent_that_keeps_mode_bits_and_owners() {
    let home = tempfile::tempdir().unwrap();
    let tree = Tree::of_everything(&home.path().join("demo"), 1 << 20);
    let plain = create(home.path(), &tree, &[]).1;
    let (torrent, info_hash) = create(home.path(), &tree, &["--preserve=mode,ownership"]);
    assert_ne!(info_hash, plain);
    for client in Client::ALL {
        assert_eq!(client.info_hash(&torrent), info_hash, "{client:?}");
    }
}

/// Everything that content can be.
fn contents(root: &Path) -> Vec<PathBuf> {
    let tree = Tree::of_everything(&root.join("demo"), 1 << 20);
    let pieces = Tree::new(&root.join("pieces")).file("exactly", 3 << 16).file("one byte", 1).root();
    let ends_empty = Tree::new(&root.join("ends-empty")).file("a", 1 << 16).file("b", 0).root();
    vec![tree.join("bin/run.sh"), pieces.join("exactly"), pieces.join("one byte"), ends_empty, tree]
}

fn file() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let file = Tree::new(home.path()).file("disk image.img", 300_000).root().join("disk image.img");
    (home, file)
}

fn made_by(client: Client, content: &Path, private: bool) -> InfoHash {
    let home = tempfile::tempdir().unwrap();
    let torrent = home.path().join("a.torrent");
    client.create(content, ANNOUNCE, private, &torrent);
    client.info_hash(&torrent)
}

/// What `nova-cli create` makes, and the info hash that it says.
fn create(home: &Path, content: &Path, arguments: &[&str]) -> (PathBuf, InfoHash) {
    let output = home.join("nova.torrent");
    let fixed = ["create", "--force", "--json", "--piece-length=64KiB", "--output"].map(AsRef::as_ref);
    let paths = [output.as_os_str(), content.as_os_str()];
    let arguments = fixed.into_iter().chain(paths).chain(arguments.iter().map(AsRef::as_ref));
    let created = Cli::new(free_addr()).run(home, arguments).success().json();
    (output, created["info_hash"].as_str().unwrap().parse().unwrap())
}

fn inspected(cli: &Cli, torrent: &Path) -> String {
    let shown = cli.run(Path::new("/"), ["inspect".as_ref(), "--json".as_ref(), torrent.as_os_str()]).success().json();
    shown["info_hash"].as_str().unwrap().to_owned()
}
