//! Limits by the time of day. Nothing here asks what time it is.

mod window;

use chrono::{DateTime, Days, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone};
use serde::{Deserialize, Serialize};
pub use window::{Window, WindowError};

/// How far ahead the next change is looked for, in days: every window comes again within a week.
const AHEAD: u64 = 7;
/// A clock that is put forward at once lands within a day, at a quarter of an hour.
const QUARTERS: i64 = 24 * 4;

/// What the times of a schedule mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The time of this host (`TZ`, or /etc/localtime), daylight saving time included.
    #[default]
    Local,
    /// UTC.
    Utc,
}

/// The window that holds when the clock shows `time`, by its place in the schedule: the first that matches.
pub(super) fn holding(schedule: &[Window], time: NaiveDateTime) -> Option<usize> {
    schedule.iter().position(|window| window.holds_at(time))
}

/// When another window holds than does now, or none does; None when that never happens.
pub(super) fn next_change<Z: TimeZone>(schedule: &[Window], now: &DateTime<Z>) -> Option<DateTime<Z>> {
    let (zone, today) = (now.timezone(), now.naive_local());
    let current = holding(schedule, today);
    let days = (0..=AHEAD).filter_map(|ahead| today.date().checked_add_days(Days::new(ahead)));
    let edges = days.flat_map(|day| schedule.iter().flat_map(move |window| window.edges(day)));
    let moments = edges.flat_map(|edge| moments(&zone, edge));
    moments.filter(|moment| moment > now && holding(schedule, moment.naive_local()) != current).min()
}

/// When the clock shows `time`: twice when it is put back over it. When it is put forward beyond it, the moment of that.
fn moments<Z: TimeZone>(zone: &Z, time: NaiveDateTime) -> Vec<DateTime<Z>> {
    let later = (0..=QUARTERS).filter_map(|quarters| time.checked_add_signed(TimeDelta::minutes(15 * quarters)));
    match later.map(|time| zone.from_local_datetime(&time)).find(|shown| *shown != MappedLocalTime::None) {
        Some(MappedLocalTime::Single(once)) => vec![once],
        Some(MappedLocalTime::Ambiguous(first, second)) => vec![first, second],
        Some(MappedLocalTime::None) | None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
