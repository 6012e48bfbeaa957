use std::{collections::HashSet, time::Duration};

use nova_protocol::{PeerId, announce::Event};

use super::*;

const RULES: Rules =
    Rules { open: false, num_want_max: 60, leechers_per_origin: 2, pace: Pace { min: 2, max: 1800, budget: 1000 } };

fn hash() -> InfoHash {
    InfoHash::from([7; 20])
}

/// Swarms with one info hash listed, and a clock that only moves when it is told to.
struct Scene {
    swarms: Swarms,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let swarms = Swarms::new(RULES);
        swarms.list(hash());
        Self { swarms, now: Instant::now() }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn say(&self, peer: u16, change: impl FnOnce(&mut AnnounceRequest)) -> (ReplyHead, Vec<u16>) {
        let mut request = AnnounceRequest {
            info_hash: hash(),
            peer_id: id(peer),
            port: peer,
            uploaded: 0,
            downloaded: 0,
            left: 100,
            event: Event::None,
            num_want: None,
            compact: true,
            no_peer_id: false,
            key: None,
            ip: None,
        };
        change(&mut request);
        let mut peers = Vec::new();
        let head = self.swarms.announce(&request, addr(request.port), self.now, &mut peers).unwrap();
        (head, peers.iter().map(|peer| peer.addr.port()).collect())
    }

    fn leech(&self, peer: u16) -> Vec<u16> {
        self.say(peer, |_| ()).1
    }

    fn seed(&self, peer: u16) -> Vec<u16> {
        self.say(peer, |request| request.left = 0).1
    }

    fn counts(&self) -> (u32, u32, u32) {
        let counts = self.swarms.counts(hash()).unwrap();
        (counts.complete, counts.incomplete, counts.downloaded)
    }
}

fn id(peer: u16) -> PeerId {
    let mut bytes = [b'p'; 20];
    bytes[..2].copy_from_slice(&peer.to_be_bytes());
    bytes.into()
}

