//! The broker's JSON, and what it means to us.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::fill::Fill;
use domain::id::{AssetId, BrokerOrderId, OrderId};
use domain::money::{Notional, Price, Quantity};
use domain::order::{Amount, OrderTerms};
use domain::reconcile::{Report, Reported, VenueOrder};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{OutgoingOrder, VenuePosition};

/// Why an answer means nothing to us.
#[derive(Debug, Error)]
pub(super) enum Unreadable {
    /// No such JSON.
    #[error("the answer has another form: {0}")]
    Form(#[from] serde_json::Error),
    /// A report of a kind that we do not know, or without what its kind needs.
    #[error("report {seq} of kind {kind:?} makes no sense")]
    Report {
        /// Its number.
        seq: u64,
        /// Its kind.
        kind: String,
    },
    /// No id of an instrument of ours.
    #[error("{0:?} is no instrument of ours")]
    Asset(String),
    /// A number beyond what can be added.
    #[error("a number is too large")]
    TooLarge,
}

/// An order as the broker shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Order {
    pub(super) id: String,
    symbol: String,
    side: String,
    #[serde(rename = "type")]
    kind: String,
    qty: Option<Decimal>,
    notional: Option<Decimal>,
    limit_price: Option<Decimal>,
    time_in_force: String,
    status: String,
    reason: Option<String>,
}

/// Orders of a time.
#[derive(Debug, Deserialize)]
pub(super) struct Orders {
    pub(super) orders: Vec<Order>,
}

/// Reports behind a number.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) reports: Vec<Told>,
    pub(super) cursor: u64,
}

/// One report.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Told {
    pub(super) seq: u64,
    pub(super) order_id: String,
    client_order_id: Option<String>,
    at_ms: i64,
    kind: String,
    fill_id: Option<String>,
    quantity: Option<Decimal>,
    price: Option<Decimal>,
    fee: Option<Decimal>,
    done: Option<bool>,
    reason: Option<String>,
}

/// Units by instrument.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Positions {
    by_asset: BTreeMap<String, Decimal>,
}

/// What the fills of an account moved, in quote currency.
#[derive(Debug, Deserialize)]
pub(super) struct Money {
    pub(super) moved: Decimal,
}

/// JSON of a known form.
pub(super) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    Ok(serde_json::from_slice(body)?)
}

/// The order as it leaves, with our id where it travels.
pub(super) fn new_order(order: &OutgoingOrder, with_id: bool) -> Value {
    let terms = &order.terms;
    let mut body = json!({
        "asset_id": order.asset_id,
        "symbol": order.symbol,
        "side": terms.side,
        "type": terms.kind.as_str(),
        "time_in_force": terms.time_in_force,
    });
    match terms.amount {
        Amount::Quantity(quantity) => body["qty"] = json!(quantity.get()),
        Amount::Notional(notional) => body["notional"] = json!(notional.get()),
    }
    if let Some(price) = terms.kind.limit_price() {
        body["limit_price"] = json!(price.get());
    }
    if with_id {
        body["client_order_id"] = json!(order.id);
    }
    body
}

impl Order {
    /// What finding it says.
    pub(super) fn found(&self) -> VenueOrder {
        let reason = self.reason.clone().unwrap_or_else(|| self.status.clone());
        VenueOrder {
            broker_order_id: BrokerOrderId(self.id.clone()),
            is_working: true,
            refused: (self.status == "rejected").then_some(reason),
        }
    }

    /// Whether it could be ours by what it says.
    pub(super) fn says(&self, symbol: &str, terms: &OrderTerms) -> bool {
        self.symbol == symbol
            && self.side == terms.side.as_str()
            && self.kind == terms.kind.as_str()
            && self.qty == terms.amount.quantity().map(Quantity::get)
            && self.notional == terms.amount.notional().map(Notional::get)
            && self.limit_price == terms.kind.limit_price().map(Price::get)
            && self.time_in_force == terms.time_in_force.as_str()
    }
}

impl Told {
    /// Our id, where it travelled.
    pub(super) fn our_id(&self) -> Option<OrderId> {
        self.client_order_id.as_deref()?.parse().ok()
    }

    /// What it says about our `order`.
    pub(super) fn report(self, order: OrderId) -> Result<Report, Unreadable> {
        let broker_order_id = Some(BrokerOrderId(self.order_id.clone()));
        let (seq, kind) = (self.seq, self.kind.clone());
        let senseless = || Unreadable::Report { seq, kind };
        let at = DateTime::from_timestamp_millis(self.at_ms);
        let (Some(at), Some(what)) = (at, at.and_then(|at| self.what(at))) else {
            return Err(senseless());
        };
        Ok(Report {
            order_id: order,
            broker_order_id,
            at,
            what,
        })
    }

    fn what(self, at: DateTime<Utc>) -> Option<Reported> {
        let reason = self.reason;
        Some(match self.kind.as_str() {
            "acknowledged" => Reported::Acknowledged { is_working: true },
            "filled" => Reported::Filled(Fill {
                broker_fill_id: self.fill_id?,
                quantity: Quantity::new(self.quantity?).ok()?,
                price: Price::new(self.price?).ok()?,
                fee: self.fee?,
                at,
                venue_done: self.done,
            }),
            "canceled" => Reported::Canceled,
            "refused" => Reported::Refused { reason: reason? },
            "replaced" => Reported::Replaced,
            _ => return None,
        })
    }
}

impl Positions {
    /// What is owned.
    pub(super) fn positions(self) -> Result<Vec<VenuePosition>, Unreadable> {
        let held = self.by_asset.into_iter().filter(|(_, units)| !units.is_zero());
        held.map(|(asset, quantity)| match asset.parse::<AssetId>() {
            Ok(asset_id) => Ok(VenuePosition { asset_id, quantity }),
            Err(_) => Err(Unreadable::Asset(asset)),
        })
        .collect()
    }
}
