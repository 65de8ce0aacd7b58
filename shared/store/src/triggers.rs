//! Price triggers: making, listing, cancelling and firing them.
//!
//! 1. Candidates come from the index on (asset, reference, direction, price key): a sweep reads what is through, never
//!    the others.
//! 2. Firing is one transaction: `armed → firing` by compare-and-set, the exit order through the same acceptance as
//!    every order, unique on (trigger, generation), and the end of the sells that hold the quantity.
//! 3. When an exit ends, its trigger ends with it, or is armed again for what is left to protect.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::asset::{Asset, AssetClass, MarketHours};
use domain::id::{AccountId, AssetId, ClientOrderId, OrderId, TriggerId, UserId};
use domain::lifecycle::How;
use domain::money::{Price, Quantity};
use domain::order::{Amount, HeldBy, NewOrder, Order, OrderKind, OrderTerms, Side, TimeInForce};
use domain::quote::Quote;
use domain::trigger::{Direction, PriceKey, Reference, Trigger, TriggerError, TriggerState};
use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, ExprTrait, LockType};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::entity::{trigger_exits, triggers};
use crate::error::StoreError;
use crate::ledger::{Fees, Ledger};
use crate::orders::accept::{AcceptContext, RoleLimits, SavedAnswer, review};
use crate::orders::cancel::{CancelAnswer, ask};
use crate::orders::row::{trigger_of, trigger_row};

/// A trigger that shall be made.
#[derive(Debug, Clone)]
pub struct NewTrigger {
    /// Its id.
    pub id: TriggerId,
    /// Whose position it protects.
    pub user_id: UserId,
    /// Where the position is.
    pub account_id: AccountId,
    /// The instrument.
    pub asset: Asset,
    /// Which way the price has to go.
    pub direction: Direction,
    /// Which price is compared.
    pub reference: Reference,
    /// The price at which it fires, in quote currency.
    pub stop_price: Price,
    /// How much it sells; `None` is the whole position.
    pub quantity: Option<Quantity>,
}

/// What taking a trigger back came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerCancel {
    /// It no longer watches.
    Canceled(Trigger),
    /// No such trigger in this account.
    NotFound,
    /// It has fired or ended.
    NotArmed(Trigger),
}

/// A trigger whose price is through.
#[derive(Debug, Clone)]
pub struct Firing {
    /// As it was read.
    pub trigger: Trigger,
    /// The reference price, in quote currency.
    pub price: Decimal,
    /// The time of the quote.
    pub quote_at: DateTime<Utc>,
    /// The id of the exit.
    pub exit_order_id: OrderId,
}

/// A trigger that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Which one.
    pub trigger_id: TriggerId,
    /// The order that sells.
    pub exit: Order,
    /// Sells that held the quantity and are asked to end.
    pub canceled_sells: Vec<OrderId>,
}

/// A trigger that was armed again waits this long at the most before it fires again.
const REARM_PAUSE_MAX: TimeDelta = TimeDelta::minutes(5);

/// The pause of a trigger that has been armed `generation` times: none at first, then 2 s doubling.
fn pause_of(generation: i32) -> TimeDelta {
    match u32::try_from(generation - 1) {
        Ok(0) | Err(_) => TimeDelta::zero(),
        Ok(again) => TimeDelta::seconds(1_i64 << Ord::min(again, 20)).min(REARM_PAUSE_MAX),
    }
}

impl Store {
    /// Protects a position. `quote` is the latest one: a trigger that would fire at once is refused.
    pub async fn create_trigger(
        &self,
        new: NewTrigger,
        quote: Option<&Quote>,
        now: DateTime<Utc>,
    ) -> Result<Result<Trigger, TriggerError>, StoreError> {
        self.transaction("create_trigger", async |tx| {
            let tx = &*tx;
            let mut scope = Scope::default();
            scope.add_position(new.user_id, new.account_id, new.asset.id);
            let ledger = book::open(tx, &scope, now).await?;
            let owned = ledger.position(new.account_id, new.asset.id).quantity;
            if let Err(error) = check(&new, owned, quote) {
                return Ok(Err(error));
            }
            let protecting = triggers::Entity::find()
                .filter(triggers::Column::AccountId.eq(new.account_id.0))
                .filter(triggers::Column::AssetId.eq(new.asset.id.0))
                .filter(triggers::Column::Direction.eq(new.direction.as_str()))
                .filter(
                    triggers::Column::State
                        .is_in([TriggerState::Armed.as_str(), TriggerState::Firing.as_str()]),
                )
                .order_by_asc(triggers::Column::Id)
                .all(tx)
                .await?;
            if let Some(error) = overlap(&new, owned, &protecting) {
                return Ok(Err(error));
            }
            let trigger = armed(&new, now);
            triggers::Entity::insert(trigger_row(&trigger).into_active_model())
                .exec_without_returning(tx)
                .await?;
            Ok(Ok(trigger))
        })
        .await
    }

