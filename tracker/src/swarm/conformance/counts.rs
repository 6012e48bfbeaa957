use super::*;

#[test]
fn announce_with_left_zero_counts_as_seeder() {
    every_store(|scene| {
        scene.leech(1);
        scene.seed(2);
        assert_eq!(scene.counts(), (1, 1, 0));
        scene.seed(1);
        assert_eq!(scene.counts(), (2, 0, 0));
        assert_eq!(scene.store.crowd(), Crowd { seeders: 2, leechers: 0 });
    });
}

#[test]
fn completed_counts_once_per_peer_id() {
    every_store(|scene| {
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
    });
}

#[test]
fn another_peer_id_at_an_address_replaces_the_one_before() {
    every_store(|mut scene| {
        scene.leech(1);
        scene.wait(100);
        assert_eq!(scene.say(1, |_| ()).0.interval, 10);
        assert_eq!(scene.say(1, |request| request.peer_id = id(99)).0.interval, 2, "it has only just come");
        assert_eq!(scene.counts(), (0, 1, 0));
    });
}

#[test]
fn a_partial_seed_is_incomplete_but_downloads_nothing() {
    every_store(|scene| {
        scene.leech(1);
        scene.say(2, |request| request.event = Event::Paused);
        let counts = scene.store.counts(hash()).unwrap();
        assert_eq!((counts.complete, counts.incomplete, counts.downloaders), (0, 2, 1));
        scene.say(2, |request| request.left = 0);
        let counts = scene.store.counts(hash()).unwrap();
        assert_eq!((counts.complete, counts.incomplete, counts.downloaders), (1, 1, 1));
    });
}
