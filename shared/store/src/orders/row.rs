//! Between the domain's orders and triggers and their rows.

use domain::id::{BrokerOrderId, ClientOrderId, GroupId, OrderId, TriggerId};
use domain::lifecycle::{Facts, How, Submission};
use domain::money::{Notional, Price, Quantity};
use domain::order::{Amount, HeldBy, Order, OrderKind, OrderTerms};
use domain::trigger::{Direction, Reference, Trigger, TriggerState};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::entity::{orders, triggers};
use crate::error::StoreError;
use crate::money::{Money, Rate};

/// The row of `order`.
pub(crate) fn order_row(order: &Order) -> orders::Model {
    let facts = &order.facts;
    let terms = &order.terms;
    orders::Model {
        id: order.id.0,
        user_id: order.user_id.0,
        account_id: order.account_id.0,
        group_id: order.group_id.0,
        client_order_id: order.client_order_id.as_str().to_owned(),
        asset_id: order.asset_id.0,
        symbol: order.symbol.clone(),
        asset_class: order.asset_class.as_str().to_owned(),
        side: terms.side.as_str().to_owned(),
        kind: terms.kind.as_str().to_owned(),
        quantity: terms.amount.quantity().map(|quantity| Money(quantity.get())),
        notional: terms.amount.notional().map(|notional| Money(notional.get())),
        limit_price: terms.kind.limit_price().map(|price| Money(price.get())),
        time_in_force: terms.time_in_force.as_str().to_owned(),
        extended_hours: terms.extended_hours,
        position_intent: terms.position_intent.map(|intent| intent.as_str().to_owned()),
        reserve_rate: Rate(order.reserve_rate),
        exposure_rate: Rate(order.exposure_rate),
        trading_date: order.trading_date,
        replaces: order.replaces.map(Uuid::from),
        submitted_at: order.submitted_at,
        updated_at: order.updated_at,
        broker_order_id: order.broker_order_id.as_ref().map(|id| id.0.clone()),
        submission: facts.submission.as_str().to_owned(),
        is_working: facts.is_working,
        held_by_trigger: facts.held_by.map(|HeldBy::Trigger(id)| id.0),
        cancel_requested_at: facts.cancel_requested_at,
        replaced_by: facts.replaced_by.map(Uuid::from),
        filled_quantity: Money(facts.filled_quantity),
        filled_cost: Money(facts.filled_cost),
        closed_at: facts.closed.map(|(_, at)| at),
        closed_how: facts.closed.map(|(how, _)| how.as_str().to_owned()),
        reject_reason: facts.reject_reason.clone(),
    }
}

/// Reads one column of a row; what the domain refuses makes the row inconsistent.
struct Row {
    table: &'static str,
    id: Uuid,
}

impl Row {
    fn inconsistent(&self) -> StoreError {
        StoreError::Inconsistent {
            table: self.table,
            id: self.id.to_string(),
        }
    }

    fn text<T: std::str::FromStr>(&self, text: &str) -> Result<T, StoreError> {
        text.parse().map_err(|_| self.inconsistent())
    }

