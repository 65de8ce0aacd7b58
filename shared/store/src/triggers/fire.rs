//! Firing: triggers become exit orders, each once.
//!
//! 1. A batch is one transaction: `armed → firing` by compare-and-set, the exits through the same ledger as every order,
//!    unique on (trigger, generation), and the end of the sells that hold the quantity.
//! 2. The number of statements does not depend on the size of the batch.
//! 3. One trigger that cannot fire takes no other one with it: a batch that fails is halved until it stands alone.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::asset::{AssetClass, Instrument};
use domain::id::{AccountId, AssetId, ClientOrderId, OrderId, TriggerId};
use domain::money::Quantity;
use domain::order::{Amount, HeldBy, NewOrder, Order, OrderKind, OrderTerms, Side, TimeInForce};
use domain::risk;
use domain::trigger::Trigger;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult, IntoActiveModel,
    Statement, Value,
};
use uuid::Uuid;

use crate::Store;
use crate::book::{self, Scope};
use crate::cause::Cause;
use crate::entity::{orders, trigger_exits};
use crate::error::StoreError;
use crate::ledger::{ApplyError, Ledger};
use crate::money::Money;
use crate::orders::cancel::{CancelAnswer, ask};
use crate::orders::row::order_of;
use crate::rows::{Rows, insert};

/// A trigger whose price is through.
#[derive(Debug, Clone)]
pub struct Firing {
    /// As it was read.
    pub trigger: Trigger,
    /// The reference price, in quote currency.
    pub price: rust_decimal::Decimal,
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

/// What became of many triggers.
#[derive(Debug, Default)]
pub struct Salvo {
    /// Those that fired.
    pub fired: Vec<Fired>,
    /// Those that cannot fire: they are still armed.
    pub stuck: Vec<Stuck>,
}

/// A trigger that cannot fire.
#[derive(Debug)]
pub struct Stuck {
    /// Which one.
    pub trigger_id: TriggerId,
    /// Its instrument.
    pub asset_id: AssetId,
    /// Why not.
    pub error: StoreError,
}

/// The sells that hold what a position has.
type Holding = BTreeMap<(AccountId, AssetId), Vec<Order>>;

impl Store {
    /// Fires triggers in one transaction: those that are still armed, each once. Triggers that someone else fired first
    /// are left out of the answer.
    pub async fn fire(&self, firings: &[Firing], now: DateTime<Utc>) -> Result<Vec<Fired>, StoreError> {
        self.transaction("fire_triggers", async |tx| {
            let tx = &*tx;
            let holding = holding_sells(tx, firings).await?;
            let mut scope = Scope::default();
            for Firing { trigger, .. } in firings {
                scope.add_position(trigger.user_id, trigger.account_id, trigger.asset_id);
            }
            for order in holding.values().flatten() {
                scope.add_order(order);
            }
            let mut ledger = book::open(tx, &scope, now).await?;
            let (selling, flat): (Vec<_>, Vec<_>) = firings
                .iter()
                .map(|firing| (firing, quantity_of(&ledger, &firing.trigger)))
                .partition(|(_, quantity)| quantity.is_some());
            let won = move_on(tx, &selling, now).await?;
            end_flat(tx, &flat, now).await?;
            let mut fired = Vec::with_capacity(won.len());
            for (firing, quantity) in selling {
                if let Some(quantity) = quantity.filter(|_| won.contains(&firing.exit_order_id.0)) {
                    fired.push(fire_one(&mut ledger, firing, quantity, &holding)?);
                }
            }
            write_exits(tx, firings, &won).await?;
            book::write(self, tx, &ledger).await?;
            Ok(fired)
        })
        .await
    }

