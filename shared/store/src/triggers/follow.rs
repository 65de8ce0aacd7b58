//! What the ends of orders mean for triggers.

use super::{end, save};

use domain::id::OrderId;
use domain::lifecycle::How;
use domain::money::Quantity;
use domain::trigger::TriggerState;
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect};

use crate::entity::{trigger_exits, triggers};
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::orders::row::trigger_of;

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
        // Someone asked for the exit's end, or nothing was left to sell.
        (Some(How::Canceled), _) if exit.facts.cancel_requested_at.is_some() => {
            end(&mut trigger, TriggerState::Done, "exit_canceled", ledger.now);
        }
        (Some(How::Canceled | How::Expired | How::Rejected | How::Replaced), None) => {
            end(&mut trigger, TriggerState::Done, "position_closed", ledger.now);
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
        (None, _) => return Ok(()),
    }
    save(tx, &trigger).await
}
