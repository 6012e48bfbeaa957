//! What every stock client does with nova, and nova with it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nova_protocol::{InfoHash, Metainfo, api::MoveTag};

use crate::{Client, Member, Stack, Tree, eventually, has_files_of};

/// How long anything here may take.
const WITHIN: Duration = Duration::from_mins(1);
/// How long the word of one that leaves may be on its way; the tracker misses those that say nothing after ten minutes.
const AT_ONCE: Duration = Duration::from_secs(5);
const LENGTH: usize = 4 << 20;

/// Pushes a tree, and has it downloaded by a client that is given no more than the `.torrent`: the tree and the copy.
pub fn client_downloads_a_tree(stack: &Stack, client: Client) -> (PathBuf, PathBuf) {
    let tree = Tree::of_everything(&stack.path("demo"), LENGTH);
    (tree.clone(), client_downloads(stack, client, &tree))
}

/// The same of a single file.
pub fn client_downloads_a_file(stack: &Stack, client: Client) {
    let file = Tree::new(&stack.path("files")).file("disk.img", LENGTH + 1).root().join("disk.img");
    client_downloads(stack, client, &file);
}

fn client_downloads(stack: &Stack, client: Client, pushed: &Path) -> PathBuf {
    let tag = stack.push(pushed, "demo:v1");
    let folder = stack.path(client.name());
    let _member = client.join(stack.torrent_file(tag.info_hash), &folder);
    arrives(pushed, &folder)
}

/// What a client that knows no padding (BEP 47) has downloaded has files of zeros in its place.
pub fn has_padding(copy: &Path) {
    let mut count = 0;
    for file in fs::read_dir(copy.join(".pad")).unwrap() {
        assert!(fs::read(file.unwrap().path()).unwrap().iter().all(|byte| *byte == 0));
        count += 1;
    }
    assert_ne!(count, 0);
}

/// Pushes a tree, and has it downloaded from the origin's HTTP face by a client that knows no tracker.
pub fn client_downloads_over_http(client: Client) {
    let stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), LENGTH);
    let tag = stack.push(&tree, "demo:v1");
    let metainfo = stack.metainfo(tag.info_hash, "?web_seeds=true");
    assert_eq!(metainfo.web_seeds.len(), 1);

    let torrent = stack.path("peerless.torrent");
    fs::write(&torrent, metainfo.with_sources(&[], &metainfo.web_seeds).as_bytes()).unwrap();
    let folder = stack.path(client.name());
    let _member = client.join(&torrent, &folder);
    arrives(&tree, &folder);
}

/// Has a client seed what its own tool made a torrent of; the tag moves once the origin holds that, and it is pulled.
pub fn client_seeds_its_own(client: Client) {
    let stack = Stack::start();
    let tree = Tree::new(&stack.path("own"))
        .file("weights.bin", LENGTH)
        .file("Upper/part-1.bin", LENGTH / 3)
        .file("lower/part-2.bin", 1)
        .file("ünï/日本語 and a space", 4321)
        .root();
    let torrent = stack.path("own.torrent");
    client.create(&tree, &stack.announce_url(), true, &torrent);
    let metainfo = Metainfo::parse(fs::read(&torrent).unwrap()).unwrap();
    stack.block_on(stack.tracker.put_torrent(&metainfo)).unwrap();

    let member = client.join(&torrent, stack.home.path());
    let body = MoveTag { info_hash: metainfo.info_hash(), expected_version: Some(0), pusher: String::new() };
    let reference = "own:v1".parse().unwrap();
    let moved = eventually("the tag moves", WITHIN, || stack.block_on(stack.tracker.move_tag(&reference, &body)));
    assert_eq!((moved.version, moved.info_hash), (1, metainfo.info_hash()));
    drop(member);

    let arguments = ["pull", "own:v1", "--no-agent", "--download-dir=out"];
    stack.cli().run(stack.home.path(), arguments).success();
    has_files_of(&tree, &stack.path("out/own")).unwrap();
}

/// Follows a client through the tracker's books: it comes, completes and leaves.
pub fn client_comes_and_goes(client: Client) {
    let stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), LENGTH);
    let info_hash = stack.push(&tree, "demo:v1").info_hash;
    assert_eq!(counts(&stack, info_hash), (1, 0), "the origin alone");

    let mut member = client.join_slowly(stack.torrent_file(info_hash), &stack.path(client.name()));
    eventually("it leeches", WITHIN, || as_counted(&stack, info_hash, &member, (1, 1)));
    eventually("it seeds", WITHIN, || as_counted(&stack, info_hash, &member, (2, 0)));
    member.leave();
    eventually("it has left", AT_ONCE, || match (counts(&stack, info_hash), stack.peers(info_hash)) {
        ((1, 0), peers) if peers.iter().all(|peer| peer.addr.port() != member.port) => Ok(()),
        other => Err(other),
    });
}

/// Pushes a tree for everybody, and has it downloaded by a client that is given no more than the magnet link.
pub fn client_downloads_by_magnet_link(client: Client) {
    let stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), LENGTH);
    let magnet = push_for_everybody(&stack, &tree);
    let folder = stack.path(client.name());
    let _member = client.join(magnet, &folder);
    arrives(&tree, &folder);
}

/// Pushes with `--public`, and says what the magnet link is.
pub fn push_for_everybody(stack: &Stack, path: &Path) -> String {
    let (cli, home) = (stack.cli(), stack.home.path());
    cli.run(home, ["push".as_ref(), "--public".as_ref(), path.as_os_str(), "public".as_ref()]).success();
    let inspected = cli.run(home, ["inspect", "public", "--json"]).success().json();
    inspected["magnet"].as_str().unwrap().to_owned()
}

/// Waits until all that was pushed is in a client's folder, and says where.
pub fn arrives(pushed: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join(pushed.file_name().unwrap());
    eventually("every byte arrives", WITHIN, || has_files_of(pushed, &copy));
    copy
}

fn counts(stack: &Stack, info_hash: InfoHash) -> (u64, u64) {
    let torrent = stack.torrent(info_hash).unwrap();
    (torrent.seeders, torrent.leechers)
}

/// Whether the tracker counts so many seeders and leechers, and lists the client as what it is then.
fn as_counted(stack: &Stack, info_hash: InfoHash, member: &Member, expected: (u64, u64)) -> Result<(), String> {
    let found = counts(stack, info_hash);
    let peers = stack.peers(info_hash);
    let listed = peers.iter().find(|peer| peer.addr.port() == member.port);
    match listed {
        Some(peer) if found == expected && peer.complete == (expected.1 == 0) => Ok(()),
        _ => Err(format!("{found:?}, {peers:?}")),
    }
}
