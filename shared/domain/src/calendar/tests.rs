use chrono::{Timelike, Weekday};
use proptest::prelude::*;

use super::*;

/// The full closures of five years, as the exchange published them.
const HOLIDAYS: [(&str, Holiday); 51] = [
    ("2023-01-02", Holiday::NewYearsDay),
    ("2023-01-16", Holiday::MartinLutherKingDay),
    ("2023-02-20", Holiday::PresidentsDay),
    ("2023-04-07", Holiday::GoodFriday),
    ("2023-05-29", Holiday::MemorialDay),
    ("2023-06-19", Holiday::Juneteenth),
    ("2023-07-04", Holiday::IndependenceDay),
    ("2023-09-04", Holiday::LaborDay),
    ("2023-11-23", Holiday::Thanksgiving),
    ("2023-12-25", Holiday::Christmas),
    ("2024-01-01", Holiday::NewYearsDay),
    ("2024-01-15", Holiday::MartinLutherKingDay),
    ("2024-02-19", Holiday::PresidentsDay),
    ("2024-03-29", Holiday::GoodFriday),
    ("2024-05-27", Holiday::MemorialDay),
    ("2024-06-19", Holiday::Juneteenth),
    ("2024-07-04", Holiday::IndependenceDay),
    ("2024-09-02", Holiday::LaborDay),
    ("2024-11-28", Holiday::Thanksgiving),
    ("2024-12-25", Holiday::Christmas),
    ("2025-01-01", Holiday::NewYearsDay),
    ("2025-01-09", Holiday::Special("Mourning for President Carter")),
    ("2025-01-20", Holiday::MartinLutherKingDay),
    ("2025-02-17", Holiday::PresidentsDay),
    ("2025-04-18", Holiday::GoodFriday),
    ("2025-05-26", Holiday::MemorialDay),
    ("2025-06-19", Holiday::Juneteenth),
    ("2025-07-04", Holiday::IndependenceDay),
    ("2025-09-01", Holiday::LaborDay),
    ("2025-11-27", Holiday::Thanksgiving),
    ("2025-12-25", Holiday::Christmas),
    ("2026-01-01", Holiday::NewYearsDay),
    ("2026-01-19", Holiday::MartinLutherKingDay),
    ("2026-02-16", Holiday::PresidentsDay),
    ("2026-04-03", Holiday::GoodFriday),
    ("2026-05-25", Holiday::MemorialDay),
    ("2026-06-19", Holiday::Juneteenth),
    ("2026-07-03", Holiday::IndependenceDay),
    ("2026-09-07", Holiday::LaborDay),
    ("2026-11-26", Holiday::Thanksgiving),
    ("2026-12-25", Holiday::Christmas),
    ("2027-01-01", Holiday::NewYearsDay),
    ("2027-01-18", Holiday::MartinLutherKingDay),
    ("2027-02-15", Holiday::PresidentsDay),
    ("2027-03-26", Holiday::GoodFriday),
    ("2027-05-31", Holiday::MemorialDay),
    ("2027-06-18", Holiday::Juneteenth),
    ("2027-07-05", Holiday::IndependenceDay),
    ("2027-09-06", Holiday::LaborDay),
    ("2027-11-25", Holiday::Thanksgiving),
    ("2027-12-24", Holiday::Christmas),
];

/// The 13:00 closes of the same years.
const EARLY_CLOSES: [&str; 11] = [
    "2023-07-03",
    "2023-11-24",
    "2024-07-03",
    "2024-11-29",
    "2024-12-24",
    "2025-07-03",
    "2025-11-28",
    "2025-12-24",
    "2026-11-27",
    "2026-12-24",
    "2027-11-26",
];

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn days(first: &str, last: &str) -> impl Iterator<Item = NaiveDate> {
    let last = date(last);
    date(first).iter_days().take_while(move |day| *day <= last)
}

#[test]
fn the_holidays_of_2023_to_2027_are_those_the_exchange_published() {
    let computed: Vec<_> = days("2023-01-01", "2027-12-31")
        .filter_map(|day| holiday_on(day).map(|holiday| (day, holiday)))
        .collect();
    let published: Vec<_> = HOLIDAYS
        .iter()
        .map(|(day, holiday)| (date(day), *holiday))
        .collect();
    assert_eq!(computed, published);
}

#[test]
fn the_early_closes_of_2023_to_2027_are_those_the_exchange_published() {
    let computed: Vec<_> = sessions(date("2023-01-01"), date("2027-12-31"))
        .filter(Session::is_early_close)
        .map(|session| session.date.to_string())
        .collect();
    assert_eq!(computed, EARLY_CLOSES);
}

