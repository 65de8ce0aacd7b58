//! The days on which the New York Stock Exchange is closed or closes early.
//!
//! Source: NYSE Rule 7.2 and the exchange's yearly holiday notices. The days are computed from their rules, so that no
//! list needs care each year; what no rule foretells (days of mourning, storms) stands in two short tables.
//!
//! | Holiday | Rule |
//! |---|---|
//! | New Year's Day | 1 January; a Sunday moves to Monday, a Saturday is **not** made up for (the year's books close on Friday) |
//! | Martin Luther King Jr. Day, Presidents' Day | third Monday of January, of February |
//! | Good Friday | two days before Easter (Gregorian computus) |
//! | Memorial Day | last Monday of May |
//! | Juneteenth | 19 June, from 2022; a Saturday moves to Friday, a Sunday to Monday |
//! | Independence Day | 4 July; a Saturday moves to Friday, a Sunday to Monday |
//! | Labor Day | first Monday of September |
//! | Thanksgiving | fourth Thursday of November |
//! | Christmas | 25 December; a Saturday moves to Friday, a Sunday to Monday |

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// Why the exchange is closed on a weekday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holiday {
    /// 1 January.
    NewYearsDay,
    /// The third Monday of January.
    MartinLutherKingDay,
    /// The third Monday of February, Washington's Birthday.
    PresidentsDay,
    /// The Friday before Easter.
    GoodFriday,
    /// The last Monday of May.
    MemorialDay,
    /// 19 June, since 2022.
    Juneteenth,
    /// 4 July.
    IndependenceDay,
    /// The first Monday of September.
    LaborDay,
    /// The fourth Thursday of November.
    Thanksgiving,
    /// 25 December.
    Christmas,
    /// A closure that no rule foretells, with its reason.
    Special(&'static str),
}

impl Holiday {
    /// The name in plain English, as the exchange prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewYearsDay => "New Year's Day",
            Self::MartinLutherKingDay => "Martin Luther King, Jr. Day",
            Self::PresidentsDay => "Presidents' Day",
            Self::GoodFriday => "Good Friday",
            Self::MemorialDay => "Memorial Day",
            Self::Juneteenth => "Juneteenth",
            Self::IndependenceDay => "Independence Day",
            Self::LaborDay => "Labor Day",
            Self::Thanksgiving => "Thanksgiving Day",
            Self::Christmas => "Christmas Day",
            Self::Special(reason) => reason,
        }
    }
}

/// Year, month and day of the closures that no rule foretells, in the supported range.
const SPECIAL_CLOSURES: [(i32, u32, u32, &str); 10] = [
    (2001, 9, 11, "September 11 attacks"),
    (2001, 9, 12, "September 11 attacks"),
    (2001, 9, 13, "September 11 attacks"),
    (2001, 9, 14, "September 11 attacks"),
    (2004, 6, 11, "Mourning for President Reagan"),
    (2007, 1, 2, "Mourning for President Ford"),
    (2012, 10, 29, "Hurricane Sandy"),
    (2012, 10, 30, "Hurricane Sandy"),
    (2018, 12, 5, "Mourning for President Bush"),
    (2025, 1, 9, "Mourning for President Carter"),
];

/// Year, month and day of the early closes that no rule foretells.
const SPECIAL_EARLY_CLOSES: [(i32, u32, u32); 1] = [
    // The Friday after a Thursday Christmas; the exchange has not done it again since.
    (2003, 12, 26),
];

/// The first year in which the exchange kept Juneteenth.
const JUNETEENTH_SINCE: i32 = 2022;

/// The first year in which the session before a Thursday 4 July is the short one; until then it was the Friday after it.
const JULY_SHORT_DAY_BEFORE_SINCE: i32 = 2013;

/// The holiday that closes the exchange on `date`, or `None` on a trading day and on every Saturday and Sunday.
pub(super) fn holiday_on(date: NaiveDate) -> Option<Holiday> {
    if is_weekend(date) {
        return None;
    }
    recurring_holiday_on(date).or_else(|| special_closure_on(date))
}