    /// A trigger of `account`.
    pub async fn trigger(&self, account: AccountId, id: TriggerId) -> Result<Option<Trigger>, StoreError> {
        let row = triggers::Entity::find_by_id(id.0)
            .filter(triggers::Column::AccountId.eq(account.0))
            .one(self.read())
            .await?;
        row.map(trigger_of).transpose()
    }

    /// Triggers of `account`, the newest first, after the one named.
    pub async fn triggers(
        &self,
        account: AccountId,
        state: Option<TriggerState>,
        after: Option<TriggerId>,
        limit: u64,
    ) -> Result<Vec<Trigger>, StoreError> {
        let mut query = triggers::Entity::find().filter(triggers::Column::AccountId.eq(account.0));
        if let Some(state) = state {
            query = query.filter(triggers::Column::State.eq(state.as_str()));
        }
        if let Some(after) = after {
            query = query.filter(triggers::Column::Id.lt(after.0));
        }
        let rows = query
            .order_by_desc(triggers::Column::Id)
            .limit(limit)
            .all(self.read())
            .await?;
        rows.into_iter().map(trigger_of).collect()
    }

    /// Takes a trigger back, unless it has fired.
    pub async fn cancel_trigger(
        &self,
        account: AccountId,
        id: TriggerId,
        now: DateTime<Utc>,
    ) -> Result<TriggerCancel, StoreError> {
        self.transaction("cancel_trigger", async |tx| {
            let tx = &*tx;
            let row = triggers::Entity::find_by_id(id.0)
                .filter(triggers::Column::AccountId.eq(account.0))
                .lock(LockType::NoKeyUpdate)
                .one(tx)
                .await?;
            let Some(mut trigger) = row.map(trigger_of).transpose()? else {
                return Ok(TriggerCancel::NotFound);
            };
            if trigger.state != TriggerState::Armed {
                return Ok(TriggerCancel::NotArmed(trigger));
            }
            end(&mut trigger, TriggerState::Canceled, "canceled", now);
            save(tx, &trigger).await?;
            Ok(TriggerCancel::Canceled(trigger))
        })
        .await
    }

    /// Instruments that armed triggers watch, of one shard.
    pub async fn armed_assets(&self, shard: i32, shards: i32) -> Result<Vec<AssetId>, StoreError> {
        let ids: Vec<Uuid> = triggers::Entity::find()
            .select_only()
            .column(triggers::Column::AssetId)
            .filter(triggers::Column::State.eq(TriggerState::Armed.as_str()))
            .distinct()
            .order_by_asc(triggers::Column::AssetId)
            .into_tuple()
            .all(self.read())
            .await?;
        let shards = u128::try_from(Ord::max(shards, 1)).unwrap_or(1);
        let shard = u128::try_from(shard).unwrap_or(0);
        Ok(ids
            .into_iter()
            .filter(|id| id.as_u128() % shards == shard)
            .map(AssetId)
            .collect())
    }

    /// Armed triggers that `quotes` may fire, by the price key; the caller decides each on the exact price.
    pub async fn candidates(
        &self,
        quotes: &[Quote],
        limit_per_asset: u64,
        now: DateTime<Utc>,
    ) -> Result<Vec<Trigger>, StoreError> {
        let mut found = Vec::new();
        for quote in quotes {
            let mut any = Condition::any();
            for reference in Reference::ALL {
                let price = reference.of(quote);
                let key = |direction| PriceKey::rounded(price, direction).0;
                let of = |direction: Direction| {
                    triggers::Column::Reference
                        .eq(reference.as_str())
                        .and(triggers::Column::Direction.eq(direction.as_str()))
                };
                let falling =
                    of(Direction::Falling).and(triggers::Column::PriceKey.gte(key(Direction::Falling)));
                let rising =
                    of(Direction::Rising).and(triggers::Column::PriceKey.lte(key(Direction::Rising)));
                any = any.add(falling).add(rising);
            }
            let rows = triggers::Entity::find()
                .filter(triggers::Column::State.eq(TriggerState::Armed.as_str()))
                .filter(triggers::Column::AssetId.eq(quote.asset_id.0))
                .filter(any)
                .limit(limit_per_asset)
                .all(self.read())
                .await?;
            for row in rows {
                let trigger = trigger_of(row)?;
                if trigger.updated_at + pause_of(trigger.generation) <= now {
                    found.push(trigger);
                }
            }
        }
        Ok(found)
    }

