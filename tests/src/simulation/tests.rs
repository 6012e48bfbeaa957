use super::*;

const MIB: u64 = 1 << 20;

/// When the last of some is done, over the time that the links need.
fn over_bound(scene: &Scene, outcome: &Outcome) -> f64 {
    outcome.done.iter().copied().fold(0.0, f64::max) / scene.bound()
}

fn fleet(hosts: usize) -> Scene {
    Scene::fleet(hosts, 6_000_000, 16 * MIB)
}

#[test]
fn the_same_scene_ends_the_same() {
    assert_eq!(fleet(20).run(), fleet(20).run());
}

#[test]
fn one_who_is_alone_takes_as_long_as_the_link() {
    let scene = fleet(1);
    let outcome = scene.run();
    assert!((1.0..1.03).contains(&over_bound(&scene, &outcome)), "{outcome:?}");
    assert!((outcome.copies - 1.0).abs() < 1e-9 && outcome.waste < 1e-9);
}

#[test]
fn eight_are_done_almost_as_soon_as_one_and_the_origin_sends_one_copy() {
    let scene = fleet(8);
    let outcome = scene.run();
    assert!((1.0..1.2).contains(&over_bound(&scene, &outcome)), "{outcome:?}");
    assert!((1.0..1.2).contains(&outcome.copies), "{outcome:?}");
}

#[test]
fn a_crowd_is_done_almost_as_soon() {
    let scene = fleet(300);
    let outcome = scene.run();
    assert!((1.0..1.5).contains(&over_bound(&scene, &outcome)), "{:.2}", over_bound(&scene, &outcome));
    assert!(outcome.waste < 0.15, "{:.2}", outcome.waste);
}

#[test]
fn an_origin_that_does_not_super_seed_sends_more_than_one_copy() {
    let plain = Scene { super_seeds: false, ..fleet(8) };
    assert!(plain.run().copies > 2.0 * fleet(8).run().copies);
}

#[test]
fn one_slow_host_and_late_ones_hold_nobody_up() {
    let mut scene = fleet(8);
    let alone = fleet(1).run().done[0];
    scene.leechers[0].rate /= 10;
    scene.leechers[7].starts = Duration::from_secs_f64(alone / 2.0);
    let outcome = scene.run();
    assert!(outcome.done[1..].iter().all(|&done| done < alone * 1.3), "{outcome:?}");
}
