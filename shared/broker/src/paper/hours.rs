//! When an order can trade, and when its time is over.
//!
//! | order | trades | ends |
//! |---|---|---|
//! | equity, `day` | in the regular session | at the close of the session in which it is or comes to work |
//! | equity, `day`, extended hours | from 04:00 to 20:00 New York | at the end of those hours |
//! | `gtc` | as above; crypto always | 90 days after its entry, as Alpaca ends them |
//! | `ioc`, `fok` | at its entry or never | at its entry |
//!
//! Where the market's hours are ignored, everything trades always, and a day order ends with its date in New York.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::asset::{AssetClass, MarketHours};
use domain::calendar;
use domain::order::TimeInForce;

/// How long a `gtc` order stays.
const GTC_LIVES_FOR: TimeDelta = TimeDelta::days(90);

/// How far the next session is looked for: no closure was ever longer.
const SESSION_SEARCH_DAYS: u64 = 14;

/// The part of a market's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nothing trades.
    Closed,
    /// Orders for extended hours trade.
    Extended,
    /// Everything trades.
    Regular,
}

impl Phase {
    /// The phase of the market of `class` at `at`.
    pub(super) fn of(class: AssetClass, at: DateTime<Utc>, hours: MarketHours) -> Self {
        if class.is_in_session(at, hours) {
            Self::Regular
        } else if calendar::is_open_extended(at) {
            Self::Extended
        } else {
            Self::Closed
        }
    }

    /// Whether an order trades in this phase.
    pub(super) const fn lets_trade(self, extended_hours: bool) -> bool {
        match self {
            Self::Closed => false,
            Self::Extended => extended_hours,
            Self::Regular => true,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Extended => "extended",
            Self::Regular => "regular",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Closed, Self::Extended, Self::Regular]
            .into_iter()
            .find(|phase| phase.as_str() == text)
    }
}