    /// Fires triggers: those that are still armed, each once. Triggers that someone else fired first are left out of
    /// the answer.
    pub async fn fire(
        &self,
        firings: &[Firing],
        now: DateTime<Utc>,
        hours: MarketHours,
    ) -> Result<Vec<Fired>, StoreError> {
        self.transaction("fire_triggers", async |tx| {
            let tx = &*tx;
            let pairs: BTreeSet<(AccountId, AssetId)> = firings
                .iter()
                .map(|firing| (firing.trigger.account_id, firing.trigger.asset_id))
                .collect();
            let holding = Self::holding_sells(tx, &pairs.into_iter().collect::<Vec<_>>()).await?;
            let mut scope = Scope::default();
            for firing in firings {
                let trigger = &firing.trigger;
                scope.add_position(trigger.user_id, trigger.account_id, trigger.asset_id);
            }
            for order in &holding {
                scope.add_order(order);
            }
            let mut ledger = book::open(tx, &scope, now).await?;
            let mut armed = lock_armed(tx, firings).await?;
            let mut fired = Vec::new();
            for firing in firings {
                let Some(trigger) = armed.remove(&firing.trigger.id) else {
                    continue;
                };
                if trigger.generation != firing.trigger.generation {
                    continue;
                }
                if let Some(one) = fire_one(tx, &mut ledger, trigger, firing, &holding, hours).await? {
                    fired.push(one);
                }
            }
            book::write(self, tx, &ledger, None).await?;
            Ok(fired)
        })
        .await
    }
}

fn check(new: &NewTrigger, owned: Decimal, quote: Option<&Quote>) -> Result<(), TriggerError> {
    if owned.is_zero() {
        return Err(TriggerError::NoPosition);
    }
    if owned < Decimal::ZERO {
        return Err(TriggerError::ShortPosition);
    }
    if let Some(quantity) = new.quantity.filter(|quantity| quantity.get() > owned) {
        return Err(TriggerError::ExceedsPosition {
            requested: quantity.get(),
            owned,
        });
    }
    if let Some(quote) = quote {
        let (stop_price, market_price) = (new.stop_price.get(), new.reference.of(quote));
        let is_through = match new.direction {
            Direction::Falling => market_price <= stop_price,
            Direction::Rising => market_price >= stop_price,
        };
        if is_through {
            return Err(TriggerError::ThroughAlready {
                stop_price,
                market_price,
            });
        }
    }
    Ok(())
}

/// Several triggers may share a position as long as together they sell no more than there is.
fn overlap(new: &NewTrigger, owned: Decimal, protecting: &[triggers::Model]) -> Option<TriggerError> {
    let existing = protecting.first()?;
    let sold: Option<Decimal> = protecting
        .iter()
        .map(|row| row.quantity.map(|quantity| quantity.0))
        .sum();
    let fits = match (sold, new.quantity) {
        (Some(sold), Some(quantity)) => sold + quantity.get() <= owned,
        (Some(_), None) | (None, Some(_) | None) => false,
    };
    (!fits).then_some(TriggerError::AlreadyProtected {
        existing: TriggerId(existing.id),
    })
}

fn armed(new: &NewTrigger, now: DateTime<Utc>) -> Trigger {
    Trigger {
        id: new.id,
        user_id: new.user_id,
        account_id: new.account_id,
        asset_id: new.asset.id,
        symbol: new.asset.symbol.clone(),
        asset_class: new.asset.class,
        direction: new.direction,
        reference: new.reference,
        stop_price: new.stop_price,
        quantity: new.quantity,
        state: TriggerState::Armed,
        generation: 1,
        exit_order_id: None,
        fired_price: None,
        created_at: now,
        updated_at: now,
        fired_at: None,
        ended_because: None,
    }
}

