//! The database schema: Arbion's tables, and the paper venue's.

pub mod dialect;
mod m20261124_000001_schema;
mod paper_m20261124_000001_book;

use sea_orm_migration::prelude::*;

/// The migrations of Arbion's own tables.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261124_000001_schema::Migration)]
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
        vec![Box::new(paper_m20261124_000001_book::Migration)]
    }

    fn migration_table_name() -> DynIden {
        "paper_migrations".into_iden()
    }
}
