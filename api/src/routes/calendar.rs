//! `GET /v2/calendar`: the trading days of US equities.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::America::New_York;
use domain::calendar::{self, Session};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use crate::auth::Principal;
use crate::input::query::{Instant, Param};

/// The resource.
pub(crate) struct CalendarApi;

/// One trading day; times of day are those of New York.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(rename = "TradingDay")]
pub(crate) struct DayView {
    /// The date.
    date: String,
    /// The opening bell: `09:30`.
    open: String,
    /// The closing bell: `16:00`, or `13:00` on an early close.
    close: String,
    /// The begin of extended hours: `0400`.
    session_open: String,
    /// The end of extended hours: `2000`, or `1700` on an early close.
    session_close: String,
    /// When trades of the day settle.
    settlement_date: Option<String>,
}

impl DayView {
    fn of(session: &Session) -> Self {
        let local = |at: DateTime<Utc>, form: &str| at.with_timezone(&New_York).format(form).to_string();
        Self {
            date: session.date.to_string(),
            open: local(session.open, "%H:%M"),
            close: local(session.close, "%H:%M"),
            session_open: local(session.extended_open, "%H%M"),
            session_close: local(session.extended_close, "%H%M"),
            settlement_date: calendar::settlement_date(session.date).map(|date| date.to_string()),
        }
    }
}

#[OpenApi(prefix_path = "/v2", tag = "Tag::Market")]
impl CalendarApi {
    /// List trading days
    ///
    /// Without bounds, all that the calendar knows.
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    #[oai(path = "/calendar", method = "get", operation_id = "list_trading_days")]
    async fn list_trading_days(
        &self,
        _principal: Principal,
        /// The first date; a time counts as its date.
        Query(start): Query<Param<Instant>>,
        /// The last date, included.
        Query(end): Query<Param<Instant>>,
    ) -> Json<Vec<DayView>> {
        let date = |bound: Param<Instant>| bound.at().map(|at| at.date_naive());
        let start = date(start).unwrap_or(NaiveDate::MIN);
        let end = date(end).unwrap_or(NaiveDate::MAX);
        Json(
            calendar::sessions(start, end)
                .map(|session| DayView::of(&session))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_in_the_time_of_new_york() {
        let day = |text: &str| DayView::of(&calendar::session_on(text.parse().unwrap()).unwrap());
        let early = day("2026-11-27");
        assert_eq!(
            early,
            DayView {
                date: "2026-11-27".into(),
                open: "09:30".into(),
                close: "13:00".into(),
                session_open: "0400".into(),
                session_close: "1700".into(),
                settlement_date: Some("2026-11-30".into()),
            }
        );
        assert_eq!(
            (day("2026-07-06").open, day("2026-07-06").close),
            ("09:30".into(), "16:00".into())
        );
    }
}
