//! Rows of the database as the venue's own types. What the venue cannot have written is an inconsistency, never a guess.

use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::fill::Fill;
use domain::fill_model::Step;
use domain::id::{AssetId, ConnectionId, OrderId};
use domain::money::{Notional, Price, Quantity};
use domain::order::{Amount, OrderKind};
use domain::quote::Quote;
use domain::reconcile::Reported;
use rust_decimal::Decimal;
use sea_orm::{DbErr, QueryResult, TryGetable};
use uuid::Uuid;

use super::super::amount::AmountColumn;
use super::super::error::BookError;
use super::super::hours::Phase;
use super::super::rows::{AccountRow, AssetRow, Ended, JournalRow, OrderRow, PositionRow, Quoted};
use super::Position;

/// A row, with the name of its table for what is wrong with it.
struct Row<'a> {
    row: &'a QueryResult,
    table: &'static str,
}

impl Row<'_> {
    fn get<T: TryGetable>(&self, column: &str) -> Result<T, BookError> {
        self.row
            .try_get("", column)
            .map_err(|error: DbErr| self.wrong(column, &error))
    }

    fn amount(&self, column: &str) -> Result<Decimal, BookError> {
        self.get::<AmountColumn>(column).map(|amount| amount.0)
    }

    /// A column that holds a price, a quantity or a notional, or nothing.
    fn checked<T>(&self, column: &str) -> Result<Option<T>, BookError>
    where
        T: TryFrom<Decimal, Error: Display>,
    {
        self.get::<Option<AmountColumn>>(column)?
            .map(|amount| T::try_from(amount.0).map_err(|error| self.wrong(column, &error)))
            .transpose()
    }

    fn required<T>(&self, column: &str) -> Result<T, BookError>
    where
        T: TryFrom<Decimal, Error: Display>,
    {
        self.checked(column)?
            .ok_or_else(|| self.wrong(column, &"nothing"))
    }

    fn word<T: FromStr<Err: Display>>(&self, column: &str) -> Result<T, BookError> {
        let text: String = self.get(column)?;
        text.parse().map_err(|error: T::Err| self.wrong(column, &error))
    }

    fn wrong(&self, column: &str, what: &dyn Display) -> BookError {
        BookError::Inconsistent {
            table: self.table,
            what: format!("{column}: {what}"),
        }
    }
}

pub(super) fn asset_id(row: &QueryResult) -> Result<AssetId, BookError> {
    let row = Row {
        row,
        table: "paper_assets",
    };
    Ok(AssetId(row.get("asset_id")?))
}

pub(super) fn asset(row: &QueryResult) -> Result<AssetRow, BookError> {
    let row = Row {
        row,
        table: "paper_assets",
    };
    let asset_id = AssetId(row.get("asset_id")?);
    let Some(at) = row.get::<Option<DateTime<Utc>>>("quoted_at")? else {
        return Ok(AssetRow {
            asset_id,
            quoted: None,
        });
    };
    let quote = Quote {
        asset_id,
        bid: row.required("bid")?,
        bid_size: row.required("bid_size")?,
        ask: row.required("ask")?,
        ask_size: row.required("ask_size")?,
        last: row.required("last")?,
        low: row.required("low")?,
        high: row.required("high")?,
        at,
    };
    let step = Step {
        bid: quote.bid,
        bid_left: row.amount("bid_left")?,
        ask: quote.ask,
        ask_left: row.amount("ask_left")?,
    };
    let phase: String = row.get("matched_in")?;
    let matched_in = Phase::parse(&phase).ok_or_else(|| row.wrong("matched_in", &phase))?;
    Ok(AssetRow {
        asset_id,
        quoted: Some(Quoted {
            quote,
            step,
            matched_in,
        }),
    })
}

pub(super) fn account(row: &QueryResult) -> Result<AccountRow, BookError> {
    let row = Row {
        row,
        table: "paper_accounts",
    };
    Ok(AccountRow {
        connection_id: ConnectionId(row.get("connection_id")?),
        cash: row.amount("cash")?,
        held: row.amount("held")?,
        last_seq: row.get("last_seq")?,
    })
}

pub(super) fn position(row: &QueryResult) -> Result<Position, BookError> {
    let row = Row {
        row,
        table: "paper_positions",
    };
    let key = (
        ConnectionId(row.get("connection_id")?),
        AssetId(row.get("asset_id")?),
    );
    let position = PositionRow {
        quantity: row.amount("quantity")?,
        held: row.amount("held")?,
    };
    Ok((key, position))
}

