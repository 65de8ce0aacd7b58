//! Resting orders in the order in which they meet a quote, so that only those are read that its size can fill.
//!
//! | index | replaces | answers |
//! |---|---|---|
//! | `paper_orders_buys`, `paper_orders_sells` | `paper_orders_resting` | the best orders of a side, oldest first at a price |
//!
//! On PostgreSQL the rows of orders and of the journal no longer check that their account and instrument exist: whoever
//! writes them has just read and locked those rows, and the look-ups cost more than half of the insert. SQLite, which
//! cannot drop a constraint, keeps its cheaper ones.
//!
//! The release before this one runs on: the indexes answer its question for the orders of a side as well, and that for
//! instruments with open orders is answered by `paper_orders_due`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Changes the venue's indexes and constraints.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "paper_m20261125_000001_queues"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        connection.execute_unprepared(QUEUES).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            connection.execute_unprepared(CONSTRAINTS).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const QUEUES: &str = "
CREATE INDEX paper_orders_buys ON paper_orders (asset_id, price_key DESC, entered_at, id)
    WHERE closed_at IS NULL AND side = 'buy';
CREATE INDEX paper_orders_sells ON paper_orders (asset_id, price_key, entered_at, id)
    WHERE closed_at IS NULL AND side = 'sell';
DROP INDEX paper_orders_resting;
";

const CONSTRAINTS: &str = "
ALTER TABLE paper_orders
    DROP CONSTRAINT paper_orders_connection_id_fkey,
    DROP CONSTRAINT paper_orders_asset_id_fkey;
ALTER TABLE paper_journal DROP CONSTRAINT paper_journal_connection_id_fkey;
";
