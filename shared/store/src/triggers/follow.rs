//! What the ends of orders mean for triggers.

use std::collections::BTreeMap;

use domain::id::OrderId;
use domain::lifecycle::How;
use domain::money::Quantity;
use domain::order::Order;
use domain::trigger::{Trigger, TriggerState};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
};
use uuid::Uuid;

use super::{end, save};
use crate::entity::{trigger_exits, triggers};
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::orders::row::trigger_of;
use crate::rows::{Rows, is_among};

/// What the orders that ended in `ledger` mean for triggers: exits end theirs, or arm them again; positions that became
/// flat end the ones that protected them. Equally many statements for one and for many.
pub(crate) async fn follow_orders(tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    if !ledger.closed_sells.is_empty() {
        let ids = ledger.closed_sells.iter().map(|id| id.0);
        let links = trigger_exits::Entity::find()
            .filter(is_among(tx, trigger_exits::Column::OrderId, ids))
            .all(tx)
            .await?;
        follow_exits(tx, ledger, &links).await?;
    }
    end_flattened(tx, ledger).await
}

async fn follow_exits(
    tx: &DatabaseTransaction,
    ledger: &Ledger,
    links: &[trigger_exits::Model],
) -> Result<(), StoreError> {
    if links.is_empty() {
        return Ok(());
    }
    let ids = links.iter().map(|link| link.trigger_id);
    let rows = triggers::Entity::find()
        .filter(is_among(tx, triggers::Column::Id, ids))
        .order_by_asc(triggers::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    let exits: BTreeMap<(Uuid, i32), OrderId> = links
        .iter()
        .map(|link| ((link.trigger_id, link.generation), OrderId(link.order_id)))
        .collect();
    let mut moved = Vec::new();
    for row in rows {
        let mut trigger = trigger_of(row)?;
        let exit = exits.get(&(trigger.id.0, trigger.generation));
        if let Some(exit) = exit.and_then(|id| ledger.order(*id))
            && trigger.state == TriggerState::Firing
            && follow_exit(ledger, exit, &mut trigger)
        {
            moved.push(trigger);
        }
    }
    save(tx, &moved).await
}

/// Moves a firing trigger on after its exit; answers whether the exit has ended.
fn follow_exit(ledger: &Ledger, exit: &Order, trigger: &mut Trigger) -> bool {
    let owned = ledger.position(exit.account_id, exit.asset_id).quantity;
    let left = Quantity::new(exit.remaining_amount().min(owned)).ok();
    match (exit.facts.closed.map(|(how, _)| how), left) {
        (Some(How::Filled), _) => end(trigger, TriggerState::Done, "exit_filled", ledger.now),
        // Someone asked for the exit's end, or nothing was left to sell.
        (Some(How::Canceled), _) if exit.facts.cancel_requested_at.is_some() => {
            end(trigger, TriggerState::Done, "exit_canceled", ledger.now);
        }
        (Some(How::Canceled | How::Expired | How::Rejected | How::Replaced), None) => {
            end(trigger, TriggerState::Done, "position_closed", ledger.now);
        }
        // Nobody asked for it: what is left is still to be protected.
        (Some(How::Canceled | How::Expired | How::Rejected | How::Replaced), Some(left)) => {
            tracing::error!(trigger.id = %trigger.id, order.id = %exit.id, order.status = %exit.facts.status(),
                "an exit ended with quantity left: its trigger is armed again");
            trigger.quantity = trigger.quantity.map(|_| left);
            trigger.state = TriggerState::Armed;
            trigger.generation += 1;
            trigger.updated_at = ledger.now;
        }
        (None, _) => return false,
    }
    true
}

/// Ends the triggers of positions that are flat now: nothing is left to protect.
async fn end_flattened(tx: &DatabaseTransaction, ledger: &Ledger) -> Result<(), StoreError> {
    let flat: Vec<Vec<Value>> = ledger
        .flattened
        .iter()
        .filter(|(account, asset)| ledger.position(*account, *asset).is_flat())
        .map(|(account, asset)| vec![account.0.into(), asset.0.into()])
        .collect();
    if flat.is_empty() {
        return Ok(());
    }
    let backend = tx.get_database_backend();
    let (source, more) = Rows::new(&["account_id", "asset_id"], flat).source(backend, "v", 2);
    // Both conditions on the state: SQLite uses an index only where its own is repeated word for word.
    let sql = format!(
        "UPDATE triggers AS t SET state = 'done', ended_because = 'position_closed', updated_at = $1 FROM {source} \
         WHERE t.account_id = v.account_id AND t.asset_id = v.asset_id \
         AND t.state IN ('armed', 'firing') AND t.state = 'armed'"
    );
    let values = std::iter::once(Value::from(ledger.now)).chain(more);
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    Ok(())
}
