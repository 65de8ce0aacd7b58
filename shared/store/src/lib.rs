//! The only place that knows SQL on Arbion's own tables.

pub mod accounts;
pub mod assets;
pub mod attempts;
mod book;
pub mod cause;
mod codes;
pub mod connect;
pub mod connections;
pub mod credentials;
pub mod entity;
pub mod error;
pub mod health;
pub mod idempotency;
pub mod lease;
mod ledger;
pub mod marks;
pub mod money;
pub mod orders;
pub mod reports;
pub mod sweeps;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;
mod time;
mod transaction;
pub mod triggers;
pub mod update_many;
pub mod users;
pub mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{DatabaseConnection, DbBackend};

pub use accounts::{AccountView, NewAccount};
pub use attempts::{AttemptOutcome, Begin, Dispatch, LookUp};
pub use cause::Cause;
pub use connect::StoreOptions;
pub use connections::ConnectionView;
pub use credentials::{NewApiKey, StoredCredential};
pub use error::StoreError;
pub use lease::LeaseGrant;
pub use ledger::Fees;
pub use money::{Money, Rate};
pub use orders::{
    AcceptContext, AcceptRequest, Accepted, CancelAnswer, ExitCause, IdempotencyKey, OrderEventRow,
    OrderFilter, PositionRow, Refusal, ReplaceRefusal, Replacement, RoleLimits, SavedAnswer, StatusFilter,
    SubmissionView,
};
pub use reports::Recorded;
pub use sweeps::{SweepClaim, SweepCounts, SweepPart};
pub use transaction::{TransactionStats, Tx};
pub use triggers::{Fired, Firing, NewTrigger, TriggerCancel};
pub use update_many::update_many;
pub use users::{Bootstrap, BootstrapOptions, Role};
pub use work::{Claim, WorkKind};

/// The database of an installation. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Store {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    pool_size: u32,
    statements: Arc<AtomicU64>,
    counters: transaction::Counters,
}

impl Store {
    /// Connects; the schema must be there already.
    pub async fn connect(options: &StoreOptions) -> Result<Self, StoreError> {
        let (mut writer, mut reader) = if options.backend()? == DbBackend::Sqlite {
            let writer = options.sqlite_writer().await?;
            (writer, options.sqlite_readers().await?)
        } else {
            let pool = options.postgres().await?;
            (pool.clone(), pool)
        };
        let statements = Arc::new(AtomicU64::new(0));
        for connection in [&mut writer, &mut reader] {
            let statements = Arc::clone(&statements);
            connection.set_metric_callback(move |_| {
                statements.fetch_add(1, Ordering::Relaxed);
            });
        }
        Ok(Self {
            writer,
            reader,
            pool_size: options.max_connections,
            statements,
            counters: transaction::Counters::default(),
        })
    }

    /// For reading: the last committed state. On SQLite it cannot write.
    pub const fn read(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// For a single statement that is its own transaction. On SQLite it is the one connection that writes.
    pub const fn write(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Which database it is.
    pub fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// How many statements this store has sent, BEGIN and COMMIT not counted.
    pub fn statement_count(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// What the transactions of each name have cost this process.
    pub fn transaction_stats(&self) -> BTreeMap<&'static str, TransactionStats> {
        self.counters.all()
    }

    /// Ends all connections, after their present statements.
    pub async fn close(self) -> Result<(), StoreError> {
        self.reader.close().await?;
        self.writer.close().await?;
        Ok(())
    }
}
