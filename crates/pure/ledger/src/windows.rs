//! Budget windows: a moment and a period give the window's start, which is a key. Nothing is ever set back to zero.

use std::fmt;

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time, Weekday},
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};

use crate::{Scope, Slot};

const DAY: i64 = 86_400;

/// How long a budget lasts. Its text form (`Display`, [`Period::parse`]) is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// So many seconds, less than a day, counted from midnight on by a clock that runs evenly. A last one that is cut by
    /// midnight is shorter.
    Seconds(i64),
    /// So many days, counted from the day on which the budget began.
    Days(i64),
    /// From Monday on.
    Week,
    /// So many months from the 1st on, counted from the month in which the budget began.
    Months(i64),
}

/// A text that is no period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no duration: a whole number and one of s, sec, m, min, h, d, w, mo, such as `30d`, or hourly, daily, weekly, monthly"
)]
pub struct NoPeriod(String);

/// A name that is no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time zone, such as `Europe/Berlin`")]
pub struct NoZone(String);

impl Period {
    /// Reads `30s`, `5m`, `30min`, `2h`, `1d`, `7d` and `1w` (from Monday on), `30d` and `1mo` (from the 1st on), `2w`, `3mo`,
    /// `hourly`, `daily`, `weekly`, `monthly` (surface 7.4).
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Self, NoPeriod> {
        Self::read(text.trim()).ok_or_else(|| NoPeriod(text.to_owned()))
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "hourly" => return Some(Self::Seconds(3600)),
            "daily" => return Some(Self::Days(1)),
            "weekly" => return Some(Self::Week),
            "monthly" => return Some(Self::Months(1)),
            _ => {}
        }
        let unit = text.find(|character: char| !character.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(unit)?;
        // A thousand years are enough, and keep all sums below small.
        let number = number.parse::<i64>().ok().filter(|number| (1..=31_622_400_000).contains(number))?;
        let days = |days: i64| match days {
            7 => Some(Self::Week),
            30 => Some(Self::Months(1)),
            1..=366_000 => Some(Self::Days(days)),
            _ => None,
        };
        let seconds = |seconds: i64| match seconds {
            1..DAY => Some(Self::Seconds(seconds)),
            // What is longer than a day is counted in whole days, like `48h`.
            _ => days(seconds / DAY),
        };
        match unit {
            "s" | "sec" => seconds(number),
            "m" | "min" => seconds(number.checked_mul(60)?),
            "h" => seconds(number.checked_mul(3600)?),
            "d" => days(number),
            "w" => days(number.checked_mul(7)?),
            "mo" => (number <= 12_000).then_some(Self::Months(number)),
            _ => None,
        }
    }
}

/// The shortest text that is read as it: `30s`, `3d`, `1w`, `1mo`.
impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(length) => write!(out, "{length}s"),
            Self::Days(length) => write!(out, "{length}d"),
            Self::Week => out.write_str("1w"),
            Self::Months(length) => write!(out, "{length}mo"),
        }
    }
}

/// The clock on the wall by which windows begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// The zone itself.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.0
    }

    /// A time zone by its name, from the database that is built in.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn named(name: &str) -> Result<Self, NoZone> {
        TimeZoneDatabase::bundled().get(name).map(Self).map_err(|_| NoZone(name.to_owned()))
    }
}

/// When the windows of one budget begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// How long each is.
    pub period: Period,
    /// By which clock.
    pub zone: Zone,
    /// When the budget began, in seconds since 1970. Counts where days or months are counted in twos and more.
    pub began: i64,
}

impl Windows {
    /// The start of the window at a moment, both in seconds since 1970: the last one that is not later.
    #[must_use]
    pub fn start(&self, now: i64) -> i64 {
        let (start, _) = self.day_based(now);
        match self.period {
            Period::Seconds(length) => now - (now - start) % length.max(1),
            Period::Days(_) | Period::Week | Period::Months(_) => start,
        }
    }

