use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// Asks `condition` again and again until it gives a value, and gives up after `deadline`.
///
/// The one place where tests sleep. `what` is said when it was in vain.
pub fn eventually<T, E: Debug>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return value,
            Err(last) if start.elapsed() > deadline => panic!("{what}: not within {deadline:?}: {last:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Waits without a pause for what lasts a few milliseconds, so that it is caught in its middle.
pub fn at_once(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
    }
}
