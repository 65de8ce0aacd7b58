//! Firing: a trigger becomes an exit order, once.

use super::{Fired, Firing, end, save};
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::asset::{AssetClass, Instrument};
use domain::id::{AccountId, AssetId, ClientOrderId, OrderId, TriggerId};
use domain::money::Quantity;
use domain::order::{Amount, HeldBy, NewOrder, Order, OrderKind, OrderTerms, Side, TimeInForce};
use domain::risk;
use domain::trigger::{Trigger, TriggerState};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};

use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::entity::{trigger_exits, triggers};
use crate::error::StoreError;
use crate::ledger::{ApplyError, Ledger};
use crate::orders::cancel::{CancelAnswer, ask};
use crate::orders::row::trigger_of;

impl Store {
    /// Fires triggers: those that are still armed, each once. Triggers that someone else fired first are left out of
    /// the answer.
    pub async fn fire(&self, firings: &[Firing], now: DateTime<Utc>) -> Result<Vec<Fired>, StoreError> {
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
                if let Some(one) = fire_one(tx, &mut ledger, trigger, firing, &holding).await? {
                    fired.push(one);
                }
            }
            book::write(self, tx, &ledger, None).await?;
            Ok(fired)
        })
        .await
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
    let approved = risk::review_exit(new).map_err(|_| StoreError::Inconsistent {
        table: "triggers",
        id: trigger.id.to_string(),
    })?;
    let exit = ledger
        .accept(approved, None, &cause)
        .map_err(ApplyError::into_inconsistent)?;
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
        instrument: Instrument {
            id: trigger.asset_id,
            symbol: trigger.symbol.clone(),
            class: trigger.asset_class,
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