#[test]
fn every_weekday_is_a_session_or_a_named_holiday() {
    for day in days("2023-01-01", "2027-12-31") {
        let weekend = matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
        assert_eq!(
            session_on(day).is_none(),
            weekend || holiday_on(day).is_some(),
            "{day}"
        );
    }
    let counts: Vec<_> = (2023..=2027)
        .map(|year| sessions(date(&format!("{year}-01-01")), date(&format!("{year}-12-31"))).count())
        .collect();
    // Weekdays of the year less its holidays: 260-10, 262-10, 261-11, 261-10, 261-10.
    assert_eq!(counts, [250, 252, 250, 251, 251]);
}

#[test]
fn a_saturdays_new_year_closes_no_friday() {
    for friday in ["2004-12-31", "2010-12-31", "2021-12-31", "2027-12-31"] {
        assert!(session_on(date(friday)).is_some(), "{friday}");
        assert_eq!(holiday_on(date(friday)), None, "{friday}");
    }
}

#[test]
fn juneteenth_is_kept_from_2022() {
    assert!(session_on(date("2020-06-19")).is_some());
    assert!(
        session_on(date("2021-06-18")).is_some(),
        "19 June 2021 was a Saturday"
    );
    assert_eq!(holiday_on(date("2022-06-20")), Some(Holiday::Juneteenth));
}

#[test]
fn what_no_rule_foretells_stands_in_the_table() {
    for (day, reason) in [
        ("2001-09-11", "September 11 attacks"),
        ("2001-09-14", "September 11 attacks"),
        ("2004-06-11", "Mourning for President Reagan"),
        ("2007-01-02", "Mourning for President Ford"),
        ("2012-10-29", "Hurricane Sandy"),
        ("2012-10-30", "Hurricane Sandy"),
        ("2018-12-05", "Mourning for President Bush"),
        ("2025-01-09", "Mourning for President Carter"),
    ] {
        assert_eq!(session_on(date(day)), None, "{day}");
        assert_eq!(holiday_on(date(day)).map(Holiday::name), Some(reason), "{day}");
    }
    assert_eq!(
        next_open(at("2001-09-10T20:00:00Z")),
        Some(at("2001-09-17T13:30:00Z"))
    );
}

#[test]
fn easter_moves_from_march_to_april() {
    let table = [
        "2000-04-21",
        "2005-03-25",
        "2008-03-21",
        "2019-04-19",
        "2038-04-23",
        "2076-04-17",
        "2099-04-10",
    ];
    for good_friday in table {
        assert_eq!(
            holiday_on(date(good_friday)),
            Some(Holiday::GoodFriday),
            "{good_friday}"
        );
    }
}

#[test]
fn the_short_day_of_july_moves_with_the_fourth() {
    let is_short = |day| session_on(date(day)).is_some_and(|session| session.is_early_close());
    // 4 July 2002 was a Thursday: then the Friday was short. Since 2013 it is the Wednesday.
    assert!(!is_short("2002-07-03") && is_short("2002-07-05"));
    assert!(is_short("2013-07-03") && !is_short("2013-07-05"));
    // 4 July 2022 was a Monday, 4 July 2020 a Saturday: no short day in either year.
    assert!(!is_short("2022-07-01") && !is_short("2022-07-05"));
    assert!(!is_short("2020-07-02") && session_on(date("2020-07-03")).is_none());
}

#[test]
fn an_ordinary_session_has_its_four_instants() {
    assert_eq!(
        session_on(date("2026-01-02")),
        Some(Session {
            date: date("2026-01-02"),
            extended_open: at("2026-01-02T09:00:00Z"),
            open: at("2026-01-02T14:30:00Z"),
            close: at("2026-01-02T21:00:00Z"),
            extended_close: at("2026-01-03T01:00:00Z"),
        })
    );
}

#[test]
fn an_early_close_ends_regular_hours_at_13_and_extended_hours_at_17() {
    let session = session_on(date("2026-11-27")).unwrap();
    assert!(session.is_early_close());
    assert_eq!(session.close, at("2026-11-27T18:00:00Z"));
    assert_eq!(session.extended_close, at("2026-11-27T22:00:00Z"));
    assert!(!is_open(at("2026-11-27T18:30:00Z")));
    assert!(is_open_extended(at("2026-11-27T18:30:00Z")));
    assert!(!is_open_extended(at("2026-11-27T22:00:00Z")));
}

#[test]
fn the_open_follows_the_clock_changes() {
    // Clocks went forward on Sunday 8 March 2026 and back on Sunday 1 November 2026.
    for (day, open) in [
        ("2026-03-06", "2026-03-06T14:30:00Z"),
        ("2026-03-09", "2026-03-09T13:30:00Z"),
        ("2026-10-30", "2026-10-30T13:30:00Z"),
        ("2026-11-02", "2026-11-02T14:30:00Z"),
        ("2099-01-05", "2099-01-05T14:30:00Z"),
        ("2099-07-06", "2099-07-06T13:30:00Z"),
        ("2099-12-31", "2099-12-31T14:30:00Z"),
    ] {
        assert_eq!(session_on(date(day)).unwrap().open, at(open), "{day}");
    }
    // Before 2007 the clocks went back on the last Sunday of October.
    assert_eq!(
        session_on(date("2006-10-30")).unwrap().open,
        at("2006-10-30T14:30:00Z")
    );
}