    /// The slot to book to at a moment, where `last` is the start of the window booked to before.
    #[must_use]
    pub fn slot(&self, scope: Scope, now: i64, last: Option<i64>) -> Slot {
        Slot { scope, period: Some(self.period), since: self.current(now, last) }
    }

    /// When the window at a moment is over, and the next one begins.
    #[must_use]
    pub fn end(&self, now: i64) -> i64 {
        let (start, end) = self.day_based(now);
        match self.period {
            Period::Seconds(length) => end.min(now - (now - start) % length.max(1) + length.max(1)),
            Period::Days(_) | Period::Week | Period::Months(_) => end,
        }
    }

    /// The window to book to at a moment, where `last` is the one booked to before: a clock that goes back opens nothing anew.
    #[must_use]
    pub fn current(&self, now: i64, last: Option<i64>) -> i64 {
        let start = self.start(now);
        last.map_or(start, |last| last.max(start))
    }

    /// Start and end of the window, or of the day in which windows of seconds are counted.
    fn day_based(&self, now: i64) -> (i64, i64) {
        let mut from = self.first_day(self.civil(now).date());
        let mut start = self.midnight(from);
        loop {
            let next = self.next_first_day(from);
            let end = self.midnight(next);
            // A clock that goes back over midnight shows the day before once more, and one that leaves out a day begins two at once.
            // The last window that has begun counts.
            if end > now || next <= from {
                return (start, end);
            }
            (from, start) = (next, end);
        }
    }

    fn first_day(&self, date: Date) -> Date {
        match self.period {
            Period::Seconds(_) => date,
            Period::Days(length) => {
                plus_days(date, -days_between(self.civil(self.began).date(), date).rem_euclid(length.max(1)))
            }
            Period::Week => plus_days(date, -i64::from(date.weekday().since(Weekday::Monday))),
            Period::Months(length) => {
                let (month, began) = (month_number(date), month_number(self.civil(self.began).date()));
                first_of(month - (month - began).rem_euclid(length.max(1)))
            }
        }
    }

    fn next_first_day(&self, date: Date) -> Date {
        match self.period {
            Period::Seconds(_) => plus_days(date, 1),
            Period::Days(length) => plus_days(date, length.max(1)),
            Period::Week => plus_days(date, 7),
            Period::Months(length) => first_of(month_number(date) + length.max(1)),
        }
    }

    fn civil(&self, seconds: i64) -> DateTime {
        // Years 1 to 9000: nobody's clock is elsewhere, and all sums stay in the calendar.
        let timestamp = Timestamp::from_second(seconds.clamp(-62_000_000_000, 220_000_000_000));
        self.zone.0.to_datetime(timestamp.unwrap_or_default())
    }

    /// The first moment of a day.
    fn midnight(&self, date: Date) -> i64 {
        let Zone(zone) = &self.zone;
        let midnight = zone.to_ambiguous_timestamp(date.to_datetime(Time::midnight()));
        let is_left_out = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
        let Ok(moment) = midnight.compatible() else { return i64::MAX };
        if !is_left_out {
            return moment.as_second();
        }
        // Where the clock leaves out midnight, the day begins with the leap.
        let after = Timestamp::from_second(moment.as_second() + 1).unwrap_or(moment);
        zone.preceding(after).next().map_or(moment.as_second(), |leap| leap.timestamp().as_second())
    }
}

fn plus_days(date: Date, days: i64) -> Date {
    date.saturating_add(jiff::Span::new().try_days(days).unwrap_or_default())
}

fn days_between(from: Date, to: Date) -> i64 {
    from.until(to).map_or(0, |span| i64::from(span.get_days()))
}

fn month_number(date: Date) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}

fn first_of(month: i64) -> Date {
    let year = i16::try_from(month.div_euclid(12)).unwrap_or(i16::MAX);
    let month = i8::try_from(month.rem_euclid(12) + 1).unwrap_or(1);
    Date::new(year, month, 1).unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests;
