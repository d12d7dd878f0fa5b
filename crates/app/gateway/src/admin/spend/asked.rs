//! What a query asks for: days, pages, filters, each refused by its name.

use std::collections::HashMap;

use jiff::{
    civil::{Date, DateTime},
    tz::{Offset, TimeZone},
};
use tollgate_store::{EpochMs, NanoDollars};
use tollgate_wire::Failure;

use crate::admin::fields;

/// Days that one request may ask for.
pub(in crate::admin) const MOST_DAYS: i32 = 1_100;
/// Names that a list of a query may have.
const MOST_NAMES: usize = 100;

/// A query's texts.
pub(in crate::admin) struct Asked<'q>(pub(in crate::admin) &'q HashMap<String, String>);

/// Days, both in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) struct Days {
    pub(in crate::admin) from: Date,
    pub(in crate::admin) to: Date,
}

/// A 400 that names the parameter.
pub(in crate::admin) fn wrong(name: &str, what: &str) -> Failure {
    Failure::invalid(format!("`{name}` must be {what}")).with_param(name)
}

impl Asked<'_> {
    pub(in crate::admin) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Names with commas between them.
    pub(in crate::admin) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let names: Vec<String> = text
            .split(',')
            .map(|one| one.trim().to_owned())
            .filter(|one| !one.is_empty())
            .take(MOST_NAMES + 1)
            .collect();
        match names.len() <= MOST_NAMES {
            true => Ok(Some(names)),
            false => Err(wrong(name, "a list of at most 100 names")),
        }
    }

    pub(in crate::admin) fn flag(&self, name: &str, default: bool) -> Result<bool, Failure> {
        match self.text(name).map(|text| text.to_ascii_lowercase()).as_deref() {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    /// A number from 1 on.
    pub(in crate::admin) fn number(&self, name: &str, default: i64, most: i64) -> Result<i64, Failure> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| wrong(name, &format!("a number from 1 to {most}")))
    }

    pub(in crate::admin) fn money(&self, name: &str) -> Result<Option<NanoDollars>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let nanos = text.parse().ok().and_then(fields::nanos);
        nanos.map(|nanos| Some(NanoDollars(nanos))).ok_or_else(|| wrong(name, "an amount of USD"))
    }

    /// One of these words.
    pub(in crate::admin) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meant)| Some(*meant));
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        found.ok_or_else(|| wrong(name, &format!("one of {}", known.join(", "))))
    }

    fn day(&self, name: &str) -> Result<Option<Date>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        // Dashboards send moments where a day is meant.
        let day = text.get(..10).filter(|_| text.len() == 10 || matches!(text.as_bytes().get(10), Some(b' ' | b'T')));
        let day = day.and_then(|day| Date::strptime("%Y-%m-%d", day).ok());
        day.map(Some).ok_or_else(|| wrong(name, "a day as YYYY-MM-DD"))
    }

    /// A moment in UTC: `2026-11-21 13:00:00`, or the beginning of a day.
    pub(in crate::admin) fn moment(&self, name: &str) -> Result<Option<EpochMs>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let text = text.trim_end_matches('Z').replacen('T', " ", 1);
        let moment = DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", &text)
            .or_else(|_| Date::strptime("%Y-%m-%d", &text).map(|day| day.at(0, 0, 0, 0)));
        let moment = moment.ok().and_then(|moment| moment.to_zoned(TimeZone::UTC).ok());
        let moment = moment.ok_or_else(|| wrong(name, "a moment as YYYY-MM-DD HH:MM:SS, in UTC"))?;
        Ok(Some(EpochMs(moment.timestamp().as_millisecond())))
    }

    /// `start_date` to `end_date`, if days are asked for.
    pub(in crate::admin) fn days(&self) -> Result<Option<Days>, Failure> {
        match (self.day("start_date")?, self.day("end_date")?) {
            (None, None) => Ok(None),
            (Some(from), Some(to)) => Days { from, to }.checked().map(Some),
            (Some(_), None) => Err(wrong("end_date", "said, too: a day as YYYY-MM-DD")),
            (None, Some(_)) => Err(wrong("start_date", "said, too: a day as YYYY-MM-DD")),
        }
    }

    /// The same, where they have to be said.
    pub(in crate::admin) fn stated_days(&self) -> Result<Days, Failure> {
        self.days()?.ok_or_else(|| wrong("start_date", "said, with end_date: a day as YYYY-MM-DD"))
    }

    /// Whose days: `timezone` is what browsers call their offset (minutes that UTC is ahead of them), or a zone's name. None: the
    /// days that sums are kept of.
    pub(in crate::admin) fn zone(&self) -> Result<Option<TimeZone>, Failure> {
        let Some(text) = self.text("timezone") else { return Ok(None) };
        let wrong =
            || wrong("timezone", "minutes that UTC is ahead, as browsers tell them, or a name such as Europe/Berlin");
        let zone = match text.parse::<i32>() {
            Ok(minutes) if minutes.abs() <= 24 * 60 => {
                TimeZone::fixed(Offset::from_seconds(-minutes * 60).map_err(|_| wrong())?)
            }
            Ok(_) => return Err(wrong()),
            Err(_) => TimeZone::get(&text).map_err(|_| wrong())?,
        };
        Ok(Some(zone).filter(|zone| *zone != TimeZone::UTC && zone.to_fixed_offset().ok() != Some(Offset::UTC)))
    }
}

