//! A part of the week, and what holds in it.

use std::str::FromStr;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Weekday};
use nova_protocol::Rate;
use serde::{Deserialize, Serialize};

/// A part of some days of the week, and the limits that hold in it.
///
/// It begins on its days and ends at `to`, on the next day when that is not after `from`; the same time twice is a whole
/// day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it begins; all when absent.
    #[serde(default = "DaysOfWeek::all")]
    pub days: DaysOfWeek,
    /// When it begins.
    pub from: TimeOfDay,
    /// When it has ended.
    pub to: TimeOfDay,
    /// Bytes of content that leave in a second, 0 for no limit; as outside of the schedule when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_limit: Option<Rate>,
    /// Bytes of content that come in a second, 0 for no limit; as outside of the schedule when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_limit: Option<Rate>,
}

/// Some days of the week: `mon-fri`, `sat,sun`, `fri-mon`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DaysOfWeek {
    text: String,
    days: Vec<Weekday>,
}

/// A time of the day to the minute: `08:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(NaiveTime);

/// Not a part of the week.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not a day, nor days.
    #[error("{0:?} names no days of the week, expected such as \"mon-fri\" or \"sat,sun\"")]
    Days(String),
    /// Not a time.
    #[error("{0:?} is no time of the day, expected 00:00 to 23:59")]
    Time(String),
}

impl Window {
    pub(super) fn holds_at(&self, time: NaiveDateTime) -> bool {
        let (from, to) = (self.from.0, self.to.0);
        let (day, time) = (time.weekday(), time.time());
        if from < to {
            return self.days.has(day) && (from..to).contains(&time);
        }
        (self.days.has(day) && time >= from) || (self.days.has(day.pred()) && time < to)
    }

    /// When it may begin or end on a day.
    pub(super) fn edges(&self, day: NaiveDate) -> [NaiveDateTime; 2] {
        [self.from, self.to].map(|time| day.and_time(time.0))
    }
}

impl DaysOfWeek {
    fn all() -> Self {
        "mon-sun".parse().expect("days of the week")
    }

    fn has(&self, day: Weekday) -> bool {
        self.days.contains(&day)
    }
}

impl FromStr for DaysOfWeek {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let refused = || WindowError::Days(text.to_owned());
        let day = |name: &str| name.trim().parse::<Weekday>().map_err(|_| refused());
        let mut days = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut next, last) = (day(first)?, day(last)?);
            days.push(next);
            while next != last {
                next = next.succ();
                days.push(next);
            }
        }
        days.sort_unstable_by_key(Weekday::num_days_from_monday);
        days.dedup();
        Ok(Self { text: text.to_owned(), days })
    }
}

impl FromStr for TimeOfDay {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let time = NaiveTime::parse_from_str(text, "%H:%M");
        time.map(Self).map_err(|_| WindowError::Time(text.to_owned()))
    }
}

impl TryFrom<String> for DaysOfWeek {
    type Error = WindowError;

    fn try_from(text: String) -> Result<Self, WindowError> {
        text.parse()
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = WindowError;

    fn try_from(text: String) -> Result<Self, WindowError> {
        text.parse()
    }
}

impl From<DaysOfWeek> for String {
    fn from(days: DaysOfWeek) -> Self {
        days.text
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.0.format("%H:%M").to_string()
    }
}
