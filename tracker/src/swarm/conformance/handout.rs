use super::*;

#[test]
fn nobody_is_handed_himself() {
    every_store(|scene| {
        scene.leech(1);
        assert!(scene.leech(1).is_empty());
        // The same peer id at a second address.
        let other_family = scene.say(1, |request| request.port = 2).1;
        assert!(other_family.is_empty());
    });
}

#[test]
fn a_seeder_is_never_handed_seeders() {
    every_store(|scene| {
        scene.store.hold(hash(), "origin", Some(addr(9)));
        (1..=5).for_each(|peer| drop(scene.seed(peer)));
        scene.leech(6);
        assert_eq!(scene.seed(7), [6]);
        let paused = scene.say(8, |request| request.event = Event::Paused).1;
        assert_eq!(paused, [6]);
    });
}

#[test]
fn complete_peers_come_first_but_never_fill_the_list() {
    every_store(|scene| {
        (1..=100).for_each(|peer| drop(scene.seed(peer)));
        (101..=200).for_each(|peer| drop(scene.leech(peer)));
        let handout = scene.leech(300);
        assert_eq!(handout.len(), 50);
        assert!(handout[..25].iter().all(|peer| *peer <= 100));
        assert!(handout[25..].iter().all(|peer| *peer > 100));
        assert_eq!(handout.iter().collect::<HashSet<_>>().len(), 50);
    });
}

#[test]
fn complete_peers_take_the_places_that_leechers_leave() {
    every_store(|scene| {
        (1..=100).for_each(|peer| drop(scene.seed(peer)));
        scene.leech(101);
        let handout = scene.leech(102);
        assert_eq!((handout.len(), handout.last()), (50, Some(&101)));
    });
}

#[test]
fn the_mix_is_random() {
    every_store(|scene| {
        (1..=200).for_each(|peer| drop(scene.leech(peer)));
        let seen: HashSet<_> = (0..50).flat_map(|_| scene.leech(300)).collect();
        assert_eq!(seen.len(), 200);
    });
}

#[test]
fn num_want_is_capped_and_may_be_zero() {
    every_store(|scene| {
        (1..=100).for_each(|peer| drop(scene.leech(peer)));
        for (wanted, given) in [(0, 0), (1, 1), (60, 60), (u32::MAX, 60)] {
            let handout = scene.say(300, |request| request.num_want = Some(wanted)).1;
            assert_eq!(handout.len(), given, "{wanted}");
        }
    });
}

#[test]
fn stopped_removes_at_once_and_gives_nothing() {
    every_store(|scene| {
        scene.leech(1);
        scene.leech(2);
        assert!(scene.say(1, |request| request.event = Event::Stopped).1.is_empty());
        assert_eq!(scene.counts(), (0, 1, 0));
        assert!(scene.leech(2).is_empty());
    });
}

#[test]
fn a_peer_that_does_not_listen_is_answered_but_not_handed_out() {
    every_store(|scene| {
        scene.leech(1);
        assert_eq!(scene.leech(0), [1]);
        assert_eq!(scene.counts(), (0, 1, 0));
    });
}

#[test]
fn partial_seeds_are_handed_to_leechers_alone() {
    every_store(|scene| {
        scene.say(1, |request| request.event = Event::Paused);
        scene.leech(2);
        assert_eq!(scene.leech(3).len(), 2);
        assert_eq!(sorted(scene.seed(4)), [2, 3]);
        assert_eq!(sorted(scene.say(1, |request| request.event = Event::Paused).1), [2, 3]);
    });
}

#[test]
fn peers_of_both_families_find_each_other_and_their_own_come_first() {
    every_store(|scene| {
        (1..=5).for_each(|peer| drop(scene.leech(peer)));
        (6..=7).for_each(|peer| drop(scene.announce(&request(peer), addr6(peer)).unwrap()));
        let (_, handout) = scene.announce(&request(8), addr6(8)).unwrap();
        assert_eq!((handout.v6.len(), handout.v4.len()), (2, 5));
        let few = AnnounceRequest { num_want: Some(3), ..request(8) };
        let (_, handout) = scene.announce(&few, addr6(8)).unwrap();
        assert_eq!((handout.v6.len(), handout.v4.len()), (2, 1));
        let mut handout = Handout::default();
        let call = Call { request: &request(9), addr: addr(9), now: scene.now, one_family: true };
        scene.store.announce(call, &mut handout).unwrap();
        assert_eq!((handout.v6.len(), handout.v4.len()), (0, 5));
    });
}

#[test]
fn a_peer_of_both_families_is_in_both_and_never_handed_himself() {
    every_store(|scene| {
        scene.leech(1);
        let (_, handout) = scene.announce(&request(1), addr6(1)).unwrap();
        assert!(handout.is_empty());
        let (_, handout) = scene.announce(&request(2), addr6(2)).unwrap();
        assert_eq!((handout.v6.len(), handout.v4.len()), (1, 1));
    });
}

#[test]
fn peer_ids_are_known_from_the_time_when_somebody_asks() {
    every_store(|scene| {
        (1..=2).for_each(|peer| drop(scene.leech(peer)));
        let handout: Handout = [1, 2].map(addr).into_iter().collect();
        assert_eq!(scene.store.ids(hash(), &handout), [None, None]);
        scene.leech(2);
        assert_eq!(scene.store.ids(hash(), &handout), [None, Some(id(2))]);
        scene.say(2, |request| request.event = Event::Stopped);
        assert_eq!(scene.store.ids(hash(), &handout), [None, None]);
    });
}
