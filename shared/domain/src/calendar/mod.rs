//! The trading calendar of US equities: when the market is open, on which dates, and when next.
//!
//! All functions are pure: they take the instant or the date, and never read a clock. Times of day are those of
//! `America/New_York` and are turned into UTC day by day, so the two changes of the clock each year need no care elsewhere.
//!
//! | Session | Hours (New York) | On an early close |
//! |---|---|---|
//! | regular | 09:30-16:00 | 09:30-13:00 |
//! | extended (before, in and after the regular one) | 04:00-20:00 | 04:00-17:00 |
//!
//! Invariants:
//! 1. A session contains its open and not its close: at the very second of the close the market is closed.
//! 2. `next_close(at) < next_open(at)` exactly while the market is open at `at`.
//! 3. Sessions neither overlap nor change their order: dates ascend, and each extended session ends before the next begins.
//! 4. Nothing panics. Outside [`FIRST_YEAR`] to [`LAST_YEAR`] the calendar knows no sessions and answers `None`:
//!    the tables of one-off closures reach back to the first, and time zone rules are compiled up to the last.
//!
//! Crypto has no sessions; only its [`trading_date`] comes from here.

mod holidays;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone, Utc};
use chrono_tz::America::New_York;

pub use holidays::Holiday;

/// The first year whose sessions the calendar knows.
pub const FIRST_YEAR: i32 = 2000;

/// The last year whose sessions the calendar knows.
pub const LAST_YEAR: i32 = 2099;

/// The longest run of days without a session, with room to spare: four weekdays and two weekends (September 2001)
/// are eight. A search that goes further has left the calendar.
const LONGEST_GAP_DAYS: usize = 14;

/// One day of trading. The four instants stand in the order extended open, open, close, extended close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The date in New York.
    pub date: NaiveDate,
    /// Begin of regular trading, 09:30.
    pub open: DateTime<Utc>,
    /// End of regular trading, 16:00, or 13:00 on an early close.
    pub close: DateTime<Utc>,
    /// Begin of extended hours, 04:00.
    pub extended_open: DateTime<Utc>,
    /// End of extended hours, 20:00, or 17:00 on an early close.
    pub extended_close: DateTime<Utc>,
}

impl Session {
    /// Whether regular trading goes on at `at`.
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.open <= at && at < self.close
    }

    /// Whether regular or extended trading goes on at `at`.
    pub fn contains_extended(&self, at: DateTime<Utc>) -> bool {
        self.extended_open <= at && at < self.extended_close
    }

    /// Whether this is one of the days that end at 13:00.
    pub fn is_early_close(&self) -> bool {
        holidays::closes_early_on(self.date)
    }
}

/// The date on which something that happens at `at` counts: the date in New York, for every asset class.
/// Day limits and day tables go by it, so a day of crypto begins at midnight in New York, too.
pub fn trading_date(at: DateTime<Utc>) -> NaiveDate {
    let utc = at.naive_utc();
    let offset = New_York.offset_from_utc_datetime(&utc).fix();
    // Only within hours of the ends of time has the local time no date of its own; there UTC's serves.
    utc.checked_add_offset(offset).unwrap_or(utc).date()
}

/// The session of `date`, or `None` on weekends, on holidays and outside the supported years.
pub fn session_on(date: NaiveDate) -> Option<Session> {
    if !is_supported(date) || holidays::is_weekend(date) || holidays::holiday_on(date).is_some() {
        return None;
    }
    let (close, extended_close) = if holidays::closes_early_on(date) {
        (13, 17)
    } else {
        (16, 20)
    };
    Some(Session {
        date,
        open: new_york(date, 9, 30)?,
        close: new_york(date, close, 0)?,
        extended_open: new_york(date, 4, 0)?,
        extended_close: new_york(date, extended_close, 0)?,
    })
}

/// The holiday that closes the market on the weekday `date`; `None` on trading days, weekends and outside the supported years.
pub fn holiday_on(date: NaiveDate) -> Option<Holiday> {
    if is_supported(date) {
        holidays::holiday_on(date)
    } else {
        None
    }
}

/// Whether regular trading goes on at `at`.
pub fn is_open(at: DateTime<Utc>) -> bool {
    current_session(at).is_some()
}

/// Whether regular or extended trading goes on at `at`.
pub fn is_open_extended(at: DateTime<Utc>) -> bool {
    session_on(trading_date(at)).is_some_and(|session| session.contains_extended(at))
}

/// The session whose regular trading goes on at `at`.
pub fn current_session(at: DateTime<Utc>) -> Option<Session> {
    session_on(trading_date(at)).filter(|session| session.contains(at))
}

/// The session that opened last: the current one while the market is open, else the one that ended last. Its last quote
/// is the newest that regular trading has made.
pub fn latest_session(at: DateTime<Utc>) -> Option<Session> {
    days_before(trading_date(at)).find_map(|date| session_on(date).filter(|session| session.open <= at))
}

/// The next instant after `at` at which the market opens; while it is open, that of the following session.
pub fn next_open(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    days_from(trading_date(at))
        .filter_map(session_on)
        .map(|session| session.open)
        .find(|open| *open > at)
}

/// The next instant after `at` at which the market closes; while it is open, that of the current session. A day order
/// accepted at `at` lives until then.
pub fn next_close(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    days_from(trading_date(at))
        .filter_map(session_on)
        .map(|session| session.close)
        .find(|close| *close > at)
}

/// The sessions of all dates from `start` to `end`, both included, in order. Dates outside the supported years have none,
/// so the iteration is finite whatever the bounds are.
pub fn sessions(start: NaiveDate, end: NaiveDate) -> impl Iterator<Item = Session> {
    let first = NaiveDate::from_ymd_opt(FIRST_YEAR, 1, 1).map_or(start, |first| start.max(first));
    let last = NaiveDate::from_ymd_opt(LAST_YEAR, 12, 31).map_or(end, |last| end.min(last));
    first
        .iter_days()
        .take_while(move |date| *date <= last)
        .filter_map(session_on)
}

/// The date on which a trade of `date` settles: the next session after it (T+1, in force since 28 May 2024). It is given
/// for dates without a session, too, and `None` where the calendar ends.
pub fn settlement_date(date: NaiveDate) -> Option<NaiveDate> {
    days_from(date)
        .skip(1)
        .find_map(session_on)
        .map(|session| session.date)
}

fn is_supported(date: NaiveDate) -> bool {
    (FIRST_YEAR..=LAST_YEAR).contains(&date.year())
}

/// `date` and the days after it, as far as a search for a session needs to look: nowhere from an unsupported date.
fn days_from(date: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    let days = if is_supported(date) { LONGEST_GAP_DAYS } else { 0 };
    date.iter_days().take(days)
}

/// `date` and the days before it, as far as a search for a session needs to look: nowhere from an unsupported date.
fn days_before(date: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    let days = if is_supported(date) { LONGEST_GAP_DAYS } else { 0 };
    date.iter_days().rev().take(days)
}

/// The instant of a time of day in New York. The clock changes at 02:00 on Sundays, so no hour that a session uses is
/// ever missing or doubled.
fn new_york(date: NaiveDate, hour: u32, minute: u32) -> Option<DateTime<Utc>> {
    let local = date.and_hms_opt(hour, minute, 0)?;
    let instant = New_York.from_local_datetime(&local).single()?;
    Some(instant.with_timezone(&Utc))
}
