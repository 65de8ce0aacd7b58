//! The body of `PATCH /v2/orders/{id}`.

use domain::id::{ClientOrderId, OrderId};
use domain::money::{Price, Quantity};
use domain::order::TimeInForce;
use poem_openapi::Object;
use store::orders::Replacement;

use super::request::read_client_order_id;
use crate::input::{Fields, LooseDec};
use crate::problem::{Code, Problem};
use crate::wire::TimeInForceName;

/// What a replacement changes; what is left out stays.
#[derive(Object)]
#[oai(rename = "ReplaceOrder")]
pub struct ReplaceOrderBody {
    /// Units that the new order shall trade; left out: what the old one still had to trade.
    pub qty: Option<LooseDec>,
    /// Another time in force.
    pub time_in_force: Option<TimeInForceName>,
    /// Another limit, in USD.
    pub limit_price: Option<LooseDec>,
    /// The caller's name for the new order.
    pub client_order_id: Option<String>,
}

/// Prices that only unsupported types of order use.
pub(crate) const UNUSED_PRICES: [&str; 2] = ["stop_price", "trail"];

/// Reads a replacement whose order shall be `new_id`.
pub(crate) fn read(fields: &mut Fields, new_id: OrderId) -> Result<Replacement, Problem> {
    let quantity = fields.amount("qty", Quantity::new);
    let limit_price = fields.amount("limit_price", Price::new);
    let time_in_force: Option<TimeInForce> =
        fields.parsed("time_in_force", Code::InvalidTimeInForce, "invalid time_in_force");
    let client_order_id = read_client_order_id(fields);
    for name in UNUSED_PRICES {
        if fields.has(name) {
            let detail = format!("{name} is not used by market and limit orders");
            fields.refuse(Code::PriceNotUsed, name, detail);
        }
    }
    fields.finish()?;
    Ok(Replacement {
        new_id,
        client_order_id: client_order_id.unwrap_or_else(|| ClientOrderId::from(new_id)),
        quantity,
        limit_price,
        time_in_force,
    })
}
