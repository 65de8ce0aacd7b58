//! Spans of trading, one after another: the exchange's sessions, or whole days where trading never stops.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::asset::{AssetClass, MarketHours};
use domain::calendar::{self, Session};

/// Which spans an asset class trades in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spans {
    /// The regular sessions of the exchange.
    Sessions,
    /// Every day from midnight to midnight, UTC.
    Days,
}

/// One span. It contains its opening instant, and not its closing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The date that names it.
    pub(crate) date: NaiveDate,
    /// Its begin.
    pub(crate) open: DateTime<Utc>,
    /// Its end.
    pub(crate) close: DateTime<Utc>,
}

impl Window {
    /// Its length in seconds.
    pub(crate) fn seconds(&self) -> i64 {
        (self.close - self.open).num_seconds()
    }
}

impl From<Session> for Window {
    fn from(session: Session) -> Self {
        Window {
            date: session.date,
            open: session.open,
            close: session.close,
        }
    }
}

impl Spans {
    /// The spans of `class` when equities keep `hours`.
    pub(crate) fn of(class: AssetClass, hours: MarketHours) -> Spans {
        match (class, hours) {
            (AssetClass::UsEquity, MarketHours::Real) => Spans::Sessions,
            (AssetClass::UsEquity, MarketHours::Ignore) | (AssetClass::Crypto, _) => Spans::Days,
        }
    }

    /// The span named by `date`, if trading happens on it.
    pub(crate) fn on(self, date: NaiveDate) -> Option<Window> {
        match self {
            Spans::Sessions => calendar::session_on(date).map(Window::from),
            Spans::Days => {
                let open = date.and_time(NaiveTime::MIN).and_utc();
                let close = open.checked_add_signed(TimeDelta::days(1))?;
                Some(Window { date, open, close })
            }
        }
    }

    /// The span that began last at `at`: the one that goes on, else the one that ended last.
    pub(crate) fn latest(self, at: DateTime<Utc>) -> Option<Window> {
        match self {
            Spans::Sessions => calendar::latest_session(at).map(Window::from),
            Spans::Days => self.on(at.date_naive()),
        }
    }

    /// How many spans `to` comes after `from`; negative when it comes before.
    pub(crate) fn distance(self, from: NaiveDate, to: NaiveDate) -> i64 {
        match self {
            Spans::Days => (to - from).num_days(),
            Spans::Sessions if to < from => -self.distance(to, from),
            Spans::Sessions => {
                let after = from.succ_opt().unwrap_or(from);
                i64::try_from(calendar::sessions(after, to).count()).unwrap_or(i64::MAX)
            }
        }
    }

    /// The span that comes `count` after the one of `from`.
    pub(crate) fn after(self, from: NaiveDate, count: u32) -> Option<Window> {
        match self {
            Spans::Days => self.on(from.checked_add_signed(TimeDelta::days(i64::from(count)))?),
            Spans::Sessions => {
                let steps = usize::try_from(count).ok()?;
                calendar::sessions(from, NaiveDate::MAX)
                    .nth(steps)
                    .map(Window::from)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn sessions_are_counted_across_weekends_and_holidays() {
        // Thanksgiving 2026 is the 26th of November.
        for (from, to, sessions) in [
            ("2026-11-24", "2026-11-24", 0),
            ("2026-11-24", "2026-11-25", 1),
            ("2026-11-24", "2026-11-27", 2),
            ("2026-11-24", "2026-11-30", 3),
            ("2026-11-30", "2026-11-24", -3),
        ] {
            assert_eq!(
                Spans::Sessions.distance(date(from), date(to)),
                sessions,
                "{from} to {to}"
            );
            if let Ok(count) = u32::try_from(sessions) {
                assert_eq!(Spans::Sessions.after(date(from), count).unwrap().date, date(to));
            }
        }
        assert_eq!(Spans::Days.distance(date("2026-11-24"), date("2026-11-30")), 6);
        assert_eq!(
            Spans::Days.after(date("2026-11-24"), 6).unwrap().date,
            date("2026-11-30")
        );
    }

    #[test]
    fn the_latest_span_is_the_running_one_or_the_one_that_ended_last() {
        let sunday: DateTime<Utc> = "2026-11-29T12:00:00Z".parse().unwrap();
        assert_eq!(Spans::Sessions.latest(sunday).unwrap().date, date("2026-11-27"));
        assert_eq!(Spans::Days.latest(sunday).unwrap().date, date("2026-11-29"));
        assert_eq!(Spans::Days.latest(sunday).unwrap().seconds(), 86_400);
    }
}
