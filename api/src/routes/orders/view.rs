//! An order as clients see it: every key of Alpaca's contract, always, and beside them what Arbion adds.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::asset::MarketHours;
use domain::id::OrderId;
use domain::lifecycle::{How, OrderStatus, Submission};
use domain::order::{Order, TimeInForce};
use poem_openapi::Object;
use poem_openapi::types::ToJSON as _;
use serde_json::Value;
use store::orders::{ExitCause, SubmissionView};

use crate::input::Dec;
use crate::wire::{
    AnyJson, ClassName, IntentName, KindName, SideName, StatusName, SubmissionName, Time, TimeInForceName,
};

/// An order.
#[derive(Object)]
#[oai(rename = "Order")]
pub struct OrderView {
    /// Its id.
    pub id: String,
    /// The caller's name for it, or its id.
    pub client_order_id: String,
    /// When it was accepted.
    pub created_at: Time,
    /// When anything about it last changed.
    pub updated_at: Time,
    /// When it was accepted.
    pub submitted_at: Time,
    /// When it was filled completely.
    pub filled_at: Option<Time>,
    /// When it expired.
    pub expired_at: Option<Time>,
    /// When an order for the day will expire: at the close of its session, with extended hours at their end; where the
    /// server ignores the exchange's hours, at midnight in New York.
    pub expires_at: Option<Time>,
    /// When it was canceled.
    pub canceled_at: Option<Time>,
    /// When the venue rejected it.
    pub failed_at: Option<Time>,
    /// When another order took its place.
    pub replaced_at: Option<Time>,
    /// The order that takes its place.
    pub replaced_by: Option<String>,
    /// The order whose place it takes.
    pub replaces: Option<String>,
    /// The instrument's id.
    pub asset_id: String,
    /// The instrument.
    pub symbol: String,
    /// The kind of instrument.
    pub asset_class: ClassName,
    /// Money to trade for, in USD; null where `qty` is given.
    pub notional: Option<Dec>,
    /// Units to trade; null where `notional` is given.
    pub qty: Option<Dec>,
    /// Units filled so far.
    pub filled_qty: Dec,
    /// The average price of what is filled, in USD.
    pub filled_avg_price: Option<Dec>,
    /// Always empty: a plain order.
    pub order_class: String,
    /// The same as `type`.
    pub order_type: KindName,
    /// Market or limit.
    #[oai(rename = "type")]
    pub kind: KindName,
    /// Buy or sell.
    pub side: SideName,
    /// How long it stays alive.
    pub time_in_force: TimeInForceName,
    /// The worst acceptable price, in USD.
    pub limit_price: Option<Dec>,
    /// Null: Arbion has no stop orders; see /v2/triggers.
    pub stop_price: Option<Dec>,
    /// Where it stands.
    pub status: StatusName,
    /// Whether it may trade before the open and after the close.
    pub extended_hours: bool,
    /// Null: a plain order has no legs.
    pub legs: Option<AnyJson>,
    /// Null: no trailing stops.
    pub trail_percent: Option<Dec>,
    /// Null: no trailing stops.
    pub trail_price: Option<Dec>,
    /// Null: no trailing stops.
    pub hwm: Option<Dec>,
    /// What it is meant to do to the position.
    pub position_intent: Option<IntentName>,
    /// Null: for options only.
    pub ratio_qty: Option<Dec>,
    /// Null.
    pub subtag: Option<String>,
    /// Null.
    pub source: Option<String>,
    /// How far the sending got, while `status` is `pending_new`. Arbion's own.
    pub submission: Option<SubmissionObject>,
    /// `trigger` where a trigger made it, else null. Arbion's own.
    pub cause: Option<String>,
    /// The trigger that made it. Arbion's own.
    pub trigger_id: Option<String>,
}

/// How far the sending of an order got.
#[derive(Object)]
#[oai(rename = "Submission")]
pub struct SubmissionObject {
    /// `sending`, or `unconfirmed` while nobody knows whether the venue has it.
    pub state: SubmissionName,
    /// Since when.
    pub since: Option<Time>,
    /// How often the venue was called.
    pub attempts: Option<i32>,
    /// When it is looked up again.
    pub next_check: Option<Time>,
    /// Why it is `unconfirmed`, for people: the words may change.
    pub reason: Option<String>,
}

