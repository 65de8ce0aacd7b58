//! Price triggers: making, listing, cancelling and firing them.
//!
//! 1. Candidates come page by page from the index on (asset, reference, direction, price key, id): a sweep reads what is
//!    through, never the others.
//! 2. Firing is one transaction for many: `armed → firing` by compare-and-set, the exit orders through the same
//!    acceptance as every order, unique on (trigger, generation), and the end of the sells that hold the quantity.
//! 3. When an exit ends, its trigger ends with it, or is armed again for what is left to protect.

mod find;
mod fire;
mod follow;

use chrono::{DateTime, Utc};
use domain::asset::Asset;
use domain::id::{AccountId, TriggerId, UserId};
use domain::money::{Price, Quantity};
use domain::quote::Quote;
use domain::trigger::{Direction, Reference, Trigger, TriggerError, TriggerState};
use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    Value,
};

use crate::book::{self, Scope};
use crate::entity::triggers;
use crate::error::StoreError;
use crate::orders::row::{trigger_of, trigger_row};
use crate::{Store, update_many};

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
                // Word for word as the index has it.
                .filter(Expr::cust("\"state\" IN ('armed', 'firing')"))
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
            save(tx, std::slice::from_ref(&trigger)).await?;
            Ok(TriggerCancel::Canceled(trigger))
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

fn end(trigger: &mut Trigger, state: TriggerState, because: &str, now: DateTime<Utc>) {
    trigger.state = state;
    trigger.ended_because = Some(because.to_owned());
    trigger.updated_at = now;
}

/// Writes what may change of `triggers`, whose locks their caller holds.
async fn save(tx: &DatabaseTransaction, triggers: &[Trigger]) -> Result<(), StoreError> {
    let row = |trigger: &Trigger| {
        let row = trigger_row(trigger);
        vec![
            Value::from(row.id),
            row.state.into(),
            row.generation.into(),
            row.quantity.into(),
            row.updated_at.into(),
            row.ended_because.into(),
        ]
    };
    let set = ["state", "generation", "quantity", "updated_at", "ended_because"];
    update_many(tx, "triggers", &["id"], &set, triggers.iter().map(row).collect()).await?;
    Ok(())
}

pub use find::{Candidates, Search, Watch};
pub use fire::{Fired, Firing, Salvo, Stuck};
pub(crate) use follow::follow_orders;
