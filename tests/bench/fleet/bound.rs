//! The time that no protocol can beat.

/// Seconds in which content of `length` bytes can reach everybody at best: it has to leave the seeders once, reach the
/// slowest leecher, and all copies together have to leave somebody (Kumar and Ross, Peer-Assisted File Distribution: The
/// Minimum Distribution Time, 2006). Rates are in bytes a second, both ways alike.
pub fn seconds(length: f64, seeders: f64, leechers: &[f64]) -> f64 {
    let all = leechers.iter().sum::<f64>();
    let slowest = leechers.iter().copied().fold(f64::INFINITY, f64::min);
    let copies = leechers.len() as f64;
    (length / seeders).max(length / slowest).max(copies * length / (seeders + all))
}
