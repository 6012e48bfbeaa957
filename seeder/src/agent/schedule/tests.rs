use chrono::{FixedOffset, MappedLocalTime, NaiveDate, TimeZone, Utc};

use super::*;

fn window(days: &str, from: &str, to: &str) -> Window {
    let (days, from, to) = (days.parse().unwrap(), from.parse().unwrap(), to.parse().unwrap());
    Window { days, from, to, upload_limit: None, download_limit: None }
}

/// The 1st of February 2027 is a Monday.
fn time(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
}

/// Central European time in 2027: 02:00 becomes 03:00 on the 28th of March, 03:00 becomes 02:00 on the 31st of October.
#[derive(Debug, Clone, Copy)]
struct Central;

fn hours(hours: i32) -> FixedOffset {
    FixedOffset::east_opt(hours * 3600).unwrap()
}

impl TimeZone for Central {
    type Offset = FixedOffset;

    fn from_offset(_: &FixedOffset) -> Self {
        Self
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<FixedOffset> {
        self.offset_from_local_datetime(&local.and_hms_opt(12, 0, 0).unwrap())
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
        let shows = |offset: FixedOffset| self.offset_from_utc_datetime(&(*local - offset)) == offset;
        match (shows(hours(2)), shows(hours(1))) {
            (true, true) => MappedLocalTime::Ambiguous(hours(2), hours(1)),
            (true, false) => MappedLocalTime::Single(hours(2)),
            (false, true) => MappedLocalTime::Single(hours(1)),
            (false, false) => MappedLocalTime::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> FixedOffset {
        self.offset_from_utc_datetime(&utc.and_hms_opt(12, 0, 0).unwrap())
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
        let is_summer = (time("2027-03-28 01:00")..time("2027-10-31 01:00")).contains(utc);
        hours(if is_summer { 2 } else { 1 })
    }
}

#[test]
fn a_window_holds_on_its_days_from_its_first_minute_to_before_its_last() {
    let office = [window("mon-fri", "08:00", "18:00")];
    for (at, holds) in [
        ("2027-02-01 07:59", false),
        ("2027-02-01 08:00", true),
        ("2027-02-05 17:59", true),
        ("2027-02-05 18:00", false),
        ("2027-02-06 12:00", false),
        ("2027-02-07 12:00", false),
    ] {
        assert_eq!(holding(&office, time(at)).is_some(), holds, "{at}");
    }
}

#[test]
fn a_window_that_crosses_midnight_belongs_to_the_day_on_which_it_begins() {
    let night = [window("fri", "22:00", "06:00")];
    for (at, holds) in [
        ("2027-02-05 05:00", false),
        ("2027-02-05 22:00", true),
        ("2027-02-06 00:00", true),
        ("2027-02-06 05:59", true),
        ("2027-02-06 06:00", false),
        ("2027-02-06 23:00", false),
    ] {
        assert_eq!(holding(&night, time(at)).is_some(), holds, "{at}");
    }
}

#[test]
fn of_windows_that_overlap_the_first_holds() {
    let both = [window("mon", "10:00", "12:00"), window("mon-sun", "00:00", "00:00")];
    let at = ["2027-02-01 09:59", "2027-02-01 10:00", "2027-02-01 12:00", "2027-02-02 11:00"];
    assert_eq!(at.map(|at| holding(&both, time(at))), [Some(1), Some(0), Some(1), Some(1)]);
}

#[test]
fn days_are_lists_and_ranges_round_the_week() {
    for (days, on) in [("sat,sun", "0000011"), ("fri-mon", "1000111"), ("wed", "0010000"), ("Mon, thu-fri", "1001100")]
    {
        let windows = [window(days, "00:00", "00:00")];
        let found: String = (1..=7)
            .map(|day| if holding(&windows, time(&format!("2027-02-0{day} 12:00"))).is_some() { '1' } else { '0' })
            .collect();
        assert_eq!(found, on, "{days}");
    }
}

#[test]
fn what_is_no_part_of_the_week_is_refused() {
    for text in [
        r#"{"days":"mon-frist","from":"08:00","to":"18:00"}"#,
        r#"{"days":"","from":"08:00","to":"18:00"}"#,
        r#"{"from":"24:00","to":"18:00"}"#,
        r#"{"from":"08:00","to":"6pm"}"#,
        r#"{"from":"08:00"}"#,
        r#"{"from":"08:00","to":"18:00","upload_limit":1}"#,
        r#"{"from":"08:00","to":"18:00","upload":0}"#,
    ] {
        assert!(serde_json::from_str::<Window>(text).is_err(), "{text}");
    }
    assert!(serde_json::from_str::<Window>(r#"{"from":"08:00","to":"18:00"}"#).is_ok());
}

#[test]
fn the_next_change_is_when_another_window_holds() {
    let next = |schedule: &[Window], at: &str| {
        next_change(schedule, &time(at).and_utc()).map(|change| change.format("%Y-%m-%d %H:%M").to_string())
    };
    let office = [window("mon-fri", "08:00", "18:00")];
    assert_eq!(next(&office, "2027-02-01 07:00").unwrap(), "2027-02-01 08:00");
    assert_eq!(next(&office, "2027-02-01 08:00").unwrap(), "2027-02-01 18:00");
    assert_eq!(next(&office, "2027-02-05 18:00").unwrap(), "2027-02-08 08:00");
    let once_a_week = [window("mon", "08:00", "09:00")];
    assert_eq!(next(&once_a_week, "2027-02-01 09:00").unwrap(), "2027-02-08 08:00");
    // The edges of a window behind another change nothing.
    let behind = [window("mon-sun", "00:00", "00:00"), window("mon-fri", "08:00", "18:00")];
    assert_eq!((next(&behind, "2027-02-01 07:00"), next(&[], "2027-02-01 07:00")), (None, None));
}

#[test]
fn a_clock_that_is_put_forward_or_back_is_no_surprise() {
    let early = [window("sun", "02:15", "02:45")];
    let longer = [window("sun", "02:15", "04:00")];
    let at = |text: &str| Central.from_utc_datetime(&time(text));
    let after = |schedule: &[Window], text: &str| {
        let change = next_change(schedule, &at(text)).unwrap();
        change.with_timezone(&Utc).format("%m-%d %H:%M").to_string()
    };
    // No minute from 02:00 to 02:59 is shown on that day; 01:00 UTC is 03:00.
    assert_eq!(after(&longer, "2027-03-28 00:30"), "03-28 01:00");
    assert_eq!(after(&early, "2027-03-28 00:30"), "04-04 00:15");
    let next = |text: &str| after(&early, text);
    // 02:15 is shown twice: at 00:15 UTC and at 01:15 UTC.
    assert_eq!(next("2027-10-31 00:00"), "10-31 00:15");
    assert_eq!(next("2027-10-31 00:50"), "10-31 01:15");
    assert_eq!(next("2027-10-31 01:20"), "10-31 01:45");
}