#[test]
fn a_session_contains_its_open_and_not_its_close() {
    for (instant, open) in [
        ("2026-07-06T13:29:59.999999Z", false),
        ("2026-07-06T13:30:00Z", true),
        ("2026-07-06T19:59:59.999999Z", true),
        ("2026-07-06T20:00:00Z", false),
    ] {
        assert_eq!(is_open(at(instant)), open, "{instant}");
        assert_eq!(current_session(at(instant)).is_some(), open, "{instant}");
    }
}

#[test]
fn next_open_and_next_close_are_strictly_later() {
    let table = [
        // before the open · at the open · in the session · at the close · Friday night · year end · holiday
        (
            "2026-07-06T12:00:00Z",
            "2026-07-06T13:30:00Z",
            "2026-07-06T20:00:00Z",
        ),
        (
            "2026-07-06T13:30:00Z",
            "2026-07-07T13:30:00Z",
            "2026-07-06T20:00:00Z",
        ),
        (
            "2026-07-06T15:00:00Z",
            "2026-07-07T13:30:00Z",
            "2026-07-06T20:00:00Z",
        ),
        (
            "2026-07-06T20:00:00Z",
            "2026-07-07T13:30:00Z",
            "2026-07-07T20:00:00Z",
        ),
        (
            "2026-07-11T01:00:00Z",
            "2026-07-13T13:30:00Z",
            "2026-07-13T20:00:00Z",
        ),
        (
            "2026-12-31T21:00:00Z",
            "2027-01-04T14:30:00Z",
            "2027-01-04T21:00:00Z",
        ),
        (
            "2026-11-26T15:00:00Z",
            "2026-11-27T14:30:00Z",
            "2026-11-27T18:00:00Z",
        ),
    ];
    for (now, open, close) in table {
        assert_eq!(
            (next_open(at(now)), next_close(at(now))),
            (Some(at(open)), Some(at(close))),
            "{now}"
        );
    }
}

#[test]
fn the_latest_session_is_the_one_whose_quotes_are_newest() {
    for (now, session) in [
        ("2026-07-06T13:29:59Z", "2026-07-02"),
        ("2026-07-06T13:30:00Z", "2026-07-06"),
        ("2026-07-06T23:00:00Z", "2026-07-06"),
        ("2027-01-03T12:00:00Z", "2026-12-31"),
    ] {
        assert_eq!(
            latest_session(at(now)).map(|latest| latest.date),
            Some(date(session)),
            "{now}"
        );
    }
}

#[test]
fn the_trading_date_is_that_of_new_york() {
    for (instant, day) in [
        ("2026-01-01T04:59:59Z", "2025-12-31"),
        ("2026-01-01T05:00:00Z", "2026-01-01"),
        ("2026-07-01T03:59:59Z", "2026-06-30"),
        ("2026-07-01T04:00:00Z", "2026-07-01"),
    ] {
        assert_eq!(trading_date(at(instant)), date(day), "{instant}");
    }
}

#[test]
fn a_trade_settles_on_the_next_session() {
    for (traded, settles) in [
        ("2026-07-06", "2026-07-07"),
        ("2026-07-02", "2026-07-06"),
        ("2026-07-04", "2026-07-06"),
        ("2026-12-31", "2027-01-04"),
        ("2025-01-08", "2025-01-10"),
    ] {
        assert_eq!(settlement_date(date(traded)), Some(date(settles)), "{traded}");
    }
}

#[test]
fn sessions_include_both_ends() {
    let dates: Vec<_> = sessions(date("2026-07-02"), date("2026-07-07"))
        .map(|session| session.date.to_string())
        .collect();
    assert_eq!(dates, ["2026-07-02", "2026-07-06", "2026-07-07"]);
    assert_eq!(sessions(date("2026-07-06"), date("2026-07-06")).count(), 1);
    assert_eq!(sessions(date("2026-07-07"), date("2026-07-06")).count(), 0);
}

