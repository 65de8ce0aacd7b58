//! Price triggers: making, listing, cancelling and firing them.
//!
//! 1. Candidates come from the index on (asset, reference, direction, price key): a sweep reads what is through, never
//!    the others.
//! 2. Firing is one transaction: `armed → firing` by compare-and-set, the exit order through the same acceptance as
//!    every order, unique on (trigger, generation), and the end of the sells that hold the quantity.
//! 3. When an exit ends, its trigger ends with it, or is armed again for what is left to protect.

mod fire;
mod follow;

use chrono::{DateTime, TimeDelta, Utc};
use domain::asset::Asset;
use domain::id::{AccountId, AssetId, OrderId, TriggerId, UserId};
use domain::money::{Price, Quantity};
use domain::order::Order;
use domain::quote::Quote;
use domain::trigger::{Direction, PriceKey, Reference, Trigger, TriggerError, TriggerState};
use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, ExprTrait, LockType};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::Store;
use crate::book::{self, Scope};
use crate::entity::{assets, triggers};
use crate::error::StoreError;
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
        // One look into the index for each instrument, not one for each trigger.
        let armed = triggers::Entity::find()
            .select_only()
            .column(triggers::Column::Id)
            .filter(triggers::Column::State.eq(TriggerState::Armed.as_str()))
            .filter(
                Expr::col((triggers::Entity, triggers::Column::AssetId))
                    .equals((assets::Entity, assets::Column::Id)),
            )
            .into_query();
        let ids: Vec<Uuid> = assets::Entity::find()
            .select_only()
            .column(assets::Column::Id)
            .filter(Expr::exists(armed))
            .order_by_asc(assets::Column::Id)
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
                // Those that were armed again, and may still pause, must not crowd out the others.
                .order_by_asc(triggers::Column::Generation)
                .order_by_asc(triggers::Column::Id)
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

pub(crate) use follow::follow_orders;
