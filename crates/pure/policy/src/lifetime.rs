//! How long keys live, as people write it: `30s`, `20m`, `1mo` (decision 11).

use jiff::{Span, Timestamp, tz::TimeZone};
use tollgate_wire::Failure;

/// How long something lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// So many seconds.
    Seconds(i64),
    /// To the same day so many months later, or the last one of that month.
    Months(i32),
}

/// A century: nothing that is written here is meant to live longer.
const LONGEST_SECONDS: i64 = 100 * 366 * 86_400;

impl Lifetime {
    /// Reads `30s`, `5m`, `2h`, `7d`, `1w`, `1mo`, also `sec`, `min` and the words `hourly`, `daily`, `weekly`, `monthly`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn parse(text: &str, field: &str) -> Result<Self, Failure> {
        let refused = || {
            let words = format!(
                "`{field}` must be a number and a unit (s, sec, m, min, h, d, w, mo), such as \"30d\"; got {:?}",
                text.chars().take(64).collect::<String>()
            );
            Failure::invalid(words).with_param(field)
        };
        let text = text.trim().to_ascii_lowercase();
        let word = match text.as_str() {
            "hourly" => "1h",
            "daily" => "24h",
            "weekly" => "7d",
            "monthly" => "30d",
            written => written,
        };
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = word.split_at_checked(digits).ok_or_else(refused)?;
        let number: i64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(refused)?;
        let seconds = match unit {
            "s" | "sec" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            "mo" => {
                let months = i32::try_from(number).ok().filter(|months| *months <= 1200).ok_or_else(refused)?;
                return Ok(Self::Months(months));
            }
            _ => return Err(refused()),
        };
        let seconds = number.checked_mul(seconds).filter(|seconds| *seconds <= LONGEST_SECONDS).ok_or_else(refused)?;
        Ok(Self::Seconds(seconds))
    }

    /// When it ends that begins at `now`; both in milliseconds since 1970.
    #[must_use]
    pub fn ends(self, now: i64) -> i64 {
        match self {
            Self::Seconds(seconds) => now.saturating_add(seconds.saturating_mul(1000)),
            Self::Months(months) => {
                let start = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
                start.checked_add(Span::new().months(months)).map_or(i64::MAX, |end| end.timestamp().as_millisecond())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("30s", 30),
            ("30sec", 30),
            ("20m", 1200),
            ("30min", 1800),
            ("30h", 108_000),
            ("30d", 2_592_000),
            ("1w", 604_800),
            (" 2H ", 7200),
            ("daily", 86_400),
        ] {
            assert_eq!(Lifetime::parse(text, "duration").unwrap(), Lifetime::Seconds(seconds), "{text}");
        }
        for text in ["", "x", "30", "0s", "-1s", "1y", "30 minutes", "1.5h", "99999999999999999999s", "9999999w", "½h"]
        {
            let refused = Lifetime::parse(text, "duration").unwrap_err();
            assert_eq!((refused.http_status(), refused.param.as_deref()), (400, Some("duration")), "{text}");
        }
    }

    #[test]
    fn a_month_ends_on_the_same_day_or_the_last() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let month = Lifetime::parse("1mo", "duration").unwrap();
        assert_eq!(month.ends(at("2026-01-15T12:00:00Z")), at("2026-02-15T12:00:00Z"));
        assert_eq!(month.ends(at("2024-01-31T12:00:00Z")), at("2024-02-29T12:00:00Z"));
        assert_eq!(Lifetime::Seconds(60).ends(1000), 61_000);
    }
}