/// What is shown of an order beside its own row.
#[derive(Debug, Default)]
pub struct Beside {
    /// The triggers that made orders.
    pub exits: HashMap<OrderId, ExitCause>,
    /// The details of a sending, where they were read.
    pub submission: Option<SubmissionView>,
}

impl OrderView {
    /// `order` as clients see it, where equities keep `hours`.
    pub fn of(order: &Order, hours: MarketHours, beside: &Beside) -> Self {
        let (terms, facts) = (&order.terms, &order.facts);
        let closed_at = |wanted: How| {
            let closed = facts.closed.filter(|(how, _)| *how == wanted);
            closed.map(|(_, at)| Time(at))
        };
        let exit = beside.exits.get(&order.id);
        let kind = KindName(terms.kind.as_str());
        Self {
            id: order.id.to_string(),
            client_order_id: order.client_order_id.to_string(),
            created_at: Time(order.submitted_at),
            updated_at: Time(order.updated_at),
            submitted_at: Time(order.submitted_at),
            filled_at: closed_at(How::Filled),
            expired_at: closed_at(How::Expired),
            expires_at: expires_at(order, hours).map(Time),
            canceled_at: closed_at(How::Canceled),
            failed_at: closed_at(How::Rejected),
            replaced_at: closed_at(How::Replaced),
            replaced_by: facts.replaced_by.map(|id| id.to_string()),
            replaces: order.replaces.map(|id| id.to_string()),
            asset_id: order.asset_id.to_string(),
            symbol: order.symbol.clone(),
            asset_class: ClassName(order.asset_class.as_str()),
            notional: terms.amount.notional().map(|notional| Dec(notional.get())),
            qty: terms.amount.quantity().map(|quantity| Dec(quantity.get())),
            filled_qty: Dec(facts.filled_quantity),
            filled_avg_price: order.filled_average_price().map(Dec),
            order_class: String::new(),
            order_type: kind,
            kind,
            side: SideName(terms.side.as_str()),
            time_in_force: TimeInForceName(terms.time_in_force.as_str()),
            limit_price: terms.kind.limit_price().map(|price| Dec(price.get())),
            stop_price: None,
            status: StatusName(facts.status().as_str()),
            extended_hours: terms.extended_hours,
            legs: None,
            trail_percent: None,
            trail_price: None,
            hwm: None,
            position_intent: terms.position_intent.map(|intent| IntentName(intent.as_str())),
            ratio_qty: None,
            subtag: None,
            source: None,
            submission: submission(order, beside.submission.as_ref()),
            cause: exit.map(|_| "trigger".to_owned()),
            trigger_id: exit.map(|exit| exit.trigger_id.to_string()),
        }
    }

    /// The order as JSON, for answers that are put together by hand.
    pub fn json(&self) -> Value {
        self.to_json().unwrap_or_default()
    }

    /// The text of [`Self::json`], made without it.
    pub fn text(&self) -> String {
        // Strings under string keys in a buffer of our own: nothing here can fail.
        serde_json::to_string(self).unwrap_or_else(|_| self.json().to_string())
    }
}

fn expires_at(order: &Order, hours: MarketHours) -> Option<DateTime<Utc>> {
    let terms = &order.terms;
    match terms.time_in_force {
        TimeInForce::Day => order
            .asset_class
            .day_ends(order.submitted_at, terms.extended_hours, hours),
        TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => None,
    }
}

fn submission(order: &Order, view: Option<&SubmissionView>) -> Option<SubmissionObject> {
    if order.facts.status() != OrderStatus::PendingNew {
        return None;
    }
    let state = match order.facts.submission {
        Submission::Unsent => "unsent",
        Submission::Sending => "sending",
        Submission::Unconfirmed => "unconfirmed",
        Submission::Acknowledged => "acknowledged",
    };
    Some(SubmissionObject {
        state: SubmissionName(state),
        since: view.and_then(|view| view.since).map(Time),
        attempts: view.map(|view| view.attempts),
        next_check: view.and_then(|view| view.next_check).map(Time),
        reason: view.and_then(|view| view.reason.clone()),
    })
}
