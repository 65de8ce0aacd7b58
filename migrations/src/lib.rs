//! The database schema: Arbion's tables, and the paper venue's.
//!
//! 1. Each of the two has its own [migrator](Migrator), with its own table of what was applied.
//! 2. [`migrate`] may run in many processes at once: one applies, the others wait and find nothing to do.
//! 3. Pending migrations are applied all together or not at all.
//! 4. A migration never breaks the release before it: see the README beside this crate.

pub mod dialect;
mod m20261124_000001_schema;
mod m20261125_000001_sweeps;
mod m20261125_000002_user_risk_version;
mod m20261125_000003_trigger_exits;
mod m20261128_000001_people;
mod m20261128_000002_oauth;
mod m20261128_000003_audit;
mod m20261128_000004_broker_secrets;
mod paper_m20261124_000001_book;
mod paper_m20261125_000001_queues;

use std::collections::BTreeSet;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};
use thiserror::Error;

/// The migrations of Arbion's own tables.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261124_000001_schema::Migration),
            Box::new(m20261125_000001_sweeps::MIGRATION),
            Box::new(m20261125_000002_user_risk_version::MIGRATION),
            Box::new(m20261125_000003_trigger_exits::Migration),
            Box::new(m20261128_000001_people::MIGRATION),
            Box::new(m20261128_000002_oauth::MIGRATION),
            Box::new(m20261128_000003_audit::MIGRATION),
            Box::new(m20261128_000004_broker_secrets::MIGRATION),
        ]
    }

    fn migration_table_name() -> DynIden {
        "arbion_migrations".into_iden()
    }
}

/// The migrations of the paper venue's tables, which live in a schema or file of their own.
#[derive(Debug)]
pub struct PaperMigrator;

impl MigratorTrait for PaperMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(paper_m20261124_000001_book::Migration),
            Box::new(paper_m20261125_000001_queues::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        "paper_migrations".into_iden()
    }
}

/// Names the lock under which PostgreSQL is migrated, whatever the migrator: `arbion` as a number.
const LOCK: i64 = 0x6172_6269_6f6e;

/// How long one start waits for another one that migrates, in PostgreSQL's words. It also bounds the wait for the locks
/// of a table in use, during which everybody else waits behind this one.
const LOCK_TIMEOUT: &str = "60s";

/// The schema could not be brought up to date.
#[derive(Debug, Error)]
#[error("cannot migrate the database")]
pub struct MigrateError(#[from] DbErr);

/// What a program does when it starts: [`migrate`]s, and says in the log what that changed. Answers the names.
pub async fn migrate_at_start<M: MigratorTrait>(
    connection: &DatabaseConnection,
) -> Result<Vec<String>, MigrateError> {
    let applied = migrate::<M>(connection).await?;
    if !applied.is_empty() {
        tracing::info!(migrations = applied.join(","), "migrated the database");
    }
    Ok(applied)
}

/// Applies what is pending, in one transaction, and answers with the names. Safe to be called by many processes at once.
pub async fn migrate<M: MigratorTrait>(connection: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    if pending::<M>(connection).await?.is_empty() {
        return Ok(Vec::new());
    }
    let transaction = lock(connection).await?;
    // Another process may have been faster.
    let names = pending::<M>(&transaction).await?;
    if !names.is_empty() {
        M::up(&transaction, None).await?;
    }
    transaction.commit().await?;
    Ok(names)
}

/// The names of the migrations that this program has and the database has not, in order. It only reads; what a newer
/// program has applied besides does not concern this one.
pub async fn pending<M: MigratorTrait>(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let applied = applied::<M>(connection).await?;
    Ok(M::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .filter(|name| !applied.contains(name))
        .collect())
}

async fn applied<M: MigratorTrait>(connection: &impl ConnectionTrait) -> Result<BTreeSet<String>, DbErr> {
    let table = M::migration_table_name().to_string();
    let backend = connection.get_database_backend();
    let exists = match backend {
        DbBackend::Postgres => "SELECT 1 AS one WHERE to_regclass($1) IS NOT NULL",
        _ => "SELECT 1 AS one FROM sqlite_master WHERE type = 'table' AND name = $1",
    };
    let exists = Statement::from_sql_and_values(backend, exists, [table.clone().into()]);
    if connection.query_one_raw(exists).await?.is_none() {
        return Ok(BTreeSet::new());
    }
    let versions = Statement::from_string(backend, format!("SELECT version FROM \"{table}\""));
    let rows = connection.query_all_raw(versions).await?;
    rows.iter().map(|row| row.try_get("", "version")).collect()
}

/// A transaction that no other one of this function overlaps.
async fn lock(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        return connection.begin_with_options(options).await;
    }
    let transaction = connection.begin().await?;
    let limits = format!("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'");
    transaction.execute_unprepared(&limits).await?;
    transaction
        .execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})"))
        .await?;
    Ok(transaction)
}
