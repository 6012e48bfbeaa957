//! Stock clients find each other through the tracker alone: over HTTP and UDP, IPv4 and IPv6.
//!
//! The one that joins second is told of the first and dials it. That is never Transmission, which does not dial addresses
//! of loopback.

#![allow(clippy::unwrap_used)]

use std::{net::IpAddr, time::Duration};

use nova_tests::{Client, Stack, Tree, eventually, swarming};

/// How long a client may take to announce itself.
const WITHIN: Duration = Duration::from_secs(30);

/// Has one client seed and then another download, with nothing but the tracker between them.
fn find_each_other(face: &str, host: &str, seeds: Client, downloads: Client) {
    let host: IpAddr = host.parse().unwrap();
    let stack = Stack::tracker_at(host, &[("open", "true".to_owned())]);
    let tree = Tree::new(&stack.path("seeded/demo")).file("a", 1 << 20).file("b/c", 4321).root();
    let torrent = stack.path("demo.torrent");
    seeds.create(&tree, &format!("{face}://{}/announce", stack.announce_addr()), true, &torrent);

    let _first = seeds.join(&torrent, &stack.path("seeded"));
    eventually("the seeder is there", WITHIN, || announced(&stack, face, host, 1));
    let folder = stack.path("downloaded");
    let _second = downloads.join(&torrent, &folder);
    swarming::arrives(&tree, &folder);
    announced(&stack, face, host, 2).unwrap();
}

/// Whether so many announces have come, and all over this face and family.
fn announced(stack: &Stack, face: &str, host: IpAddr, least: u64) -> Result<(), String> {
    let metrics = stack.metrics();
    let family = if host.is_ipv4() { "ipv4" } else { "ipv6" };
    let expected = format!("{{face=\"{face}\",family=\"{family}\"");
    let announces = metrics.lines().filter_map(|line| line.strip_prefix("nova_tracker_announces_total"));
    let count = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let (here, elsewhere): (Vec<&str>, Vec<&str>) = announces.partition(|line| line.starts_with(&expected));
    let here: u64 = here.into_iter().map(count).sum();
    let elsewhere: u64 = elsewhere.into_iter().map(count).sum();
    if here >= least && elsewhere == 0 {
        Ok(())
    } else {
        Err(format!("{here} came as expected, {elsewhere} otherwise"))
    }
}

#[test]
fn clients_find_each_other_over_http_and_ipv4() {
    find_each_other("http", "127.0.0.1", Client::Transmission, Client::Libtorrent);
    find_each_other("http", "127.0.0.1", Client::Libtorrent, Client::Aria2);
}

#[test]
fn clients_find_each_other_over_http_and_ipv6() {
    find_each_other("http", "::1", Client::Transmission, Client::Libtorrent);
    find_each_other("http", "::1", Client::Libtorrent, Client::Aria2);
}

#[test]
fn clients_find_each_other_over_udp_and_ipv4() {
    find_each_other("udp", "127.0.0.1", Client::Transmission, Client::Libtorrent);
    find_each_other("udp", "127.0.0.1", Client::Libtorrent, Client::Aria2);
}

/// aria2 has no UDP over IPv6, and Transmission only where there is an address that the world can reach.
#[test]
fn clients_find_each_other_over_udp_and_ipv6() {
    find_each_other("udp", "::1", Client::Libtorrent, Client::Libtorrent);
}
