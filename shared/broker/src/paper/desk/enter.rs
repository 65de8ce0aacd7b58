//! What clients ask for: orders, cancels, replacements.

use domain::fill_model::{self, Terms};
use domain::id::{AssetId, ConnectionId, OrderId};
use domain::money;
use domain::order::{Amount, OrderKind, Side, TimeInForce};
use domain::reconcile::Reported;
use rust_decimal::{Decimal, RoundingStrategy};

use super::super::error::BookError;
use super::super::hours::{Phase, expires_at, works_from};
use super::super::rows::{Ended, OrderRow};
use super::Desk;
use crate::{Outcome, OutgoingOrder};

/// The venue's words for an order that it never got.
const UNKNOWN_ORDER: &str = "unknown order";

impl Desk<'_> {
    /// Takes an order, or answers what became of the same one before.
    pub(in super::super) fn submit(
        &mut self,
        connection_id: ConnectionId,
        order: &OutgoingOrder,
    ) -> Result<Outcome, BookError> {
        if let Some(known) = self.orders.get(&order.id) {
            return Ok(if known.connection_id == connection_id {
                known.outcome()
            } else {
                refused("client order id must be unique")
            });
        }
        let row = self.row(connection_id, order, None)?;
        let refusal = match order.terms.check(self.asset(order.asset_id)?) {
            Ok(()) => self.cover(&row, Decimal::ZERO)?,
            Err(error) => Some(error.to_string()),
        };
        self.enter(row, refusal)
    }

    /// Asks for the end of an order.
    pub(in super::super) fn cancel(
        &mut self,
        connection_id: ConnectionId,
        id: OrderId,
    ) -> Result<Outcome, BookError> {
        let Some(order) = self.own(connection_id, id) else {
            return Ok(refused(UNKNOWN_ORDER));
        };
        let asked = Outcome::Acknowledged {
            broker_order_id: Some(order.broker_order_id()),
            is_working: order.is_working,
        };
        match order.ended {
            None => self.end(id, Ended::Canceled, None)?,
            // The same wish again.
            Some(Ended::Canceled) => {}
            Some(ended) => {
                let reason = format!("order is already {}", ended.as_str());
                self.tell(
                    id,
                    connection_id,
                    Reported::CancelRefused {
                        reason: reason.clone(),
                    },
                )?;
                return Ok(refused(&reason));
            }
        }
        Ok(asked)
    }

    /// Puts `new` in the place of `old`, or answers what became of the same wish before.
    pub(in super::super) fn replace(
        &mut self,
        connection_id: ConnectionId,
        old: OrderId,
        new: &OutgoingOrder,
    ) -> Result<Outcome, BookError> {
        if self.orders.contains_key(&new.id) {
            return self.submit(connection_id, new);
        }
        let row = self.row(connection_id, new, Some(old))?;
        let Some(replaced) = self.own(connection_id, old) else {
            return self.enter(row, Some(UNKNOWN_ORDER.to_owned()));
        };
        let (ended, is_same, frees) = (
            replaced.ended,
            replaced.asset_id == new.asset_id && replaced.side == row.side,
            replaced.held,
        );
        let refusal = match (ended, new.terms.check(self.asset(new.asset_id)?)) {
            (Some(ended), _) => Some(format!("order is already {}", ended.as_str())),
            (None, Err(error)) => Some(error.to_string()),
            (None, Ok(())) if !is_same => Some("a replacement keeps the asset and the side".to_owned()),
            (None, Ok(())) => self.cover(&row, frees)?,
        };
        match &refusal {
            Some(reason) => {
                let reason = reason.clone();
                self.tell(old, connection_id, Reported::ReplaceRefused { reason })?;
            }
            None => self.end(old, Ended::Replaced, None)?,
        }
        self.enter(row, refusal)
    }

    fn own(&self, connection_id: ConnectionId, id: OrderId) -> Option<&OrderRow> {
        self.orders
            .get(&id)
            .filter(|order| order.connection_id == connection_id)
    }

    fn row(
        &self,
        connection_id: ConnectionId,
        order: &OutgoingOrder,
        replaces: Option<OrderId>,
    ) -> Result<OrderRow, BookError> {
        let (terms, hours, now) = (&order.terms, self.rules.hours, self.now);
        let class = self.asset(order.asset_id)?.class;
        let expires_at = expires_at(terms.time_in_force, class, terms.extended_hours, now, hours);
        let works_from = works_from(class, terms.extended_hours, now, hours);
        let is_working = works_from <= now;
        Ok(OrderRow {
            id: order.id,
            connection_id,
            asset_id: order.asset_id,
            replaces,
            side: terms.side,
            kind: terms.kind,
            time_in_force: terms.time_in_force,
            amount: terms.amount,
            extended_hours: terms.extended_hours,
            entered_at: now,
            expires_at,
            due_at: if is_working {
                expires_at
            } else {
                works_from.min(expires_at)
            },
            is_working,
            filled_quantity: Decimal::ZERO,
            filled_cost: Decimal::ZERO,
            fills: 0,
            held: Decimal::ZERO,
            ended: None,
            reason: None,
            closed_at: None,
        })
    }

    /// Writes an order down and lets it meet the last quote, unless it is refused.
    fn enter(&mut self, row: OrderRow, refusal: Option<String>) -> Result<Outcome, BookError> {
        let (id, connection_id, is_working) = (row.id, row.connection_id, row.is_working);
        let has_one_try = matches!(row.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        let asset_id = row.asset_id;
        let need = match refusal {
            Some(_) => Decimal::ZERO,
            None => self.need(&row)?,
        };
        self.changed.new_orders.insert(id);
        self.orders.insert(id, row);
        if let Some(reason) = refusal {
            self.end(id, Ended::Refused, Some(&reason))?;
            return Ok(refused(&reason));
        }
        self.tell(id, connection_id, Reported::Acknowledged { is_working })?;
        self.hold(id, need)?;
        // Whoever rests has met the quote before, or waits for the next one: a newcomer takes nothing from them.
        if is_working && self.is_matched_now(asset_id) {
            self.fill(id)?;
        }
        if has_one_try && self.order(id)?.is_open() {
            self.end(id, Ended::Canceled, None)?;
        }
        Ok(self.order(id)?.outcome())
    }

    /// Why the account does not cover an order, if the order that it replaces `frees` so much.
    fn cover(&self, row: &OrderRow, frees: Decimal) -> Result<Option<String>, BookError> {
        let need = self.need(row)?;
        let (available, unit) = match row.side {
            Side::Buy => {
                let account = self.account(row.connection_id)?;
                (account.cash - account.held + frees, money::USD)
            }
            Side::Sell => {
                let position = self.position(row.connection_id, row.asset_id);
                (position.quantity - position.held + frees, "units")
            }
        };
        let available = available.normalize();
        Ok(if need > available || available <= Decimal::ZERO {
            let what = match row.side {
                Side::Buy => "insufficient buying power",
                Side::Sell => "insufficient quantity",
            };
            Some(format!("{what}: {need} {unit} needed, {available} available"))
        } else {
            None
        })
    }

    /// What an order must hold for what is still to fill: money for a buy, fee included; units for a sell.
    ///
    /// A market order is reckoned at the last quote, however old; without one nobody knows, and its fill decides.
    pub(super) fn need(&self, row: &OrderRow) -> Result<Decimal, BookError> {
        let Some(remaining) = row.remaining() else {
            return Ok(Decimal::ZERO);
        };
        let asset = self.asset(row.asset_id)?;
        let step = self
            .assets
            .get(&row.asset_id)
            .and_then(|row| row.quoted.as_ref())
            .map(|quoted| quoted.step);
        let terms = self.rules.terms(
            asset,
            step.map_or(Decimal::ONE, |step| step.price(row.side).get()),
        );
        let price = match row.kind {
            OrderKind::Limit { limit_price } => Some(limit_price),
            OrderKind::Market => step.and_then(|step| fill_model::market_price(row.side, &step, &terms)),
        };
        let price = price.map(money::Price::get);
        Ok(match (row.side, remaining) {
            (Side::Buy, Amount::Quantity(quantity)) => price.map_or(Decimal::ZERO, |price| {
                price
                    .checked_mul(quantity.get())
                    .map_or(Decimal::MAX, |cost| with_fee(money::round(cost), &terms))
            }),
            (Side::Buy, Amount::Notional(notional)) => with_fee(notional.get(), &terms),
            (Side::Sell, Amount::Quantity(quantity)) => quantity.get(),
            (Side::Sell, Amount::Notional(notional)) => price
                .and_then(|price| notional.get().checked_div(price))
                .map_or(Decimal::ZERO, |units| {
                    units.round_dp_with_strategy(money::SCALE, RoundingStrategy::AwayFromZero)
                }),
        })
    }

    /// Whether resting orders have met the last quote, and it may fill an order that comes now.
    fn is_matched_now(&self, asset_id: AssetId) -> bool {
        let Some(quoted) = self.assets.get(&asset_id).and_then(|row| row.quoted.as_ref()) else {
            return false;
        };
        let Some(asset) = self.rules.assets.get(&asset_id) else {
            return false;
        };
        let phase = Phase::of(asset.class, self.now, self.rules.hours);
        phase > Phase::Closed && phase <= quoted.matched_in && self.is_trusted(quoted, phase)
    }
}

fn with_fee(cost: Decimal, terms: &Terms) -> Decimal {
    fill_model::fee(cost, terms.fee_basis_points)
        .and_then(|fee| cost.checked_add(fee))
        .unwrap_or(Decimal::MAX)
}

fn refused(reason: &str) -> Outcome {
    Outcome::Refused {
        reason: reason.to_owned(),
    }
}