impl Days {
    fn checked(self) -> Result<Self, Failure> {
        let span = self.from.until(self.to).map(|span| span.get_days()).unwrap_or(i32::MAX);
        match span {
            ..0 => Err(wrong("end_date", "no earlier than start_date")),
            0..MOST_DAYS => Ok(self),
            _ => Err(wrong("end_date", &format!("less than {MOST_DAYS} days after start_date"))),
        }
    }

    /// The days until the one of this moment, so many of them before it.
    pub(in crate::admin) fn before(now: EpochMs, days: i64) -> Self {
        let day = |millis: i64| {
            let moment = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
            moment.to_zoned(TimeZone::UTC).date()
        };
        Self { from: day(now.0 - days * 86_400_000), to: day(now.0) }
    }

    /// All of them, the earliest first.
    pub(in crate::admin) fn each(self) -> impl DoubleEndedIterator<Item = Date> {
        let count = self.from.until(self.to).map(|span| span.get_days()).unwrap_or_default().clamp(-1, MOST_DAYS);
        let from = self.from;
        (0..=count).filter_map(move |day| from.checked_add(jiff::Span::new().days(day)).ok())
    }

    /// From the beginning of the first to the end of the last, in UTC.
    pub(in crate::admin) fn moments(self) -> (EpochMs, EpochMs) {
        let after = self.to.tomorrow().unwrap_or(Date::MAX);
        (midnight(self.from, &TimeZone::UTC), midnight(after, &TimeZone::UTC))
    }
}

/// When a day begins in a zone.
pub(in crate::admin) fn midnight(day: Date, zone: &TimeZone) -> EpochMs {
    let begins = day.to_zoned(zone.clone()).map(|moment| moment.timestamp().as_millisecond());
    EpochMs(begins.unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn days_are_said_both_and_in_order() {
        let days = |from: &str, to: &str| Asked(&query(&[("start_date", from), ("end_date", to)])).days();
        let some = days("2024-02-28", "2024-03-01").unwrap().unwrap();
        assert_eq!(
            some.each().map(|day| day.to_string()).collect::<Vec<_>>(),
            ["2024-02-28", "2024-02-29", "2024-03-01"]
        );
        assert_eq!(some.moments(), (EpochMs(1_709_078_400_000), EpochMs(1_709_337_600_000)));
        assert_eq!(days("", "").unwrap(), None);
        assert!(days("2024-01-01 00:00:00", "2024-01-02T10:00:00Z").is_ok());
        let cases = [
            ("2024-03-01", "2024-02-28"),
            ("2024-01-01", ""),
            ("", "2024-01-01"),
            ("2024-13-01", "2024-01-01"),
            ("01/02/2024", "2024-01-01"),
            ("0001-01-01", "9999-12-31"),
            ("2024-01-011", "2024-01-02"),
        ];
        for (from, to) in cases {
            assert_eq!(days(from, to).unwrap_err().http_status(), 400, "{from} {to}");
        }
    }

    #[test]
    fn a_zone_is_an_offset_of_browsers_or_a_name() {
        let begins = |zone: &str| {
            let asked = query(&[("timezone", zone)]);
            Asked(&asked).zone().unwrap().map(|zone| midnight(Date::constant(2024, 7, 1), &zone).0)
        };
        let utc = 1_719_792_000_000;
        assert_eq!(begins("480"), Some(utc + 8 * 3_600_000), "the Pacific is behind");
        assert_eq!(begins("-120"), Some(utc - 2 * 3_600_000));
        assert_eq!(begins("Europe/Berlin"), Some(utc - 2 * 3_600_000));
        assert_eq!((begins("0"), begins("UTC"), begins("")), (None, None, None));
        for wrong in ["100000", "Nowhere/Land", "1.5"] {
            assert_eq!(Asked(&query(&[("timezone", wrong)])).zone().unwrap_err().http_status(), 400, "{wrong}");
        }
    }

    #[test]
    fn moments_and_numbers_are_read_or_refused() {
        let asked = query(&[
            ("a", "2024-07-01 00:00:01"),
            ("b", "2024-07-01"),
            ("c", "soon"),
            ("n", "7"),
            ("z", "0"),
            ("m", "0.5"),
        ]);
        let asked = Asked(&asked);
        assert_eq!(asked.moment("a").unwrap(), Some(EpochMs(1_719_792_001_000)));
        assert_eq!(asked.moment("b").unwrap(), Some(EpochMs(1_719_792_000_000)));
        assert!(asked.moment("c").is_err() && asked.number("z", 1, 9).is_err() && asked.number("n", 1, 5).is_err());
        assert_eq!((asked.number("n", 1, 9).unwrap(), asked.number("x", 3, 9).unwrap()), (7, 3));
        assert_eq!(asked.money("m").unwrap(), Some(NanoDollars(500_000_000)));
        assert!(asked.money("c").is_err() && asked.flag("c", true).is_err() && asked.word("c", &[("d", ())]).is_err());
    }
}
