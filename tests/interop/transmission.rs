//! Transmission and nova in one swarm.

use nova_tests::{Client, Stack, swarming};

#[test]
fn transmission_downloads_a_pushed_tree() {
    let stack = Stack::start();
    let (_, copy) = swarming::client_downloads_a_tree(&stack, Client::Transmission);
    swarming::has_padding(&copy);
}

#[test]
fn transmission_downloads_a_pushed_file() {
    swarming::client_downloads_a_file(&Stack::start(), Client::Transmission);
}

#[test]
fn transmission_seeds_a_tree_that_it_made_a_torrent_of() {
    swarming::client_seeds_its_own(Client::Transmission);
}

#[test]
fn transmission_comes_and_goes_in_the_tracker() {
    swarming::client_comes_and_goes(Client::Transmission);
}