async fn lock_armed(
    tx: &DatabaseTransaction,
    firings: &[Firing],
) -> Result<BTreeMap<TriggerId, Trigger>, StoreError> {
    let rows = triggers::Entity::find()
        .filter(triggers::Column::Id.is_in(firings.iter().map(|firing| firing.trigger.id.0)))
        .filter(triggers::Column::State.eq(TriggerState::Armed.as_str()))
        .order_by_asc(triggers::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    rows.into_iter()
        .map(|row| trigger_of(row).map(|trigger| (trigger.id, trigger)))
        .collect()
}

async fn fire_one(
    tx: &DatabaseTransaction,
    ledger: &mut Ledger,
    mut trigger: Trigger,
    firing: &Firing,
    holding: &[Order],
    hours: MarketHours,
) -> Result<Option<Fired>, StoreError> {
    let now = ledger.now;
    let owned = ledger.position(trigger.account_id, trigger.asset_id).quantity;
    let quantity = trigger
        .quantity
        .map(Quantity::get)
        .map_or(owned, |wanted| wanted.min(owned));
    let Ok(quantity) = Quantity::new(quantity) else {
        end(&mut trigger, TriggerState::Done, "position_closed", now);
        save(tx, &trigger).await?;
        return Ok(None);
    };
    let cause = Cause::Trigger {
        trigger_id: trigger.id,
        price: firing.price,
        quote_at: firing.quote_at,
    };
    let new = exit_order(&trigger, firing.exit_order_id, quantity, now);
    let Some(exit) = accept_exit(ledger, new, hours, &cause) else {
        tracing::error!(trigger.id = %trigger.id, account.id = %trigger.account_id, "a trigger's account is closed: it cannot fire");
        return Ok(None);
    };
    trigger.state = TriggerState::Firing;
    trigger.exit_order_id = Some(exit.id);
    trigger.fired_price = Some(firing.price);
    trigger.fired_at = Some(now);
    trigger.updated_at = now;
    save(tx, &trigger).await?;
    let link = trigger_exits::Model {
        trigger_id: trigger.id.0,
        generation: trigger.generation,
        order_id: exit.id.0,
    };
    trigger_exits::Entity::insert(link.into_active_model())
        .exec_without_returning(tx)
        .await?;
    let mut canceled_sells = Vec::new();
    for sell in holding {
        if (sell.account_id, sell.asset_id) != (trigger.account_id, trigger.asset_id) {
            continue;
        }
        match ask(ledger, sell.id, &cause) {
            CancelAnswer::Canceled(_) | CancelAnswer::Requested(_) => canceled_sells.push(sell.id),
            CancelAnswer::NotFound | CancelAnswer::NotCancelable(_) | CancelAnswer::ReplacePending(_) => {}
        }
    }
    Ok(Some(Fired {
        trigger_id: trigger.id,
        exit,
        canceled_sells,
    }))
}

fn exit_order(trigger: &Trigger, id: OrderId, quantity: Quantity, now: DateTime<Utc>) -> NewOrder {
    let time_in_force = match trigger.asset_class {
        AssetClass::UsEquity => TimeInForce::Day,
        AssetClass::Crypto => TimeInForce::Gtc,
    };
    NewOrder {
        id,
        user_id: trigger.user_id,
        account_id: trigger.account_id,
        client_order_id: ClientOrderId::from(id),
        asset: Asset {
            id: trigger.asset_id,
            symbol: trigger.symbol.clone(),
            class: trigger.asset_class,
            exchange: String::new(),
            name: String::new(),
            tradable: true,
            fractionable: true,
            min_order_size: Decimal::ZERO,
            min_trade_increment: Decimal::ZERO,
            price_increment: Decimal::ZERO,
        },
        terms: OrderTerms {
            side: Side::Sell,
            amount: Amount::Quantity(quantity),
            kind: OrderKind::Market,
            time_in_force,
            extended_hours: false,
            position_intent: None,
        },
        held_by: Some(HeldBy::Trigger(trigger.id)),
        submitted_at: now,
    }
}

/// An exit passes the same review as every order: limits of new exposure let it through.
fn accept_exit(ledger: &mut Ledger, new: NewOrder, hours: MarketHours, cause: &Cause) -> Option<Order> {
    let no_limits = domain::risk::Limits {
        order_notional: Decimal::ZERO,
        day_notional: Decimal::ZERO,
    };
    let context = AcceptContext {
        now: ledger.now,
        hours,
        limits: RoleLimits {
            standard: no_limits,
            admin: no_limits,
            superadmin: no_limits,
        },
        fees: Fees {
            equity_basis_points: Decimal::ZERO,
            crypto_basis_points: Decimal::ZERO,
        },
        quotes: &std::collections::HashMap::new(),
        answer: &|order| SavedAnswer {
            status: 200,
            body: String::new(),
            headers: serde_json::Value::Null,
            order_id: Some(order.id),
        },
    };
    let approved = review(ledger, &new, &context).ok()?;
    Some(ledger.accept(new, &approved, None, cause))
}

fn end(trigger: &mut Trigger, state: TriggerState, because: &str, now: DateTime<Utc>) {
    trigger.state = state;
    trigger.ended_because = Some(because.to_owned());
    trigger.updated_at = now;
}

async fn save(tx: &DatabaseTransaction, trigger: &Trigger) -> Result<(), StoreError> {
    let row = trigger_row(trigger);
    triggers::Entity::update_many()
        .col_expr(triggers::Column::State, Expr::value(row.state))
        .col_expr(triggers::Column::Generation, Expr::value(row.generation))
        .col_expr(triggers::Column::Quantity, Expr::value(row.quantity))
        .col_expr(triggers::Column::ExitOrderId, Expr::value(row.exit_order_id))
        .col_expr(triggers::Column::FiredPrice, Expr::value(row.fired_price))
        .col_expr(triggers::Column::UpdatedAt, Expr::value(row.updated_at))
        .col_expr(triggers::Column::FiredAt, Expr::value(row.fired_at))
        .col_expr(triggers::Column::EndedBecause, Expr::value(row.ended_because))
        .filter(triggers::Column::Id.eq(row.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// What the orders that ended in `ledger` mean for triggers: exits end theirs, or arm them again; positions that became
/// flat end the ones that protected them.
pub(crate) async fn follow_orders(tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    if !ledger.closed_sells.is_empty() {
        let links = trigger_exits::Entity::find()
            .filter(trigger_exits::Column::OrderId.is_in(ledger.closed_sells.iter().map(|id| id.0)))
            .all(tx)
            .await?;
        for link in links {
            follow_exit(tx, ledger, &link).await?;
        }
    }
    for (account, asset) in &ledger.flattened {
        if !ledger.position(*account, *asset).is_flat() {
            continue;
        }
        triggers::Entity::update_many()
            .col_expr(triggers::Column::State, Expr::value(TriggerState::Done.as_str()))
            .col_expr(triggers::Column::EndedBecause, Expr::value("position_closed"))
            .col_expr(triggers::Column::UpdatedAt, Expr::value(ledger.now))
            .filter(triggers::Column::AccountId.eq(account.0))
            .filter(triggers::Column::AssetId.eq(asset.0))
            .filter(triggers::Column::State.eq(TriggerState::Armed.as_str()))
            .exec(tx)
            .await?;
    }
    Ok(())
}

async fn follow_exit(
    tx: &DatabaseTransaction,
    ledger: &Ledger,
    link: &trigger_exits::Model,
) -> Result<(), StoreError> {
    let Some(exit) = ledger.order(OrderId(link.order_id)) else {
        return Ok(());
    };
    let row = triggers::Entity::find_by_id(link.trigger_id)
        .lock(LockType::NoKeyUpdate)
        .one(tx)
        .await?;
    let Some(mut trigger) = row.map(trigger_of).transpose()? else {
        return Ok(());
    };
    if trigger.state != TriggerState::Firing || trigger.generation != link.generation {
        return Ok(());
    }
    let owned = ledger.position(exit.account_id, exit.asset_id).quantity;
    let left = Quantity::new(exit.remaining_amount().min(owned)).ok();
    match (exit.facts.closed.map(|(how, _)| how), left) {
        (Some(How::Filled), _) => end(&mut trigger, TriggerState::Done, "exit_filled", ledger.now),
        (Some(How::Canceled), _) => end(&mut trigger, TriggerState::Done, "exit_canceled", ledger.now),
        (Some(How::Expired | How::Rejected | How::Replaced), None) => {
            end(&mut trigger, TriggerState::Done, "position_closed", ledger.now);
        }
        (Some(How::Expired | How::Rejected | How::Replaced), Some(left)) => {
            tracing::error!(trigger.id = %trigger.id, order.id = %exit.id, order.status = %exit.facts.status(),
                "an exit ended with quantity left: its trigger is armed again");
            trigger.quantity = trigger.quantity.map(|_| left);
            trigger.state = TriggerState::Armed;
            trigger.generation += 1;
            trigger.updated_at = ledger.now;
        }
        (None, _) => return Ok(()),
    }
    save(tx, &trigger).await
}
