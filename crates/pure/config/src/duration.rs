//! Spans of time as people write them: `30`, `0.5`, `30s`, `5min`, `1h`, `30d`, `1mo`.

use std::time::Duration;

/// Nothing here is meant to last longer, and a clock can still add it to now: 100 years.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

/// Reads a span of time: a number of seconds, or a number with one of the units s, sec, m, min, h, d, w, mo.
///
/// A month is 30 days here. `None` for anything else, for a negative span or one above 100 years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let number = number.trim_end();
    if !number.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let seconds = match unit {
        "" | "s" | "sec" => 1,
        "m" | "min" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => 7 * DAY,
        "mo" => 30 * DAY,
        _ => return None,
    };
    // Whole numbers stay exact; only a fraction goes through a float.
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(u64::from(seconds)).map(Duration::from_secs).filter(|span| *span <= LONGEST),
        Err(_) => seconds_of(number.parse::<f64>().ok()? * f64::from(seconds)),
    }
}

/// A span of `seconds`; `None` if negative, not a number, or above 100 years.
#[must_use]
pub fn seconds_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|span| *span <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<f64>) {
        assert_eq!(parse_duration(text).map(|d| d.as_secs_f64()), expected, "{text}");
    }

    #[test]
    fn every_unit_is_read() {
        check("30", Some(30.0));
        check("0.5", Some(0.5));
        check("30s", Some(30.0));
        check("30sec", Some(30.0));
        check("20m", Some(1200.0));
        check("30min", Some(1800.0));
        check("30 min", Some(1800.0));
        check("30h", Some(108_000.0));
        check("1d", Some(86_400.0));
        check("2w", Some(1_209_600.0));
        check("1mo", Some(2_592_000.0));
        check("1.5h", Some(5400.0));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "s",
            "-1",
            "-5s",
            "1y",
            "5 minutes",
            "1e3",
            "inf",
            "nan",
            "1..5",
            "30S",
            "101000d",
            "99999999999999999999999d",
        ] {
            check(text, None);
        }
    }
}
