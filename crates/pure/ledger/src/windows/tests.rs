use proptest::prelude::*;

use super::*;

fn windows(period: &str, zone: &str, began: &str) -> Windows {
    Windows { period: Period::parse(period).unwrap(), zone: Zone::named(zone).unwrap(), began: seconds(began) }
}

fn seconds(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

/// Start and end at a moment.
fn check(period: &str, zone: &str, now: &str, expected: [&str; 2]) {
    let windows = windows(period, zone, "2026-01-31T12:00:00Z");
    let now = seconds(now);
    let text = |seconds| Timestamp::from_second(seconds).unwrap().to_string();
    assert_eq!([text(windows.start(now)), text(windows.end(now))], expected, "{period} in {zone}");
}

#[test]
fn the_periods_of_the_surface_begin_where_it_says() {
    let now = "2026-11-21T18:47:31Z";
    check("30s", "UTC", now, ["2026-11-21T18:47:30Z", "2026-11-21T18:48:00Z"]);
    check("5m", "UTC", now, ["2026-11-21T18:45:00Z", "2026-11-21T18:50:00Z"]);
    check("30min", "UTC", now, ["2026-11-21T18:30:00Z", "2026-11-21T19:00:00Z"]);
    check("2h", "UTC", now, ["2026-11-21T18:00:00Z", "2026-11-21T20:00:00Z"]);
    check("hourly", "UTC", now, ["2026-11-21T18:00:00Z", "2026-11-21T19:00:00Z"]);
    check("1d", "UTC", now, ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"]);
    check("24h", "UTC", now, ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"]);
    check("daily", "America/New_York", now, ["2026-11-21T05:00:00Z", "2026-11-22T05:00:00Z"]);
    check("7d", "UTC", now, ["2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"]);
    check("1w", "UTC", now, ["2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"]);
    check("weekly", "Asia/Kolkata", now, ["2026-11-15T18:30:00Z", "2026-11-22T18:30:00Z"]);
    check("30d", "UTC", now, ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]);
    check("1mo", "UTC", now, ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]);
    check("monthly", "UTC", now, ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]);
    // Counted from the budget's first day and month.
    check("3d", "UTC", now, ["2026-11-21T00:00:00Z", "2026-11-24T00:00:00Z"]);
    check("3mo", "UTC", now, ["2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
    // Six hours and a half do not divide a day.
    check("390m", "UTC", now, ["2026-11-21T13:00:00Z", "2026-11-21T19:30:00Z"]);
    check("390m", "UTC", "2026-11-21T23:00:00Z", ["2026-11-21T19:30:00Z", "2026-11-22T00:00:00Z"]);
}

#[test]
fn clocks_that_change_and_leap_days_make_one_window_each() {
    // The day has 23 hours, then 25.
    check("1d", "Europe/Berlin", "2026-03-29T12:00:00Z", ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]);
    check("1d", "Europe/Berlin", "2026-10-25T12:00:00Z", ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
    // The hour that comes twice is two windows.
    check("1h", "Europe/Berlin", "2026-10-25T00:30:00Z", ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"]);
    check("1h", "Europe/Berlin", "2026-10-25T01:30:00Z", ["2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"]);
    check("1d", "UTC", "2028-02-29T12:00:00Z", ["2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"]);
    check("1mo", "UTC", "2028-02-29T12:00:00Z", ["2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"]);
    // Midnight is left out: the day begins at one.
    check("1d", "America/Sao_Paulo", "2018-11-04T12:00:00Z", ["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]);
    // A minute after midnight the clock goes back to the day before, whose budget is not spent again.
    check("1d", "America/St_Johns", "2010-11-07T02:35:00Z", ["2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z"]);
    // A whole day is left out.
    check("1d", "Pacific/Apia", "2011-12-30T12:00:00Z", ["2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"]);
}

#[test]
fn what_is_no_period_is_refused() {
    for text in ["", "0d", "d", "-1d", "1.5h", "30", "5 m", "1y", "9999999999999999999s", "13000mo", "1D"] {
        assert!(Period::parse(text).is_err(), "{text}");
    }
    assert!(Zone::named("Mars/Base").is_err());
    assert_eq!(Period::parse(" 48h "), Ok(Period::Days(2)));
}

#[test]
fn a_period_is_read_as_it_is_written() {
    for period in PERIODS.iter().map(|text| Period::parse(text).unwrap()) {
        assert_eq!(Period::parse(&period.to_string()), Ok(period));
    }
}

#[test]
fn house_13_10_a_day_and_a_month_that_begin_together_are_two_slots() {
    let now = seconds("2026-11-01T00:00:05Z");
    let slot = |period| windows(period, "UTC", "2026-01-31T12:00:00Z").slot(Scope::Proxy, now, None);
    let (day, month) = (slot("1d"), slot("1mo"));
    assert_eq!(day.since, month.since);
    assert_ne!(day, month);
}

const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Havana",
];
const PERIODS: [&str; 14] =
    ["30s", "5m", "30min", "50m", "1h", "2h", "7h", "1d", "3d", "7d", "2w", "30d", "1mo", "5mo"];

fn any_windows() -> impl Strategy<Value = Windows> {
    (0..PERIODS.len(), 0..ZONES.len(), 0..2_000_000_000_i64).prop_map(|(period, zone, began)| Windows {
        period: Period::parse(PERIODS[period]).unwrap(),
        zone: Zone::named(ZONES[zone]).unwrap(),
        began,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Windows follow each other without holes or overlaps, wherever clocks change: each moment is in one window, and each
    /// window begins once.
    #[test]
    fn house_13_10_every_moment_is_in_exactly_one_window(windows in any_windows(), now in 0..2_500_000_000_i64) {
        let (start, end) = (windows.start(now), windows.end(now));
        prop_assert!(start <= now && now < end);
        prop_assert_eq!((windows.start(start), windows.start(end - 1), windows.start(end)), (start, start, end));
        prop_assert_eq!((windows.end(start), windows.end(end - 1)), (end, end));
        prop_assert!(start == 0 || windows.end(start - 1) == start);
    }

    /// Around each change of a clock, second by second where it matters.
    #[test]
    fn house_13_10_windows_only_go_forward(windows in any_windows(), now in 1_000_000_000..2_000_000_000_i64) {
        let Zone(zone) = &windows.zone;
        let change = zone.following(Timestamp::from_second(now).unwrap()).next();
        let around = change.map_or(now, |change| change.timestamp().as_second());
        let moments = (-7200..7200).step_by(97).chain(-2..=2).map(|step| around + step);
        let mut moments: Vec<i64> = moments.collect();
        moments.sort_unstable();
        let starts: Vec<i64> = moments.iter().map(|moment| windows.start(*moment)).collect();
        prop_assert!(starts.is_sorted(), "{starts:?}");
        for (moment, start) in moments.iter().zip(&starts) {
            prop_assert!(windows.end(*moment) > *moment && windows.start(*start) == *start);
        }
    }

    /// A clock that jumps about opens each window once.
    #[test]
    fn house_13_10_a_clock_that_jumps_back_resets_nothing(
        windows in any_windows(),
        jumps in proptest::collection::vec(-86_400..200_000_i64, 1..60),
    ) {
        let (mut now, mut last, mut opened) = (1_700_000_000_i64, None, Vec::new());
        for jump in jumps {
            now += jump;
            let current = windows.current(now, last);
            if last != Some(current) {
                opened.push(current);
            }
            last = Some(current);
        }
        prop_assert!(opened.is_sorted_by(|one, other| one < other), "{opened:?}");
    }
}