fn addr(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn sorted(mut ports: Vec<u16>) -> Vec<u16> {
    ports.sort_unstable();
    ports
}

#[test]
fn an_info_hash_that_is_not_listed_is_refused() {
    let scene = Scene::new();
    scene.leech(1);
    scene.swarms.delist(hash());
    let mut peers = Vec::new();
    let request = AnnounceRequest::parse(b"info_hash=77777777777777777777&peer_id=pppppppppppppppppppp&port=1&left=0");
    let request = request.unwrap();
    assert_eq!(scene.swarms.announce(&request, addr(1), scene.now, &mut peers), Err(Unlisted));
    assert_eq!((scene.swarms.crowd().total(), scene.swarms.len()), (0, 0));
}

#[test]
fn an_open_tracker_has_swarms_for_as_long_as_they_have_peers() {
    let scene = Scene { swarms: Swarms::new(Rules { open: true, ..RULES }), now: Instant::now() };
    scene.leech(1);
    assert_eq!(scene.swarms.len(), 1);
    scene.say(1, |request| request.event = Event::Stopped);
    scene.swarms.sweep(scene.now);
    assert!(scene.swarms.is_empty());
}

#[test]
fn announce_with_left_zero_counts_as_seeder() {
    let scene = Scene::new();
    scene.leech(1);
    scene.seed(2);
    assert_eq!(scene.counts(), (1, 1, 0));
    scene.seed(1);
    assert_eq!(scene.counts(), (2, 0, 0));
    assert_eq!(scene.swarms.crowd(), Crowd { seeders: 2, leechers: 0 });
}

#[test]
fn nobody_is_handed_himself() {
    let scene = Scene::new();
    scene.leech(1);
    assert!(scene.leech(1).is_empty());
    // The same peer id at a second address.
    let other_family = scene.say(1, |request| request.port = 2).1;
    assert!(other_family.is_empty());
}

#[test]
fn a_seeder_is_never_handed_seeders() {
    let scene = Scene::new();
    scene.swarms.hold(hash(), "origin", Some(addr(9)));
    (1..=5).for_each(|peer| drop(scene.seed(peer)));
    scene.leech(6);
    assert_eq!(scene.seed(7), [6]);
    let paused = scene.say(8, |request| request.event = Event::Paused).1;
    assert_eq!(paused, [6]);
}

#[test]
fn complete_peers_come_first_but_never_fill_the_list() {
    let scene = Scene::new();
    (1..=100).for_each(|peer| drop(scene.seed(peer)));
    (101..=200).for_each(|peer| drop(scene.leech(peer)));
    let handout = scene.leech(300);
    assert_eq!(handout.len(), 50);
    assert!(handout[..25].iter().all(|peer| *peer <= 100));
    assert!(handout[25..].iter().all(|peer| *peer > 100));
    assert_eq!(handout.iter().collect::<HashSet<_>>().len(), 50);
}

#[test]
fn complete_peers_take_the_places_that_leechers_leave() {
    let scene = Scene::new();
    (1..=100).for_each(|peer| drop(scene.seed(peer)));
    scene.leech(101);
    let handout = scene.leech(102);
    assert_eq!((handout.len(), handout.last()), (50, Some(&101)));
}

#[test]
fn the_mix_is_random() {
    let scene = Scene::new();
    (1..=200).for_each(|peer| drop(scene.leech(peer)));
    let seen: HashSet<_> = (0..50).flat_map(|_| scene.leech(300)).collect();
    assert_eq!(seen.len(), 200);
}

#[test]
fn num_want_is_capped_and_may_be_zero() {
    let scene = Scene::new();
    (1..=100).for_each(|peer| drop(scene.leech(peer)));
    for (wanted, given) in [(0, 0), (1, 1), (60, 60), (u32::MAX, 60)] {
        let handout = scene.say(300, |request| request.num_want = Some(wanted)).1;
        assert_eq!(handout.len(), given, "{wanted}");
    }
}

#[test]
fn stopped_removes_at_once_and_gives_nothing() {
    let scene = Scene::new();
    scene.leech(1);
    scene.leech(2);
    assert!(scene.say(1, |request| request.event = Event::Stopped).1.is_empty());
    assert_eq!(scene.counts(), (0, 1, 0));
    assert!(scene.leech(2).is_empty());
}

#[test]
fn completed_counts_once_per_peer_id() {
    let scene = Scene::new();
    let complete = |peer| {
        scene.say(peer, |request| {
            request.left = 0;
            request.event = Event::Completed;
        })
    };
    complete(1);
    complete(1);
    scene.say(1, |request| request.event = Event::Stopped);
    complete(1);
    complete(2);
    assert_eq!(scene.counts(), (2, 0, 2));
}

#[test]
fn another_peer_id_at_an_address_replaces_the_one_before() {
    let scene = Scene::new();
    scene.leech(1);
    scene.say(1, |request| request.peer_id = id(99));
    assert_eq!(scene.counts(), (0, 1, 0));
    assert_eq!(scene.swarms.peers(hash(), 10)[0].peer_id, id(99));
}

#[test]
fn a_peer_that_does_not_listen_is_answered_but_not_handed_out() {
    let scene = Scene::new();
    scene.leech(1);
    assert_eq!(scene.leech(0), [1]);
    assert_eq!(scene.counts(), (0, 1, 0));
}

#[test]
fn peers_expire_after_two_missed_intervals() {
    let mut scene = Scene::new();
    scene.leech(1);
    scene.wait(599);
    scene.swarms.sweep(scene.now);
    assert_eq!(scene.leech(2), [1]);
    scene.wait(1);
    scene.swarms.sweep(scene.now);
    assert!(scene.leech(2).is_empty());
    assert_eq!(scene.swarms.crowd().total(), 1);
}

#[test]
fn an_idle_seeder_outlives_two_long_intervals() {
    let mut scene = Scene::new();
    scene.seed(1);
    scene.wait(3599);
    scene.swarms.sweep(scene.now);
    assert_eq!(scene.counts(), (1, 0, 0));
    scene.wait(1);
    scene.swarms.sweep(scene.now);
    assert_eq!(scene.counts(), (0, 0, 0));
}

#[test]
fn intervals_are_short_for_the_young_and_long_for_idle_seeders() {
    let mut scene = Scene::new();
    let interval = |scene: &Scene, left| scene.say(1, |request| request.left = left).0.interval;
    assert_eq!(interval(&scene, 5), 2);
    scene.wait(100);
    assert_eq!(interval(&scene, 5), 10);
    assert_eq!(interval(&scene, 0), 1800);
    scene.leech(2);
    assert_eq!(interval(&scene, 0), 10);
}

#[test]
fn an_origin_is_handed_to_as_many_leechers_as_it_can_feed() {
    let scene = Scene::new();
    scene.swarms.hold(hash(), "origin", Some(addr(9)));
    assert_eq!(scene.leech(1), [9]);
    assert_eq!(scene.leech(2), [9, 1]);
    assert_eq!(sorted(scene.leech(3)), [1, 2]);
    assert_eq!(scene.leech(1)[0], 9, "an origin once handed out stays");
    assert_eq!(scene.counts(), (1, 3, 0));
    scene.seed(1);
    assert_eq!(scene.leech(3)[0], 9, "a leecher that has finished makes room");
}

#[test]
fn a_leecher_that_stops_or_expires_makes_room_at_an_origin() {
    let mut scene = Scene::new();
    scene.swarms.hold(hash(), "origin", Some(addr(9)));
    scene.leech(1);
    scene.leech(2);
    scene.say(1, |request| request.event = Event::Stopped);
    assert!(scene.leech(3).contains(&9));
    scene.wait(300);
    scene.leech(4);
    scene.wait(300);
    scene.swarms.sweep(scene.now);
    assert!(scene.leech(4).contains(&9));
}

#[test]
fn a_starving_leecher_is_handed_an_origin_all_the_same() {
    let mut scene = Scene::new();
    scene.swarms.hold(hash(), "origin", Some(addr(9)));
    (1..=3).for_each(|peer| drop(scene.leech(peer)));
    scene.wait(29);
    assert!(!scene.leech(3).contains(&9));
    scene.wait(1);
    assert!(scene.leech(3).contains(&9));
    assert!(!scene.say(3, |request| request.left = 99).1.contains(&9), "it has progressed");
}

#[test]
fn only_live_origins_that_hold_the_content_are_handed_out() {
    let scene = Scene::new();
    scene.swarms.hold(hash(), "origin", None);
    assert!(scene.leech(1).is_empty());
    scene.swarms.place("origin", Some(addr(9)));
    assert_eq!(scene.leech(1), [9]);
    scene.swarms.place("origin", Some(addr(8)));
    assert_eq!(scene.leech(1), [8]);
    scene.swarms.place("origin", None);
    assert!(scene.leech(1).is_empty());
    scene.swarms.place("origin", Some(addr(9)));
    scene.swarms.release(hash(), "origin");
    assert!(scene.leech(1).is_empty());
}

#[test]
fn an_origin_that_has_stopped_is_not_handed_out_until_it_is_back() {
    let scene = Scene::new();
    scene.swarms.hold(hash(), "origin", Some(addr(9)));
    scene.say(9, |request| (request.left, request.event) = (0, Event::Stopped));
    assert!(scene.leech(1).is_empty());
    assert_eq!(scene.counts(), (0, 1, 0));
    scene.say(9, |request| (request.left, request.event) = (0, Event::Started));
    assert_eq!(scene.leech(1), [9]);
}

#[test]
fn an_origin_that_announces_itself_is_still_handed_out_sparingly() {
    let scene = Scene::new();
    scene.seed(9);
    scene.swarms.hold(hash(), "origin", Some(addr(9)));
    scene.seed(9);
    assert_eq!(scene.counts(), (1, 0, 0));
    (1..=2).for_each(|peer| drop(scene.leech(peer)));
    assert!(!scene.leech(3).contains(&9));
    assert_eq!(scene.swarms.crowd().total(), 3);
}

#[test]
fn a_leecher_that_does_not_listen_takes_no_place_at_an_origin() {
    let scene = Scene::new();
    scene.swarms.hold(hash(), "origin", Some(addr(9)));
    for _ in 0..3 {
        assert_eq!(scene.leech(0), [9]);
    }
    assert_eq!(scene.leech(1)[0], 9);
    assert_eq!(scene.leech(2)[0], 9);
    assert_eq!(sorted(scene.leech(0)), [1, 2], "those who are fed have it for the others");
}
