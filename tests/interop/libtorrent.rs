//! libtorrent and nova in one swarm.

use nova_tests::{Client, Stack, assert_same, swarming};

#[test]
fn libtorrent_downloads_a_pushed_tree_with_its_symlinks_and_executable_bits() {
    let stack = Stack::start();
    let (tree, copy) = swarming::client_downloads_a_tree(&stack, Client::Libtorrent);
    assert_same(&tree, &copy);
}

#[test]
fn libtorrent_downloads_a_pushed_file() {
    swarming::client_downloads_a_file(&Stack::start(), Client::Libtorrent);
}

#[test]
fn libtorrent_downloads_from_a_web_seed_alone() {
    swarming::client_downloads_over_http(Client::Libtorrent);
}

#[test]
fn libtorrent_seeds_a_tree_that_it_made_a_torrent_of() {
    swarming::client_seeds_its_own(Client::Libtorrent);
}

#[test]
fn libtorrent_comes_and_goes_in_the_tracker() {
    swarming::client_comes_and_goes(Client::Libtorrent);
}
