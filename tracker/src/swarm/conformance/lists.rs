use super::*;

fn other(number: u8) -> AnnounceRequest {
    AnnounceRequest { info_hash: InfoHash::from([number; 20]), ..request(1) }
}

#[test]
fn an_info_hash_that_is_not_listed_is_refused() {
    every_store(|scene| {
        scene.leech(1);
        scene.store.delist(hash());
        assert_eq!(scene.announce(&request(1), addr(1)), Err(AnnounceError::Unlisted));
        assert_eq!((scene.store.crowd().total(), scene.store.swarms()), (0, 0));
    });
}

#[test]
fn an_open_tracker_has_swarms_for_as_long_as_they_have_peers() {
    every_store(|scene| {
        scene.store.set_rules(Rules { open: true, ..RULES });
        scene.announce(&other(1), addr(1)).unwrap();
        assert_eq!(scene.store.swarms(), 2);
        scene.announce(&AnnounceRequest { event: Event::Stopped, ..other(1) }, addr(1)).unwrap();
        scene.store.sweep(scene.now);
        assert_eq!(scene.store.swarms(), 1, "the listed one stays");
    });
}

#[test]
fn an_allowed_info_hash_has_a_swarm_until_it_is_not_allowed_any_more() {
    every_store(|scene| {
        scene.store.allow(&[other(1).info_hash, hash()]);
        scene.announce(&other(1), addr(1)).unwrap();
        scene.leech(1);
        scene.store.allow(&[]);
        assert_eq!(scene.announce(&other(1), addr(1)), Err(AnnounceError::Unlisted));
        assert_eq!(scene.counts(), (0, 1, 0), "what is in the index stays");
        scene.store.allow(&[hash()]);
        scene.store.delist(hash());
        assert_eq!(scene.counts(), (0, 1, 0), "what is allowed stays when it leaves the index");
    });
}

#[test]
fn a_full_store_refuses_new_peers_and_serves_those_it_has() {
    every_store(|scene| {
        scene.store.set_rules(Rules { peers_max: 2, ..RULES });
        scene.leech(1);
        scene.leech(2);
        assert_eq!(scene.announce(&request(3), addr(3)), Err(AnnounceError::Full));
        assert_eq!(scene.leech(2), [1]);
        scene.say(1, |request| request.event = Event::Stopped);
        assert_eq!(scene.leech(3), [2]);
    });
}

#[test]
fn an_open_tracker_has_no_more_swarms_than_it_may() {
    every_store(|scene| {
        scene.store.set_rules(Rules { open: true, swarms_max: 2, ..RULES });
        scene.announce(&other(1), addr(1)).unwrap();
        assert_eq!(scene.announce(&other(2), addr(1)), Err(AnnounceError::Full));
        scene.announce(&other(1), addr(2)).unwrap();
    });
}

#[test]
fn every_swarm_is_counted_in_the_order_of_info_hashes() {
    every_store(|scene| {
        scene.store.list(other(9).info_hash);
        scene.store.list(other(1).info_hash);
        scene.seed(1);
        let counts = scene.store.all_counts();
        let seen: Vec<_> = counts.iter().map(|(hash, counts)| (hash.as_bytes()[0], counts.complete)).collect();
        assert_eq!(seen, [(1, 0), (7, 1), (9, 0)]);
    });
}

#[test]
fn new_rules_hold_at_once_and_swarms_stay() {
    every_store(|scene| {
        (1..=9).for_each(|peer| drop(scene.leech(peer)));
        scene.store.set_rules(Rules { num_want_max: 3, pace: Pace { min: 60, ..RULES.pace }, ..RULES });
        let (head, handout) = scene.say(10, |_| ());
        assert_eq!((head.interval, handout.len(), scene.counts()), (60, 3, (0, 10, 0)));
    });
}