    /// As [`Store::fire`], and where that fails for some of them, without those.
    ///
    /// Fails only where the database does not do its part: what fired before stays fired.
    pub async fn fire_all(&self, firings: &[Firing], now: DateTime<Utc>) -> Result<Salvo, StoreError> {
        let mut salvo = Salvo::default();
        let mut parts = vec![firings];
        while let Some(part) = parts.pop() {
            match (self.fire(part, now).await, part) {
                (Ok(fired), _) => salvo.fired.extend(fired),
                (Err(error), _) if !is_of_some(&error) => return Err(error),
                (Err(error), [firing]) => salvo.stuck.push(Stuck {
                    trigger_id: firing.trigger.id,
                    asset_id: firing.trigger.asset_id,
                    error,
                }),
                (Err(_), part) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        Ok(salvo)
    }
}

/// Whether an error may be of some triggers and not of others. A lock that one account holds for too long is.
fn is_of_some(error: &StoreError) -> bool {
    match error {
        StoreError::Inconsistent { .. }
        | StoreError::Conflict { .. }
        | StoreError::NotFound { .. }
        | StoreError::Database(_) => true,
        StoreError::Unavailable(error) => is_lock_timeout(error),
        StoreError::Stale { .. }
        | StoreError::CommitUnknown(_)
        | StoreError::Ended
        | StoreError::Url { .. } => false,
    }
}

fn is_lock_timeout(error: &sea_orm::DbErr) -> bool {
    use sea_orm::{DbErr, RuntimeErr, sqlx};
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    matches!(&**error, sqlx::Error::Database(error) if error.code().as_deref() == Some("55P03"))
}

/// How much its exit sells at the most; none where nothing is owned.
fn quantity_of(ledger: &Ledger, trigger: &Trigger) -> Option<Quantity> {
    let owned = ledger.position(trigger.account_id, trigger.asset_id).quantity;
    let wanted = trigger.quantity.map_or(owned, |wanted| wanted.get().min(owned));
    Quantity::new(wanted).ok()
}

/// The open sells of the positions, exits of triggers left out: what the exits have to wait for.
async fn holding_sells(tx: &DatabaseTransaction, firings: &[Firing]) -> Result<Holding, StoreError> {
    let pairs: BTreeSet<(Uuid, Uuid)> = firings
        .iter()
        .map(|firing| (firing.trigger.account_id.0, firing.trigger.asset_id.0))
        .collect();
    let rows = pairs
        .into_iter()
        .map(|(account, asset)| vec![account.into(), asset.into()]);
    let pairs = Rows::new(&["account_id", "asset_id"], rows.collect());
    let backend = tx.get_database_backend();
    let (source, values) = pairs.source(backend, "p", 1);
    let sells = "o.account_id = p.account_id AND o.asset_id = p.asset_id AND o.side = 'sell' AND o.closed_at IS NULL \
                 AND NOT EXISTS (SELECT 1 FROM trigger_exits e WHERE e.order_id = o.id)";
    let sql = match backend {
        // One look into the index for each position, whatever the planner believes about the tables.
        DbBackend::Postgres => format!(
            "SELECT o.* FROM {source} CROSS JOIN LATERAL (SELECT * FROM orders o WHERE {sells} OFFSET 0) o"
        ),
        _ => format!("SELECT o.* FROM {source} CROSS JOIN orders o ON {sells}"),
    };
    let found = orders::Entity::find().from_raw_sql(Statement::from_sql_and_values(backend, sql, values));
    let mut holding = Holding::new();
    for row in found.all(tx).await? {
        let order = order_of(row)?;
        let place = (order.account_id, order.asset_id);
        holding.entry(place).or_default().push(order);
    }
    Ok(holding)
}

/// An exit whose trigger is now firing because of it.
#[derive(Debug, FromQueryResult)]
struct Won {
    exit_order_id: Uuid,
}

/// Moves those that are still armed as they were read from `armed` to `firing`, and answers their exits.
///
/// Whoever changes several triggers holds the locks of their accounts, and whoever holds none of those changes one: so
/// it does not matter in which order this locks them.
async fn move_on(
    tx: &DatabaseTransaction,
    selling: &[(&Firing, Option<Quantity>)],
    now: DateTime<Utc>,
) -> Result<BTreeSet<Uuid>, StoreError> {
    if selling.is_empty() {
        return Ok(BTreeSet::new());
    }
    let row = |(firing, _): &(&Firing, Option<Quantity>)| {
        vec![
            firing.trigger.id.0.into(),
            firing.trigger.generation.into(),
            firing.exit_order_id.0.into(),
            Money(firing.price).into(),
        ]
    };
    let names = ["id", "generation", "exit_id", "price"];
    let rows = Rows::new(&names, selling.iter().map(row).collect());
    let sets =
        "state = 'firing', exit_order_id = v.exit_id, fired_price = v.price, fired_at = $1, updated_at = $1";
    let statement = compare_and_set(tx, &rows, sets, now);
    let won = Won::find_by_statement(statement).all(tx).await?;
    Ok(won.into_iter().map(|row| row.exit_order_id).collect())
}

/// Ends the triggers that have nothing to sell.
async fn end_flat(
    tx: &DatabaseTransaction,
    flat: &[(&Firing, Option<Quantity>)],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if flat.is_empty() {
        return Ok(());
    }
    let row = |(firing, _): &(&Firing, Option<Quantity>)| {
        vec![firing.trigger.id.0.into(), firing.trigger.generation.into()]
    };
    let rows = Rows::new(&["id", "generation"], flat.iter().map(row).collect());
    let sets = "state = 'done', ended_because = 'position_closed', updated_at = $1";
    tx.query_all_raw(compare_and_set(tx, &rows, sets, now)).await?;
    Ok(())
}

/// Changes the triggers of `rows` that are armed and of the generation in which they were read.
fn compare_and_set(tx: &DatabaseTransaction, rows: &Rows, sets: &str, now: DateTime<Utc>) -> Statement {
    let backend = tx.get_database_backend();
    let (source, more) = rows.source(backend, "v", 2);
    let sql = format!(
        "UPDATE triggers AS t SET {sets} FROM {source} \
         WHERE t.id = v.id AND t.generation = v.generation AND t.state = 'armed' RETURNING exit_order_id"
    );
    let values = std::iter::once(Value::from(now)).chain(more);
    Statement::from_sql_and_values(backend, sql, values)
}

/// Enters the exit of a trigger that is firing now.
fn fire_one(
    ledger: &mut Ledger,
    firing: &Firing,
    quantity: Quantity,
    holding: &Holding,
) -> Result<Fired, StoreError> {
    let trigger = &firing.trigger;
    let cause = Cause::Trigger {
        trigger_id: trigger.id,
        price: firing.price,
        quote_at: firing.quote_at,
    };
    let new = exit_order(trigger, firing.exit_order_id, quantity, ledger.now);
    let approved = risk::review_exit(new).map_err(|_| StoreError::Inconsistent {
        table: "triggers",
        id: trigger.id.to_string(),
    })?;
    let exit = ledger
        .accept(approved, None, &cause)
        .map_err(ApplyError::into_inconsistent)?;
    let mut canceled_sells = Vec::new();
    for sell in holding
        .get(&(trigger.account_id, trigger.asset_id))
        .into_iter()
        .flatten()
    {
        match ask(ledger, sell.id, &cause) {
            CancelAnswer::Canceled(_) | CancelAnswer::Requested(_) => canceled_sells.push(sell.id),
            CancelAnswer::NotFound | CancelAnswer::NotCancelable(_) | CancelAnswer::ReplacePending(_) => {}
        }
    }
    Ok(Fired {
        trigger_id: trigger.id,
        exit,
        canceled_sells,
    })
}

/// Remembers which exit belongs to which generation: the last guard against two.
async fn write_exits(
    tx: &DatabaseTransaction,
    firings: &[Firing],
    won: &BTreeSet<Uuid>,
) -> Result<(), StoreError> {
    let links = firings
        .iter()
        .filter(|firing| won.contains(&firing.exit_order_id.0))
        .map(|firing| trigger_exits::Model {
            trigger_id: firing.trigger.id.0,
            generation: firing.trigger.generation,
            order_id: firing.exit_order_id.0,
        });
    insert(tx, links.map(IntoActiveModel::into_active_model).collect(), None).await
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
