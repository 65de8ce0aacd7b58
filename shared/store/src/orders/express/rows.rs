//! The rows that accepted orders change, each with what it changes by.

use std::collections::HashMap;

use domain::id::{AccountId, AssetId, UserId};
use domain::money::USD;
use rust_decimal::Decimal;
use sea_orm::Value;

use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::money::Money;
use crate::rows::Rows;

/// What differences are added to before they are written: what is in the rows, where the database cannot add exact
/// decimals, and nothing where it can.
#[derive(Debug, Default)]
pub(super) struct Base {
    /// `users.notional_open`.
    pub(super) users: HashMap<UserId, Decimal>,
    /// `balances.reserved`.
    pub(super) balances: HashMap<AccountId, Decimal>,
    /// `positions.reserved`.
    pub(super) positions: HashMap<(AccountId, AssetId), Decimal>,
}

/// `base` and the difference from `before` to `after`.
fn moved(
    base: Option<&Decimal>,
    before: Decimal,
    after: Decimal,
    table: &'static str,
) -> Result<Money, StoreError> {
    let base = base.copied().unwrap_or_default();
    after
        .checked_sub(before)
        .and_then(|more| base.checked_add(more))
        .map(Money)
        .ok_or_else(|| StoreError::Inconsistent {
            table,
            id: "out of range".to_owned(),
        })
}

pub(super) fn user_rows(before: &Ledger, ledger: &Ledger, base: &Base) -> Result<Rows, StoreError> {
    let rows = ledger.users.iter().filter_map(|(id, after): (&UserId, _)| {
        let (before, after) = (before.users.get(id)?.get(), after.get());
        let amount = moved(
            base.users.get(id),
            before.notional_open,
            after.notional_open,
            "users",
        );
        Some(amount.map(|amount| {
            vec![
                Value::from(id.0),
                before.risk_version.into(),
                after.risk_version.into(),
                amount.into(),
            ]
        }))
    });
    let columns = [
        ("id", "uuid"),
        ("version", "bigint"),
        ("next", "bigint"),
        ("amount", "numeric"),
    ];
    Ok(Rows::typed(&columns, rows.collect::<Result<_, _>>()?))
}

pub(super) fn account_rows(before: &Ledger, ledger: &Ledger) -> Rows {
    let rows = ledger.accounts.iter().filter_map(|(id, after): (&AccountId, _)| {
        let (before, after) = (before.accounts.get(id)?.get(), after.get());
        Some(vec![
            Value::from(id.0),
            before.risk_version.into(),
            after.risk_version.into(),
            (after.last_event_seq - before.last_event_seq).into(),
        ])
    });
    let columns = [
        ("id", "uuid"),
        ("version", "bigint"),
        ("next", "bigint"),
        ("events", "bigint"),
    ];
    Rows::typed(&columns, rows.collect())
}

pub(super) fn balance_rows(before: &Ledger, ledger: &Ledger, base: &Base) -> Result<Rows, StoreError> {
    let changed = ledger.balances.iter().filter(|(_, balance)| balance.is_changed());
    let rows = changed.map(|(account, after)| {
        let before = before.balance(*account).reserved;
        let amount = moved(
            base.balances.get(account),
            before,
            after.get().reserved,
            "balances",
        )?;
        Ok(vec![Value::from(account.0), USD.into(), amount.into()])
    });
    let columns = [
        ("account_id", "uuid"),
        ("currency", "text"),
        ("amount", "numeric"),
    ];
    let rows: Result<_, StoreError> = rows.collect();
    Ok(Rows::typed(&columns, rows?))
}

pub(super) fn position_rows(before: &Ledger, ledger: &Ledger, base: &Base) -> Result<Rows, StoreError> {
    let changed = ledger.positions.iter().filter(|(_, units)| units.is_changed());
    let rows = changed.map(|(key @ (account, asset), after)| {
        let before = before.position(*account, *asset).reserved;
        let amount = moved(base.positions.get(key), before, after.get().reserved, "positions")?;
        Ok(vec![Value::from(account.0), asset.0.into(), amount.into()])
    });
    let columns = [
        ("account_id", "uuid"),
        ("asset_id", "uuid"),
        ("amount", "numeric"),
    ];
    let rows: Result<_, StoreError> = rows.collect();
    Ok(Rows::typed(&columns, rows?))
}

pub(super) fn work_rows(ledger: &Ledger) -> Rows {
    let rows = ledger.new_work.keys().filter_map(|(id, kind)| {
        let account = ledger.order(*id)?.account_id;
        Some(vec![Value::from(id.0), kind.as_str().into(), account.0.into()])
    });
    let columns = [("order_id", "uuid"), ("kind", "text"), ("account_id", "uuid")];
    Rows::typed(&columns, rows.collect())
}
