//! Sizes, rates and times, as people read and write them.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chrono::DateTime;
use indicatif::HumanBytes;
use nova_protocol::Rate;

/// `1.20 GiB`.
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// `120.31 MiB/s`.
pub fn rate(bytes: u64, took: Duration) -> String {
    let per_second = bytes as f64 / took.as_secs_f64().max(1e-3);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates")]
    let per_second = per_second as u64;
    format!("{}/s", HumanBytes(per_second))
}

/// `, 120.31 MiB/s`, or nothing when nothing moved.
pub fn comma_rate(bytes: u64, took: Duration) -> String {
    if bytes == 0 { String::new() } else { format!(", {}", rate(bytes, took)) }
}

/// `87%`.
pub fn percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 { 100 } else { u128::from(part) * 100 / u128::from(whole) };
    format!("{share}%")
}

/// `12 ms`, `4.1 s`, `2 min 5 s`, `3 h 4 min`.
pub fn duration(took: Duration) -> String {
    match took.as_secs() {
        0 if took.as_millis() < 100 => format!("{} ms", took.as_millis()),
        0..60 => format!("{:.1} s", took.as_secs_f64()),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1 file`, `2 files`.
pub fn count(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A Unix time as `2026-07-01 12:34Z`.
pub fn date(unix: u64) -> String {
    let time = i64::try_from(unix).ok().and_then(|unix| DateTime::from_timestamp(unix, 0));
    time.map_or_else(|| unix.to_string(), |time| time.format("%Y-%m-%d %H:%MZ").to_string())
}

/// `10.00 MiB/s`, or `no limit`.
pub fn limit(limit: Rate) -> String {
    match u32::from(limit) {
        0 => "no limit".to_owned(),
        per_second => format!("{}/s", bytes(per_second.into())),
    }
}

/// Reads a limit in bytes a second, such as `10M`; `0` and `none` stand for no limit.
pub fn read_limit(text: &str) -> Result<Rate> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Rate::UNLIMITED);
    }
    let bytes = read_bytes(text.trim_end_matches("/s"))?;
    let bytes = u32::try_from(bytes).with_context(|| format!("{text:?} is too large, expected less than 4GiB"))?;
    Ok(Rate::try_from(bytes)?)
}

/// Reads `262144`, `256KiB`, `1MiB`, `2GiB`; `K`, `M` and `G` are the same.
pub fn read_bytes(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        other => bail!("unit {other:?}, expected KiB, MiB or GiB, as in 256KiB"),
    };
    let number = digits.parse::<u64>().with_context(|| format!("{text:?} is no size, expected such as 256KiB"))?;
    number.checked_mul(factor).with_context(|| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_every_spelling() {
        for (text, size) in [("262144", 1 << 18), ("256KiB", 1 << 18), ("1MiB", 1 << 20), ("2 g", 2 << 30), ("0", 0)] {
            assert_eq!(read_bytes(text).unwrap(), size, "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "-1", "1MB", "99999999999GiB"] {
            assert!(read_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_read_as_they_are_said() {
        for (text, said) in
            [("10M", "10.00 MiB/s"), ("16KiB/s", "16.00 KiB/s"), ("0", "no limit"), ("none", "no limit")]
        {
            assert_eq!(limit(read_limit(text).unwrap()), said);
        }
        for text in ["1", "16383", "4GiB", "10MB", "", "all"] {
            assert!(read_limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        let read = |milliseconds| duration(Duration::from_millis(milliseconds));
        assert_eq!([12, 4100, 125_000, 11_040_000].map(read), ["12 ms", "4.1 s", "2 min 5 s", "3 h 4 min"]);
    }

    #[test]
    fn dates_are_civil() {
        for (unix, text) in
            [(0, "1970-01-01 00:00Z"), (951_782_400, "2000-02-29 00:00Z"), (1_767_225_599, "2025-12-31 23:59Z")]
        {
            assert_eq!(date(unix), text);
        }
    }
}
