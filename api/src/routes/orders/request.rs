//! The body of `POST /v2/orders`, read liberally and checked strictly: Alpaca's contract ignores fields that nobody
//! knows, and refuses one that is known and contradicts the order.

use domain::asset::Asset;
use domain::id::ClientOrderId;
use domain::money::{Notional, Price, Quantity};
use domain::order::{Amount, OrderKind, OrderTerms, PositionIntent, Side, TimeInForce};
use poem_openapi::Object;

use crate::catalogue::Catalogue;
use crate::input::{Fields, LooseDec, shown};
use crate::problem::{Code, Problem};
use crate::wire::{IntentName, KindName, SideName, TimeInForceName};

/// An order to place.
#[derive(Object)]
#[oai(rename = "PlaceOrder")]
pub struct PlaceOrderBody {
    /// The instrument: `AAPL`, `BTC/USD`, `BTCUSD`, `AAPL:NASDAQ`, or the asset's id.
    pub symbol: String,
    /// Units to trade; exactly one of `qty` and `notional`. At most 9 decimals.
    pub qty: Option<LooseDec>,
    /// Money to trade for, in USD; market orders only. At most 2 decimals.
    pub notional: Option<LooseDec>,
    /// Buy or sell.
    pub side: SideName,
    /// Market or limit. Stop orders: see POST /v2/triggers.
    #[oai(rename = "type")]
    pub kind: KindName,
    /// How long it stays alive; crypto takes gtc and ioc.
    pub time_in_force: TimeInForceName,
    /// The worst acceptable price, in USD; limit orders only.
    pub limit_price: Option<LooseDec>,
    /// Whether it may trade before the open and after the close; limit orders with day or gtc only.
    pub extended_hours: Option<bool>,
    /// The caller's name for the order: at most 128 characters, unique per account for ever.
    pub client_order_id: Option<String>,
    /// `""` or `simple`.
    pub order_class: Option<String>,
    /// What it is meant to do to the position; must fit the side.
    pub position_intent: Option<IntentName>,
}

/// An order as its caller wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedOrder {
    /// The instrument.
    pub asset: Asset,
    /// What it says.
    pub terms: OrderTerms,
    /// The caller's name for it, where they chose one.
    pub client_order_id: Option<ClientOrderId>,
}

/// Prices and fields that only unsupported types of order use.
const UNUSED_PRICES: [&str; 3] = ["stop_price", "trail_price", "trail_percent"];

/// Legs, which only unsupported classes of orders have.
const LEGS: [&str; 2] = ["take_profit", "stop_loss"];

/// Members that are read only to be refused.
#[cfg(test)]
pub(crate) const REFUSED_WHEN_PLACING: [&str; 5] = [
    UNUSED_PRICES[0],
    UNUSED_PRICES[1],
    UNUSED_PRICES[2],
    LEGS[0],
    LEGS[1],
];

/// Reads an order from the members of its body. All faults of shape are told together; then the symbol, then the terms.
pub fn read(fields: &mut Fields, catalogue: &Catalogue) -> Result<WantedOrder, Problem> {
    let symbol = fields.text("symbol");
    if symbol.as_ref().is_none_or(String::is_empty) && !fields.has_fault_at("symbol") {
        fields.refuse(Code::InvalidRequest, "symbol", "symbol is required");
    }
    let amount = read_amount(fields);
    let side = required::<Side>(fields, "side", Code::InvalidSide, "invalid side");
    let kind = read_kind(fields);
    let time_in_force = read_time_in_force(fields);
    let extended_hours = fields.boolean("extended_hours").unwrap_or(false);
    let position_intent: Option<PositionIntent> = fields.parsed(
        "position_intent",
        Code::InvalidPositionIntent,
        "invalid position_intent",
    );
    refuse_classes(fields);
    let client_order_id = read_client_order_id(fields);
    fields.finish()?;
    let (Some(symbol), Some(amount), Some(side), Some(kind), Some(time_in_force)) =
        (symbol, amount, side, kind, time_in_force)
    else {
        // Each reader that answers nothing has noted why.
        return Err(Problem::new(Code::InvalidRequest, "the order is incomplete"));
    };
    let asset = find_asset(catalogue, &symbol)?;
    let terms = OrderTerms {
        side,
        amount,
        kind,
        time_in_force,
        extended_hours,
        position_intent,
    };
    terms.check(asset)?;
    Ok(WantedOrder {
        asset: asset.clone(),
        terms,
        client_order_id,
    })
}