/// The instant from which an order that enters at `at` can trade: `at` itself while its market is open.
///
/// Where the calendar ends there is no such instant, and the order's end comes first.
pub(super) fn works_from(
    class: AssetClass,
    extended_hours: bool,
    at: DateTime<Utc>,
    hours: MarketHours,
) -> DateTime<Utc> {
    if Phase::of(class, at, hours).lets_trade(extended_hours) {
        return at;
    }
    let next = if extended_hours {
        session_after(at).map(|session| session.extended_open)
    } else {
        calendar::next_open(at)
    };
    next.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The instant at which an order that enters at `at` ends by time.
pub(super) fn expires_at(
    time_in_force: TimeInForce,
    class: AssetClass,
    extended_hours: bool,
    at: DateTime<Utc>,
    hours: MarketHours,
) -> DateTime<Utc> {
    match time_in_force {
        TimeInForce::Ioc | TimeInForce::Fok => at,
        TimeInForce::Gtc => at.checked_add_signed(GTC_LIVES_FOR).unwrap_or(at),
        TimeInForce::Day => day_end(class, extended_hours, at, hours),
    }
}

fn day_end(class: AssetClass, extended_hours: bool, at: DateTime<Utc>, hours: MarketHours) -> DateTime<Utc> {
    let close = match (class, hours) {
        (AssetClass::Crypto, _) | (AssetClass::UsEquity, MarketHours::Ignore) => None,
        (AssetClass::UsEquity, MarketHours::Real) if extended_hours => {
            session_after(at).map(|session| session.extended_close)
        }
        (AssetClass::UsEquity, MarketHours::Real) => calendar::next_close(at),
    };
    close.unwrap_or_else(|| end_of_date(calendar::trading_date(at)).unwrap_or(at))
}

/// The first session whose extended hours are not over at `at`.
fn session_after(at: DateTime<Utc>) -> Option<calendar::Session> {
    let today = calendar::trading_date(at);
    let last = today.checked_add_days(Days::new(SESSION_SEARCH_DAYS))?;
    calendar::sessions(today, last).find(|session| session.extended_close > at)
}

/// The midnight in New York that ends `date`: it is 04:00 or 05:00 UTC, by the season.
fn end_of_date(date: NaiveDate) -> Option<DateTime<Utc>> {
    let next = date.succ_opt()?;
    [4, 5]
        .into_iter()
        .filter_map(|hour| next.and_hms_opt(hour, 0, 0))
        .map(|midnight| midnight.and_utc())
        .find(|midnight| calendar::trading_date(*midnight) == next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn orders_work_from_and_end_as_the_table_says() {
        use AssetClass::{Crypto, UsEquity};
        use MarketHours::{Ignore, Real};
        use TimeInForce::{Day, Fok, Gtc, Ioc};
        // Tuesday 24 November 2026 in New York is UTC-5; Thursday is Thanksgiving, Friday closes early.
        #[rustfmt::skip]
        let rows = [
            // name, class, time in force, extended hours, hours, entered, works from, ends
            ("day in session", UsEquity, Day, false, Real, "2026-11-24T15:00:00Z", "2026-11-24T15:00:00Z", "2026-11-24T21:00:00Z"),
            ("day before the open", UsEquity, Day, false, Real, "2026-11-24T14:00:00Z", "2026-11-24T14:30:00Z", "2026-11-24T21:00:00Z"),
            ("day after the close", UsEquity, Day, false, Real, "2026-11-24T21:00:00Z", "2026-11-25T14:30:00Z", "2026-11-25T21:00:00Z"),
            ("day before a holiday and an early close", UsEquity, Day, false, Real, "2026-11-25T22:00:00Z", "2026-11-27T14:30:00Z", "2026-11-27T18:00:00Z"),
            ("day before a weekend", UsEquity, Day, false, Real, "2026-11-28T12:00:00Z", "2026-11-30T14:30:00Z", "2026-11-30T21:00:00Z"),
            ("extended after the close", UsEquity, Day, true, Real, "2026-11-24T22:00:00Z", "2026-11-24T22:00:00Z", "2026-11-25T01:00:00Z"),
            ("extended at night", UsEquity, Day, true, Real, "2026-11-25T02:00:00Z", "2026-11-25T09:00:00Z", "2026-11-26T01:00:00Z"),
            ("gtc at night", UsEquity, Gtc, false, Real, "2026-11-25T02:00:00Z", "2026-11-25T14:30:00Z", "2027-02-23T02:00:00Z"),
            ("gtc crypto on a Saturday", Crypto, Gtc, false, Real, "2026-11-28T12:00:00Z", "2026-11-28T12:00:00Z", "2027-02-26T12:00:00Z"),
            ("ioc out of session", UsEquity, Ioc, false, Real, "2026-11-28T12:00:00Z", "2026-11-30T14:30:00Z", "2026-11-28T12:00:00Z"),
            ("fok in session", UsEquity, Fok, false, Real, "2026-11-24T15:00:00Z", "2026-11-24T15:00:00Z", "2026-11-24T15:00:00Z"),
            ("day on a Saturday, hours ignored", UsEquity, Day, false, Ignore, "2026-11-28T12:00:00Z", "2026-11-28T12:00:00Z", "2026-11-29T05:00:00Z"),
            ("day in summer, hours ignored", UsEquity, Day, false, Ignore, "2026-07-04T03:59:59Z", "2026-07-04T03:59:59Z", "2026-07-04T04:00:00Z"),
        ];
        for (name, class, time_in_force, extended, hours, entered, from, ends) in rows {
            assert_eq!(
                works_from(class, extended, at(entered), hours),
                at(from),
                "{name}"
            );
            assert_eq!(
                expires_at(time_in_force, class, extended, at(entered), hours),
                at(ends),
                "{name}"
            );
        }
    }

    #[test]
    fn where_the_calendar_ends_an_order_still_ends() {
        let entered = at("2100-06-01T12:00:00Z");
        let ends = expires_at(
            TimeInForce::Day,
            AssetClass::UsEquity,
            false,
            entered,
            MarketHours::Real,
        );
        // The rules of summer time end with the calendar.
        assert_eq!(ends, at("2100-06-02T05:00:00Z"));
        let from = works_from(AssetClass::UsEquity, false, entered, MarketHours::Real);
        assert!(from > ends);
    }

    #[test]
    fn phases_are_written_and_read_alike() {
        for phase in [Phase::Closed, Phase::Extended, Phase::Regular] {
            assert_eq!(Phase::parse(phase.as_str()), Some(phase));
        }
        assert_eq!(Phase::parse("open"), None);
    }
}