    fn named<T: Copy>(&self, all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, StoreError> {
        all.iter()
            .copied()
            .find(|value| name(*value) == text)
            .ok_or_else(|| self.inconsistent())
    }

    fn amount<T: TryFrom<Decimal>>(&self, value: Option<Money>) -> Result<Option<T>, StoreError> {
        value
            .map(|Money(value)| T::try_from(value).map_err(|_| self.inconsistent()))
            .transpose()
    }
}

/// The order of `row`.
pub(crate) fn order_of(row: orders::Model) -> Result<Order, StoreError> {
    let check = Row {
        table: "orders",
        id: row.id,
    };
    let amount = match (
        check.amount::<Quantity>(row.quantity)?,
        check.amount::<Notional>(row.notional)?,
    ) {
        (Some(quantity), None) => Amount::Quantity(quantity),
        (None, Some(notional)) => Amount::Notional(notional),
        (Some(_), Some(_)) | (None, None) => return Err(check.inconsistent()),
    };
    let kind = match check.amount::<Price>(row.limit_price)? {
        Some(limit_price) => OrderKind::Limit { limit_price },
        None => OrderKind::Market,
    };
    if kind.as_str() != row.kind {
        return Err(check.inconsistent());
    }
    let closed = match (row.closed_how.as_deref(), row.closed_at) {
        (Some(how), Some(at)) => Some((check.named(&How::ALL, How::as_str, how)?, at)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(check.inconsistent()),
    };
    let facts = Facts {
        submission: check.named(&Submission::ALL, Submission::as_str, &row.submission)?,
        is_working: row.is_working,
        held_by: row.held_by_trigger.map(|id| HeldBy::Trigger(TriggerId(id))),
        cancel_requested_at: row.cancel_requested_at,
        replaced_by: row.replaced_by.map(OrderId),
        filled_quantity: row.filled_quantity.0,
        filled_cost: row.filled_cost.0,
        closed,
        reject_reason: row.reject_reason,
    };
    Ok(Order {
        id: OrderId(row.id),
        user_id: row.user_id.into(),
        account_id: row.account_id.into(),
        group_id: GroupId(row.group_id),
        client_order_id: ClientOrderId::new(row.client_order_id).map_err(|_| check.inconsistent())?,
        asset_id: row.asset_id.into(),
        symbol: row.symbol,
        asset_class: check.text(&row.asset_class)?,
        terms: OrderTerms {
            side: check.text(&row.side)?,
            amount,
            kind,
            time_in_force: check.text(&row.time_in_force)?,
            extended_hours: row.extended_hours,
            position_intent: row
                .position_intent
                .as_deref()
                .map(|intent| check.text(intent))
                .transpose()?,
        },
        reserve_rate: row.reserve_rate.0,
        exposure_rate: row.exposure_rate.0,
        trading_date: row.trading_date,
        replaces: row.replaces.map(OrderId),
        submitted_at: row.submitted_at,
        updated_at: row.updated_at,
        broker_order_id: row.broker_order_id.map(BrokerOrderId),
        facts,
    })
}

/// The row of `trigger`.
pub(crate) fn trigger_row(trigger: &Trigger) -> triggers::Model {
    triggers::Model {
        id: trigger.id.0,
        user_id: trigger.user_id.0,
        account_id: trigger.account_id.0,
        asset_id: trigger.asset_id.0,
        symbol: trigger.symbol.clone(),
        asset_class: trigger.asset_class.as_str().to_owned(),
        direction: trigger.direction.as_str().to_owned(),
        reference: trigger.reference.as_str().to_owned(),
        stop_price: Money(trigger.stop_price.get()),
        price_key: domain::trigger::PriceKey::exact(trigger.stop_price).0,
        quantity: trigger.quantity.map(|quantity| Money(quantity.get())),
        state: trigger.state.as_str().to_owned(),
        generation: trigger.generation,
        exit_order_id: trigger.exit_order_id.map(Uuid::from),
        fired_price: trigger.fired_price.map(Money),
        created_at: trigger.created_at,
        updated_at: trigger.updated_at,
        fired_at: trigger.fired_at,
        ended_because: trigger.ended_because.clone(),
    }
}

/// The trigger of `row`.
pub(crate) fn trigger_of(row: triggers::Model) -> Result<Trigger, StoreError> {
    let check = Row {
        table: "triggers",
        id: row.id,
    };
    Ok(Trigger {
        id: TriggerId(row.id),
        user_id: row.user_id.into(),
        account_id: row.account_id.into(),
        asset_id: row.asset_id.into(),
        symbol: row.symbol,
        asset_class: check.text(&row.asset_class)?,
        direction: check.named(&Direction::ALL, Direction::as_str, &row.direction)?,
        reference: check.named(&Reference::ALL, Reference::as_str, &row.reference)?,
        stop_price: Price::new(row.stop_price.0).map_err(|_| check.inconsistent())?,
        quantity: check.amount(row.quantity)?,
        state: check.named(&TriggerState::ALL, TriggerState::as_str, &row.state)?,
        generation: row.generation,
        exit_order_id: row.exit_order_id.map(OrderId),
        fired_price: row.fired_price.map(|price| price.0),
        created_at: row.created_at,
        updated_at: row.updated_at,
        fired_at: row.fired_at,
        ended_because: row.ended_because,
    })
}
