//! The paper venue's tables, in a schema or file of their own: it is a stranger to Arbion's.
//!
//! | table | holds | key |
//! |---|---|---|
//! | `paper_assets` | the last quote of an instrument, and what is left of its sizes | the instrument |
//! | `paper_accounts` | money, what open buys hold of it, the last number of the journal | the connection |
//! | `paper_positions` | units, and what open sells hold of them | connection and instrument |
//! | `paper_orders` | every order that was ever sent | the client order id |
//! | `paper_journal` | what happened, fills included, numbered per connection without gaps; only ever added to | connection and number |
//!
//! Locks are taken in the order instrument, account. The row of the instrument guards its orders and positions as well.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Creates the venue's tables.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "paper_m20261124_000001_book"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared(&dialect::render(TABLES, manager.get_database_backend()))
            .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const TABLES: &str = "
CREATE TABLE paper_assets (
    asset_id {uuid} NOT NULL PRIMARY KEY,
    quoted_at {time},
    bid {money}, bid_size {money}, ask {money}, ask_size {money},
    last {money}, low {money}, high {money},
    -- Of the sizes, what no order has taken yet.
    bid_left {money}, ask_left {money},
    -- Prices x 10^9, which order as numbers on every database.
    bid_key {bigint}, ask_key {bigint},
    -- The part of the day in which resting orders have met this quote.
    matched_in {text} NOT NULL CHECK (matched_in IN ('closed', 'extended', 'regular'))
){updated_table};

CREATE TABLE paper_accounts (
    connection_id {uuid} NOT NULL PRIMARY KEY,
    cash {money} NOT NULL,
    held {money} NOT NULL,
    last_seq {bigint} NOT NULL,
    opened_at {time} NOT NULL
){updated_table};

CREATE TABLE paper_positions (
    connection_id {uuid} NOT NULL REFERENCES paper_accounts (connection_id),
    asset_id {uuid} NOT NULL REFERENCES paper_assets (asset_id),
    quantity {money} NOT NULL,
    held {money} NOT NULL,
    PRIMARY KEY (connection_id, asset_id)
){updated_table};

CREATE TABLE paper_orders (
    id {uuid} NOT NULL PRIMARY KEY,
    connection_id {uuid} NOT NULL REFERENCES paper_accounts (connection_id),
    asset_id {uuid} NOT NULL REFERENCES paper_assets (asset_id),
    replaces {uuid},
    side {text} NOT NULL CHECK (side IN ('buy', 'sell')),
    limit_price {money},
    -- The limit x 10^9; market orders have the greatest (buy) or the least (sell).
    price_key {bigint} NOT NULL,
    time_in_force {text} NOT NULL CHECK (time_in_force IN ('day', 'gtc', 'ioc', 'fok')),
    quantity {money},
    notional {money},
    extended_hours {bool} NOT NULL,
    entered_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    -- When time alone does something to it: it begins to work, or it expires.
    due_at {time} NOT NULL,
    is_working {bool} NOT NULL,
    filled_quantity {money} NOT NULL,
    filled_cost {money} NOT NULL,
    fills {bigint} NOT NULL,
    held {money} NOT NULL,
    ended {text} CHECK (ended IN ('filled', 'canceled', 'expired', 'refused', 'replaced')),
    reason {text},
    closed_at {time},
    CHECK ((quantity IS NULL) <> (notional IS NULL)),
    CHECK ((ended IS NULL) = (closed_at IS NULL))
){updated_table};
CREATE INDEX paper_orders_resting ON paper_orders (asset_id, side, price_key) WHERE closed_at IS NULL;
CREATE INDEX paper_orders_due ON paper_orders (due_at) WHERE closed_at IS NULL;

CREATE TABLE paper_journal (
    connection_id {uuid} NOT NULL REFERENCES paper_accounts (connection_id),
    seq {bigint} NOT NULL,
    order_id {uuid} NOT NULL,
    at {time} NOT NULL,
    kind {text} NOT NULL,
    is_working {bool},
    fill_id {text},
    quantity {money},
    price {money},
    fee {money},
    is_done {bool},
    reason {text},
    PRIMARY KEY (connection_id, seq)
){table};
";
