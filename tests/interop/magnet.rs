//! Magnet links of what is pushed for everybody: peers give the info dictionary (BEP 9).

use nova_tests::{Client, Stack, Tree, assert_same, free_addr, swarming};

/// Not with aria2, which says on its announces that a magnet link leaves nothing to download, so that it is taken for a
/// seeder and is told of leechers only.
#[test]
fn libtorrent_downloads_what_a_magnet_link_names() {
    swarming::client_downloads_by_magnet_link(Client::Libtorrent);
}

#[test]
fn nova_downloads_what_a_magnet_link_names() {
    let stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), 1 << 20);
    let magnet = swarming::push_for_everybody(&stack, &tree);
    stack.cli().run(stack.home.path(), ["pull", &magnet, "--no-agent", "--download-dir=out"]).success();
    assert_same(&tree, &stack.path("out/demo"));
}

/// librqbit, too, announces that a magnet link leaves nothing to download.
#[test]
fn nova_downloads_what_a_magnet_link_names_without_the_index() {
    let stack = Stack::start();
    let tree = Tree::of_everything(&stack.path("demo"), 1 << 20);
    let magnet = swarming::push_for_everybody(&stack, &tree);
    let nobody = format!("--tracker=http://{}", free_addr());
    stack.cli().run(stack.home.path(), ["pull", &magnet, &nobody, "--no-agent", "--download-dir=out"]).success();
    assert_same(&tree, &stack.path("out/demo"));
}