/// Whether the exchange is open on `date` but closes at 13:00: the day after Thanksgiving, Christmas Eve and the day
/// before Independence Day, when they are trading days.
pub(super) fn closes_early_on(date: NaiveDate) -> bool {
    if is_weekend(date) || holiday_on(date).is_some() {
        return false;
    }
    let (year, month, day) = (date.year(), date.month(), date.day());
    match (month, day) {
        (11, _) => date
            .pred_opt()
            .is_some_and(|yesterday| recurring_holiday_on(yesterday) == Some(Holiday::Thanksgiving)),
        (12, 24) => true,
        (7, 3) => year >= JULY_SHORT_DAY_BEFORE_SINCE || date.weekday() != Weekday::Wed,
        (7, 5) => year < JULY_SHORT_DAY_BEFORE_SINCE && date.weekday() == Weekday::Fri,
        _ => SPECIAL_EARLY_CLOSES.contains(&(year, month, day)),
    }
}

/// Whether `date` is a Saturday or a Sunday.
pub(super) fn is_weekend(date: NaiveDate) -> bool {
    matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

fn recurring_holiday_on(date: NaiveDate) -> Option<Holiday> {
    let year = date.year();
    let is = |holiday: Option<NaiveDate>| holiday == Some(date);
    match date.month() {
        // A Saturday's New Year would move into the old year: no date of January equals it, and December does not ask.
        1 if is(observed(year, 1, 1)) => Some(Holiday::NewYearsDay),
        1 if is(nth_weekday(year, 1, Weekday::Mon, 3)) => Some(Holiday::MartinLutherKingDay),
        2 if is(nth_weekday(year, 2, Weekday::Mon, 3)) => Some(Holiday::PresidentsDay),
        3 | 4 if is(good_friday(year)) => Some(Holiday::GoodFriday),
        // The last Monday of May is the one less than a week from June.
        5 if date.weekday() == Weekday::Mon && date.day() > 24 => Some(Holiday::MemorialDay),
        6 if year >= JUNETEENTH_SINCE && is(observed(year, 6, 19)) => Some(Holiday::Juneteenth),
        7 if is(observed(year, 7, 4)) => Some(Holiday::IndependenceDay),
        9 if is(nth_weekday(year, 9, Weekday::Mon, 1)) => Some(Holiday::LaborDay),
        11 if is(nth_weekday(year, 11, Weekday::Thu, 4)) => Some(Holiday::Thanksgiving),
        12 if is(observed(year, 12, 25)) => Some(Holiday::Christmas),
        _ => None,
    }
}

fn special_closure_on(date: NaiveDate) -> Option<Holiday> {
    SPECIAL_CLOSURES
        .iter()
        .find(|&&(year, month, day, _)| (year, month, day) == (date.year(), date.month(), date.day()))
        .map(|&(.., reason)| Holiday::Special(reason))
}

/// The weekday on which a holiday of a fixed date is kept: a Saturday's on Friday, a Sunday's on Monday.
fn observed(year: i32, month: u32, day: u32) -> Option<NaiveDate> {
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    match date.weekday() {
        Weekday::Sat => date.pred_opt(),
        Weekday::Sun => date.succ_opt(),
        Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu | Weekday::Fri => Some(date),
    }
}

fn nth_weekday(year: i32, month: u32, weekday: Weekday, nth: u8) -> Option<NaiveDate> {
    NaiveDate::from_weekday_of_month_opt(year, month, weekday, nth)
}

fn good_friday(year: i32) -> Option<NaiveDate> {
    easter_sunday(year)?.checked_sub_days(Days::new(2))
}

/// Easter Sunday of a Gregorian year, by the "anonymous" computus (Meeus, *Astronomical Algorithms*, chapter 8).
/// Its variables are known by these letters and have no better names.
#[expect(
    clippy::many_single_char_names,
    reason = "the published algorithm names its variables so"
)]
fn easter_sunday(year: i32) -> Option<NaiveDate> {
    let year_of_moon = year.rem_euclid(19);
    let (b, c) = (year.div_euclid(100), year.rem_euclid(100));
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * year_of_moon + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (year_of_moon + 11 * h + 22 * l) / 451;
    let march_based = h + l - 7 * m + 114;
    let month = u32::try_from(march_based / 31).ok()?;
    let day = u32::try_from(march_based % 31 + 1).ok()?;
    NaiveDate::from_ymd_opt(year, month, day)
}
