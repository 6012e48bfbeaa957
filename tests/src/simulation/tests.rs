use super::*;

const MIB: u64 = 1 << 20;

/// When the last of some is done, over the time that the links need.
fn over_bound(scene: &Scene, outcome: &Outcome) -> f64 {
    let rates: Vec<f64> = scene.leechers.iter().map(|host| host.rate.into()).collect();
    let last = outcome.done.iter().copied().fold(0.0, f64::max);
    last / bound(scene.length as f64, scene.origin_rate.into(), &rates)
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