/// The position beside an account, where it has one.
pub(super) fn joined_position(row: &QueryResult) -> Result<Option<Position>, BookError> {
    let row = Row {
        row,
        table: "paper_positions",
    };
    let Some(asset_id) = row.get::<Option<Uuid>>("asset_id")? else {
        return Ok(None);
    };
    let key = (ConnectionId(row.get("connection_id")?), AssetId(asset_id));
    let position = PositionRow {
        quantity: row.amount("quantity")?,
        held: row.amount("position_held")?,
    };
    Ok(Some((key, position)))
}

pub(super) fn order_asset(row: &QueryResult) -> Result<(OrderId, AssetId), BookError> {
    let row = Row {
        row,
        table: "paper_orders",
    };
    Ok((OrderId(row.get("id")?), AssetId(row.get("asset_id")?)))
}

pub(super) fn order(row: &QueryResult) -> Result<OrderRow, BookError> {
    let row = Row {
        row,
        table: "paper_orders",
    };
    let kind = match row.checked::<Price>("limit_price")? {
        Some(limit_price) => OrderKind::Limit { limit_price },
        None => OrderKind::Market,
    };
    let amount = match (
        row.checked::<Quantity>("quantity")?,
        row.checked::<Notional>("notional")?,
    ) {
        (Some(quantity), None) => Amount::Quantity(quantity),
        (None, Some(notional)) => Amount::Notional(notional),
        (Some(_), Some(_)) | (None, None) => return Err(row.wrong("quantity", &"not exactly one amount")),
    };
    let ended = row
        .get::<Option<String>>("ended")?
        .map(|text| Ended::parse(&text).ok_or_else(|| row.wrong("ended", &text)))
        .transpose()?;
    Ok(OrderRow {
        id: OrderId(row.get("id")?),
        connection_id: ConnectionId(row.get("connection_id")?),
        asset_id: AssetId(row.get("asset_id")?),
        replaces: row.get::<Option<Uuid>>("replaces")?.map(OrderId),
        side: row.word("side")?,
        kind,
        time_in_force: row.word("time_in_force")?,
        amount,
        extended_hours: row.get("extended_hours")?,
        entered_at: row.get("entered_at")?,
        expires_at: row.get("expires_at")?,
        due_at: row.get("due_at")?,
        is_working: row.get("is_working")?,
        filled_quantity: row.amount("filled_quantity")?,
        filled_cost: row.amount("filled_cost")?,
        fills: row.get("fills")?,
        held: row.amount("held")?,
        ended,
        reason: row.get("reason")?,
        closed_at: row.get("closed_at")?,
    })
}

/// The index of the place that a row of the journal was read for.
pub(super) fn place(row: &QueryResult) -> Result<usize, BookError> {
    let row = Row {
        row,
        table: "paper_journal",
    };
    let place: i64 = row.get("place")?;
    usize::try_from(place).map_err(|error| row.wrong("place", &error))
}

pub(super) fn journal(row: &QueryResult) -> Result<JournalRow, BookError> {
    let row = Row {
        row,
        table: "paper_journal",
    };
    let at: DateTime<Utc> = row.get("at")?;
    let kind: String = row.get("kind")?;
    let reason = || row.get::<Option<String>>("reason").map(Option::unwrap_or_default);
    let what = match kind.as_str() {
        "acknowledged" => Reported::Acknowledged {
            is_working: row.get("is_working")?,
        },
        "filled" => Reported::Filled(Fill {
            broker_fill_id: row.get("fill_id")?,
            quantity: row.required("quantity")?,
            price: row.required("price")?,
            fee: row.amount("fee")?,
            at,
            venue_done: row.get("is_done")?,
        }),
        "canceled" => Reported::Canceled,
        "cancel_refused" => Reported::CancelRefused { reason: reason()? },
        "expired" => Reported::Expired,
        "refused" => Reported::Refused { reason: reason()? },
        "replaced" => Reported::Replaced,
        "replace_refused" => Reported::ReplaceRefused { reason: reason()? },
        unknown => return Err(row.wrong("kind", &unknown)),
    };
    Ok(JournalRow {
        connection_id: ConnectionId(row.get("connection_id")?),
        seq: row.get("seq")?,
        order_id: OrderId(row.get("order_id")?),
        at,
        what,
    })
}
