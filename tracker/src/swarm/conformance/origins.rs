use super::*;

#[test]
fn an_origin_is_handed_to_as_many_leechers_as_it_can_feed() {
    every_store(|scene| {
        scene.store.hold(hash(), "origin", Some(addr(9)));
        assert_eq!(scene.leech(1), [9]);
        assert_eq!(scene.leech(2), [9, 1]);
        assert_eq!(sorted(scene.leech(3)), [1, 2]);
        assert_eq!(scene.leech(1)[0], 9, "an origin once handed out stays");
        assert_eq!(scene.counts(), (1, 3, 0));
        scene.seed(1);
        assert_eq!(scene.leech(3)[0], 9, "a leecher that has finished makes room");
    });
}

#[test]
fn leechers_that_ask_only_one_origin_do_not_all_ask_the_same() {
    every_store(|scene| {
        scene.store.hold(hash(), "one", Some(addr(101)));
        scene.store.hold(hash(), "two", Some(addr(102)));
        let first: HashSet<_> = (0..64).map(|_| scene.leech(1)[0]).collect();
        assert_eq!(first, [101, 102].into());
    });
}

#[test]
fn origins_are_called_once_to_stock_clients_that_come() {
    every_store(|scene| {
        scene.store.hold(hash(), "origin", Some(addr(9)));
        let called = || scene.store.calls().take("origin").iter().map(|call| call.addr.port()).collect::<Vec<_>>();
        let starts = |peer, id| scene.say(peer, |request| (request.event, request.peer_id) = (Event::Started, id));
        starts(1, id(1));
        scene.leech(1);
        starts(2, PeerId::nova([0; 12]));
        assert_eq!(called(), [1]);
        scene.leech(1);
        starts(3, id(3));
        assert_eq!(called(), [0; 0], "those who come again, and more than are fed");
        starts(1, id(1));
        assert_eq!(called(), [1], "one that was killed and comes back");
    });
}

#[test]
fn a_leecher_that_stops_or_expires_makes_room_at_an_origin() {
    every_store(|mut scene| {
        scene.store.hold(hash(), "origin", Some(addr(9)));
        scene.leech(1);
        scene.leech(2);
        scene.say(1, |request| request.event = Event::Stopped);
        assert!(scene.leech(3).contains(&9));
        scene.wait(300);
        scene.leech(4);
        scene.wait(300);
        scene.store.sweep(scene.now);
        assert!(scene.leech(4).contains(&9));
    });
}

#[test]
fn a_starving_leecher_is_handed_an_origin_all_the_same() {
    every_store(|mut scene| {
        scene.store.hold(hash(), "origin", Some(addr(9)));
        (1..=3).for_each(|peer| drop(scene.leech(peer)));
        scene.wait(29);
        assert!(!scene.leech(3).contains(&9));
        scene.wait(1);
        assert!(scene.leech(3).contains(&9));
        assert!(!scene.say(3, |request| request.left = 99).1.contains(&9), "it has progressed");
    });
}

#[test]
fn only_live_origins_that_hold_the_content_are_handed_out() {
    every_store(|scene| {
        scene.store.hold(hash(), "origin", None);
        assert!(scene.leech(1).is_empty());
        scene.store.place("origin", Some(addr(9)));
        assert_eq!(scene.leech(1), [9]);
        scene.store.place("origin", Some(addr(8)));
        assert_eq!(scene.leech(1), [8]);
        scene.store.place("origin", None);
        assert!(scene.leech(1).is_empty());
        scene.store.place("origin", Some(addr(9)));
        scene.store.release(hash(), "origin");
        assert!(scene.leech(1).is_empty());
    });
}

#[test]
fn an_origin_that_has_stopped_is_not_handed_out_until_it_is_back() {
    every_store(|scene| {
        scene.store.hold(hash(), "origin", Some(addr(9)));
        scene.say(9, |request| (request.left, request.event) = (0, Event::Stopped));
        assert!(scene.leech(1).is_empty());
        assert_eq!(scene.counts(), (0, 1, 0));
        scene.say(9, |request| (request.left, request.event) = (0, Event::Started));
        assert_eq!(scene.leech(1), [9]);
    });
}

#[test]
fn an_origin_that_announces_itself_is_still_handed_out_sparingly() {
    every_store(|scene| {
        scene.seed(9);
        scene.store.hold(hash(), "origin", Some(addr(9)));
        scene.seed(9);
        assert_eq!(scene.counts(), (1, 0, 0));
        (1..=2).for_each(|peer| drop(scene.leech(peer)));
        assert!(!scene.leech(3).contains(&9));
        assert_eq!(scene.store.crowd().total(), 3);
    });
}

#[test]
fn a_leecher_that_does_not_listen_takes_no_place_at_an_origin() {
    every_store(|scene| {
        scene.store.hold(hash(), "origin", Some(addr(9)));
        for _ in 0..3 {
            assert_eq!(scene.leech(0), [9]);
        }
        assert_eq!(scene.leech(1)[0], 9);
        assert_eq!(scene.leech(2)[0], 9);
        assert_eq!(sorted(scene.leech(0)), [1, 2], "those who are fed have it for the others");
    });
}
