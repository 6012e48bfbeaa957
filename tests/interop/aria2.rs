//! aria2 and nova in one swarm.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use nova_tests::{Client, Stack, Tree, has_files_of, swarming};

#[test]
fn aria2_downloads_a_pushed_tree() {
    let stack = Stack::start();
    let (_, copy) = swarming::client_downloads_a_tree(&stack, Client::Aria2);
    swarming::has_padding(&copy);
}

#[test]
fn aria2_downloads_a_pushed_file() {
    swarming::client_downloads_a_file(&Stack::start(), Client::Aria2);
}

#[test]
fn aria2_downloads_what_a_link_to_the_tracker_names() {
    let stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), 1 << 20);
    let tag = stack.push(&tree, "demo:v1");
    let folder = stack.path("aria2");
    let _member = Client::Aria2.join(format!("http://{}/v1/torrents/{}.torrent", stack.http(), tag.info_hash), &folder);
    swarming::arrives(&tree, &folder);
}

#[test]
fn aria2_downloads_from_a_web_seed_alone() {
    swarming::client_downloads_over_http(Client::Aria2);
}

#[test]
fn aria2_and_an_agent_download_the_same_tree_at_once() {
    let mut stack = Stack::start();
    let agent = stack.add_agent("agent");
    let tree = Tree::of_everything(&stack.path("demo"), 4 << 20);
    let info_hash = stack.push(&tree, "demo:v1").info_hash;

    let folder = stack.path("aria2");
    let _member = Client::Aria2.join_slowly(stack.torrent_file(info_hash), &folder);
    stack.block_on(agent.start("demo:v1", &[])).unwrap();
    let pull = stack.pulled(&agent, info_hash, Duration::from_mins(1));
    has_files_of(&tree, &pull.path).unwrap();
    swarming::arrives(&tree, &folder);
}

#[test]
fn aria2_seeds_a_tree_that_mktorrent_made_a_torrent_of() {
    swarming::client_seeds_its_own(Client::Aria2);
}

#[test]
fn aria2_comes_and_goes_in_the_tracker() {
    swarming::client_comes_and_goes(Client::Aria2);
}