/// The instrument that a body's `symbol` names.
pub fn find_asset<'a>(catalogue: &'a Catalogue, symbol: &str) -> Result<&'a Asset, Problem> {
    catalogue.find(symbol).ok_or_else(|| {
        let detail = format!("asset {} not found", shown(symbol));
        Problem::new(Code::UnknownSymbol, detail).at_field("symbol")
    })
}

fn required<T: std::str::FromStr>(
    fields: &mut Fields,
    name: &'static str,
    code: Code,
    wording: &str,
) -> Option<T> {
    let value = fields.parsed(name, code, wording);
    if value.is_none() && !fields.has_fault_at(name) {
        fields.refuse(code, name, format!("{wording}: {name} is required"));
    }
    value
}

fn read_amount(fields: &mut Fields) -> Option<Amount> {
    let faults_before = fields.fault_count();
    let quantity = fields.amount("qty", Quantity::new);
    let notional = fields.amount("notional", Notional::new);
    if fields.fault_count() > faults_before {
        return None;
    }
    match (quantity, notional) {
        (Some(quantity), None) => Some(Amount::Quantity(quantity)),
        (None, Some(notional)) => Some(Amount::Notional(notional)),
        (None, None) => {
            fields.refuse(Code::AmountRequired, "qty", "qty or notional is required");
            None
        }
        (Some(_), Some(_)) => {
            fields.refuse(
                Code::AmountAmbiguous,
                "notional",
                "only one of qty or notional is accepted",
            );
            None
        }
    }
}

fn read_kind(fields: &mut Fields) -> Option<OrderKind> {
    let kind = fields.text("type");
    let limit_price = fields.amount("limit_price", Price::new);
    let kind = match kind.as_deref() {
        Some("market") => "market",
        Some("limit") => "limit",
        Some(kind @ ("stop" | "stop_limit" | "trailing_stop")) => {
            let detail = format!(
                "invalid order type: {kind} orders are not supported yet; protect a position with POST /v2/triggers"
            );
            fields.refuse(Code::UnsupportedOrderType, "type", detail);
            return None;
        }
        Some(other) => {
            fields.refuse(
                Code::InvalidOrderType,
                "type",
                format!("invalid order type: {}", shown(other)),
            );
            return None;
        }
        None => {
            fields.refuse(
                Code::InvalidOrderType,
                "type",
                "invalid order type: type is required",
            );
            return None;
        }
    };
    for name in UNUSED_PRICES {
        if fields.has(name) {
            fields.refuse(
                Code::PriceNotUsed,
                name,
                format!("{name} is not used by {kind} orders"),
            );
        }
    }
    match (kind, limit_price) {
        ("limit", Some(limit_price)) => Some(OrderKind::Limit { limit_price }),
        ("limit", None) => {
            if !fields.has_fault_at("limit_price") {
                fields.refuse(
                    Code::LimitPriceRequired,
                    "limit_price",
                    "limit orders require a limit price",
                );
            }
            None
        }
        (_, Some(_)) => {
            fields.refuse(
                Code::PriceNotUsed,
                "limit_price",
                "limit_price is not used by market orders",
            );
            None
        }
        (_, None) => Some(OrderKind::Market),
    }
}

fn read_time_in_force(fields: &mut Fields) -> Option<TimeInForce> {
    required(
        fields,
        "time_in_force",
        Code::InvalidTimeInForce,
        "invalid time_in_force",
    )
}

/// Refuses what would make the order more than a plain one.
fn refuse_classes(fields: &mut Fields) {
    let class = fields
        .text("order_class")
        .filter(|class| !class.is_empty() && class != "simple");
    if let Some(class) = class {
        let detail = format!(
            "order_class {} is not supported yet: see POST /v2/triggers",
            shown(class)
        );
        fields.refuse(Code::UnsupportedOrderClass, "order_class", detail);
        return;
    }
    for leg in LEGS {
        if fields.has(leg) {
            let detail =
                format!("{leg} needs an order_class, and none is supported yet: see POST /v2/triggers");
            fields.refuse(Code::UnsupportedOrderClass, leg, detail);
        }
    }
}

/// The caller's name for an order; an empty one counts as absent.
pub(super) fn read_client_order_id(fields: &mut Fields) -> Option<ClientOrderId> {
    let text = fields.text("client_order_id").filter(|text| !text.is_empty())?;
    match ClientOrderId::new(text) {
        Ok(id) => Some(id),
        Err(error) => {
            let detail = format!("client_order_id {error}");
            fields.refuse(Code::InvalidClientOrderId, "client_order_id", detail);
            None
        }
    }
}
