//! `GET /v2/events`: the account's log of orders, read by cursor.

use std::sync::Arc;

use poem::Request;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use store::orders::OrderEventRow;

use super::Tag;
use crate::app::App;
use crate::auth::Principal;
use crate::input::query::{Param, page_limit, refuse_unknown};
use crate::problem::Problem;
use crate::wire::{AnyJson, Time};

/// How many events a page has unless more are asked for.
const EVENTS_DEFAULT: u64 = 100;

/// How many events a page has at most.
const PAGE_MAX: u64 = 1_000;

/// The resource.
pub(crate) struct Events;

/// One line of the account's log.
#[derive(Object)]
#[oai(rename = "OrderEvent")]
pub(crate) struct EventView {
    /// Counts per account from 1, without gaps: a cursor never misses one.
    seq: i64,
    /// The order.
    order_id: String,
    /// What happened: `accepted`, `fill`, `canceled`, …
    event: String,
    /// When it was recorded.
    at: Time,
    /// Who or what made it happen.
    cause: AnyJson,
    /// The facts.
    data: AnyJson,
}

/// A page of the log.
#[derive(Object)]
#[oai(rename = "OrderEventPage")]
pub(crate) struct EventPage {
    /// Oldest first.
    events: Vec<EventView>,
    /// The cursor of the next page: the last `seq`, or `after` again where there was nothing.
    next_after: i64,
}

impl From<OrderEventRow> for EventView {
    fn from(row: OrderEventRow) -> Self {
        Self {
            seq: row.seq,
            order_id: row.order_id.to_string(),
            event: row.kind,
            at: Time(row.at),
            cause: AnyJson(row.cause),
            data: AnyJson(row.data),
        }
    }
}

#[OpenApi(prefix_path = "/v2", tag = "Tag::Orders")]
impl Events {
    /// Read the account's log of orders
    ///
    /// Everything that happened to the account's orders, in the order in which it was committed.
    #[oai(path = "/events", method = "get", operation_id = "list_events")]
    async fn list_events(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        request: &Request,
        /// Only events after this one; 0 unless given.
        Query(after): Query<Param<i64>>,
        /// How many at most: 100 unless given, 1000 at most.
        Query(limit): Query<Param<u64>>,
    ) -> poem::Result<Json<EventPage>> {
        refuse_unknown(request, &["after", "limit"])?;
        let limit = page_limit(limit, EVENTS_DEFAULT, PAGE_MAX)?;
        let after = after.get().unwrap_or(0);
        let rows = app
            .store
            .order_events(principal.account, after, limit)
            .await
            .map_err(Problem::from)?;
        let next_after = rows.last().map_or(after, |row| row.seq);
        let events = rows.into_iter().map(EventView::from).collect();
        Ok(Json(EventPage { events, next_after }))
    }
}