#[test]
fn outside_the_supported_years_there_is_nothing_and_no_panic() {
    for day in [
        NaiveDate::MIN,
        date("1999-12-31"),
        date("2100-01-04"),
        NaiveDate::MAX,
    ] {
        assert_eq!(
            (session_on(day), holiday_on(day), settlement_date(day)),
            (None, None, None),
            "{day}"
        );
    }
    for instant in [
        DateTime::<Utc>::MIN_UTC,
        at("1980-01-02T15:00:00Z"),
        at("2100-01-04T15:00:00Z"),
        DateTime::<Utc>::MAX_UTC,
    ] {
        assert_eq!(
            (next_open(instant), next_close(instant), latest_session(instant)),
            (None, None, None),
            "{instant}"
        );
        assert!(!is_open(instant) && !is_open_extended(instant), "{instant}");
    }
    assert_eq!(
        trading_date(DateTime::<Utc>::MIN_UTC),
        DateTime::<Utc>::MIN_UTC.date_naive()
    );
    let all: Vec<_> = sessions(NaiveDate::MIN, NaiveDate::MAX).collect();
    assert_eq!(all.first().map(|session| session.date), Some(date("2000-01-03")));
    assert_eq!(all.last().map(|session| session.date), Some(date("2099-12-31")));
    assert_eq!(settlement_date(date("2099-12-31")), None);
}

#[test]
fn every_session_of_the_century_keeps_its_order_and_its_hours() {
    let all: Vec<_> = sessions(NaiveDate::MIN, NaiveDate::MAX).collect();
    for session in &all {
        let hour = |instant: DateTime<Utc>| {
            let local = instant.with_timezone(&New_York);
            (local.date_naive(), local.hour(), local.minute())
        };
        let (close, extended_close) = if session.is_early_close() {
            (13, 17)
        } else {
            (16, 20)
        };
        assert_eq!(hour(session.extended_open), (session.date, 4, 0));
        assert_eq!(hour(session.open), (session.date, 9, 30));
        assert_eq!(hour(session.close), (session.date, close, 0));
        assert_eq!(hour(session.extended_close), (session.date, extended_close, 0));
    }
    for pair in all.windows(2) {
        assert!(
            pair[0].extended_close < pair[1].extended_open,
            "{} {}",
            pair[0].date,
            pair[1].date
        );
    }
    let longest_gap = all
        .windows(2)
        .map(|pair| (pair[1].date - pair[0].date).num_days())
        .max();
    assert_eq!(
        longest_gap,
        Some(7),
        "September 2001, and far below LONGEST_GAP_DAYS"
    );
}

#[test]
fn a_year_has_nine_or_ten_holidays_by_rule() {
    let mut counts = std::collections::BTreeSet::new();
    for year in 2022..=LAST_YEAR {
        let by_rule = days(&format!("{year}-01-01"), &format!("{year}-12-31"))
            .filter_map(holiday_on)
            .filter(|holiday| !matches!(holiday, Holiday::Special(_)))
            .count();
        counts.insert(by_rule);
    }
    // Nine where New Year's Day falls on a Saturday.
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [9, 10]);
}

/// Any instant of the supported years that has sessions on both sides.
fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    let (first, last) = (at("2000-01-10T00:00:00Z"), at("2099-12-20T00:00:00Z"));
    (first.timestamp_micros()..last.timestamp_micros())
        .prop_map(|micros| DateTime::from_timestamp_micros(micros).unwrap())
}

proptest! {
    #[test]
    fn the_next_close_comes_before_the_next_open_exactly_while_open(now in instant()) {
        let (open, close) = (next_open(now).unwrap(), next_close(now).unwrap());
        prop_assert!(now < open && now < close);
        prop_assert_eq!(close < open, is_open(now));
    }

    #[test]
    fn the_market_opens_at_the_next_open_and_closes_at_the_next_close(now in instant()) {
        let (open, close) = (next_open(now).unwrap(), next_close(now).unwrap());
        let instant_before = chrono::TimeDelta::microseconds(1);
        prop_assert!(is_open(open) && !is_open(open - instant_before));
        prop_assert!(!is_open(close) && is_open(close - instant_before));
    }

    #[test]
    fn nothing_changes_between_now_and_the_next_change(now in instant(), share in 0..1000_i32) {
        let change = next_open(now).unwrap().min(next_close(now).unwrap());
        let between = now + (change - now) / 1000 * share;
        prop_assert_eq!(is_open(between), is_open(now));
        prop_assert_eq!(latest_session(between), latest_session(now));
    }

    #[test]
    fn the_session_that_is_open_is_the_latest_and_that_of_its_trading_date(now in instant()) {
        prop_assert_eq!(is_open(now), current_session(now).is_some());
        if let Some(session) = current_session(now) {
            prop_assert_eq!(session.date, trading_date(now));
            prop_assert_eq!(Some(session), latest_session(now));
            prop_assert_eq!(next_close(now), Some(session.close));
            prop_assert!(is_open_extended(now));
        }
    }

    #[test]
    fn a_trade_settles_on_the_first_session_after_its_date(now in instant()) {
        let traded = trading_date(now);
        let settles = settlement_date(traded).unwrap();
        prop_assert!(session_on(settles).is_some());
        let between = sessions(traded.succ_opt().unwrap(), settles).count();
        prop_assert_eq!(between, 1);
    }
}
