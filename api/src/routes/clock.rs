//! `GET /v2/clock`: the time, and when the market opens and closes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::asset::{AssetClass, MarketHours};
use domain::calendar;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use crate::app::App;
use crate::auth::Principal;
use crate::problem::{Code, Problem};
use crate::wire::Time;

/// The resource.
pub(crate) struct ClockApi;

/// The time, and the market's.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(rename = "Clock")]
pub(crate) struct ClockView {
    /// The present time.
    timestamp: Time,
    /// Whether equities trade now.
    is_open: bool,
    /// When the market opens next; while it is open, after the next close.
    next_open: Time,
    /// When it closes next; before `next_open` exactly while it is open.
    next_close: Time,
}

impl ClockView {
    /// The clock at `now`; `None` outside of the calendar's years.
    fn at(now: DateTime<Utc>, hours: MarketHours) -> Option<Self> {
        let is_open = AssetClass::UsEquity.is_in_session(now, hours);
        let next_close = calendar::next_close(now)?;
        let next_open = if is_open {
            // Where hours are ignored the next opening bell may come before the next close; it opens nothing.
            calendar::next_open(next_close)?
        } else {
            calendar::next_open(now)?
        };
        Some(Self {
            timestamp: Time(now),
            is_open,
            next_open: Time(next_open),
            next_close: Time(next_close),
        })
    }
}

#[OpenApi(prefix_path = "/v2", tag = "Tag::Market")]
impl ClockApi {
    /// Read the clock
    ///
    /// With `MARKET_HOURS=ignore` the market is always open.
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    #[oai(path = "/clock", method = "get", operation_id = "get_clock")]
    async fn get_clock(
        &self,
        Data(app): Data<&Arc<App>>,
        _principal: Principal,
    ) -> poem::Result<Json<ClockView>> {
        let view = ClockView::at(app.now(), app.rules.hours);
        let view = view.ok_or_else(|| Problem::hidden(Code::InternalError, "the calendar has ended"))?;
        Ok(Json(view))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(now: &str, hours: MarketHours) -> (bool, String, String) {
        let view = ClockView::at(now.parse().unwrap(), hours).unwrap();
        (view.is_open, view.next_open.text(), view.next_close.text())
    }

    #[test]
    fn the_next_close_comes_before_the_next_open_exactly_while_the_market_is_open() {
        // Tuesday 24 November 2026; Thursday is Thanksgiving, and Friday closes early.
        for (now, hours, expected) in [
            (
                "2026-11-24T15:00:00Z",
                MarketHours::Real,
                (true, "2026-11-25T14:30:00", "2026-11-24T21:00:00"),
            ),
            (
                "2026-11-24T22:00:00Z",
                MarketHours::Real,
                (false, "2026-11-25T14:30:00", "2026-11-25T21:00:00"),
            ),
            (
                "2026-11-28T12:00:00Z",
                MarketHours::Real,
                (false, "2026-11-30T14:30:00", "2026-11-30T21:00:00"),
            ),
            (
                "2026-11-28T12:00:00Z",
                MarketHours::Ignore,
                (true, "2026-12-01T14:30:00", "2026-11-30T21:00:00"),
            ),
            (
                "2026-11-26T15:00:00Z",
                MarketHours::Real,
                (false, "2026-11-27T14:30:00", "2026-11-27T18:00:00"),
            ),
        ] {
            let (is_open, next_open, next_close) = expected;
            let full = |text: &str| format!("{text}.000000Z");
            assert_eq!(
                clock(now, hours),
                (is_open, full(next_open), full(next_close)),
                "{now} {hours:?}"
            );
        }
    }
}
