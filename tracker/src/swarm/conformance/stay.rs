use super::*;

#[test]
fn peers_expire_after_two_missed_intervals() {
    every_store(|mut scene| {
        scene.leech(1);
        scene.wait(599);
        scene.store.sweep(scene.now);
        assert_eq!(scene.leech(2), [1]);
        scene.wait(1);
        scene.store.sweep(scene.now);
        assert!(scene.leech(2).is_empty());
        assert_eq!(scene.store.crowd().total(), 1);
    });
}

#[test]
fn an_idle_seeder_outlives_two_long_intervals() {
    every_store(|mut scene| {
        scene.seed(1);
        scene.wait(3599);
        scene.store.sweep(scene.now);
        assert_eq!(scene.counts(), (1, 0, 0));
        scene.wait(1);
        scene.store.sweep(scene.now);
        assert_eq!(scene.counts(), (0, 0, 0));
    });
}

#[test]
fn intervals_are_short_for_the_young_and_long_for_idle_seeders() {
    every_store(|mut scene| {
        let interval = |scene: &Scene, left| scene.say(1, |request| request.left = left).0.interval;
        assert_eq!(interval(&scene, 5), 2);
        scene.wait(100);
        assert_eq!(interval(&scene, 5), 10);
        assert_eq!(interval(&scene, 0), 1800);
        scene.leech(2);
        assert_eq!(interval(&scene, 0), 10);
    });
}
