//! The only place that knows SQL on Arbion's own tables.
//!
//! A use case is one method of [`Store`]: it loads in a transaction, lets `domain` decide, and writes the result. Reading
//! order:
//!
//! 1. [`entity`]: the tables, and [`money`]: how exact decimals are kept on both databases;
//! 2. [`Store::transaction`] and [`StoreError`]: what may fail, and what is tried again;
//! 3. [`users`], [`sessions`], [`accounts`], [`credentials`], [`oauth`], [`assets`]: who comes in how, who acts for whom, and
//!    trades what;
//! 4. [`orders`]: accepted, read, canceled and replaced, over a ledger that one transaction fills, decides on and writes;
//! 5. [`work`], [`attempts`], [`reports`]: what remains to be done, each call to a broker, and what it reports;
//! 6. [`triggers`], [`sweeps`], [`marks`]: stops, the net that finds those that are through, and which prices to believe;
//! 7. [`lease`], [`keeper`], [`idempotency`], [`health`]: who may do what only one may do, answers that are kept, and whether the
//!    database is there;
//! 8. [`users`], [`sessions`], [`credentials`]: who gets in, and by what;
//! 9. [`broker_secrets`]: what connections log in with, sealed;
//! 10. [`audit_log`]: who did what that concerns security, and the seals of this log and of the orders' events.
//!
//! Invariants:
//!
//! 1. No decision is made in SQL, and nobody else sends SQL to these tables.
//! 2. Row locks are taken in one order: users, accounts, positions, orders, triggers, each by ascending id, as
//!    `FOR NO KEY UPDATE`. SQLite has one writer, which holds the only lock from BEGIN.
//! 3. Leases and claims go by the database's time.
//! 4. A transaction runs again only where PostgreSQL says that it has undone it. A COMMIT without an answer is neither
//!    success nor failure.

pub mod accounts;
mod acting;
pub mod assets;
pub mod attempts;
pub mod audit_log;
mod book;
pub mod broker_secrets;
pub mod cause;
mod codes;
pub mod connect;
pub mod connections;
pub mod credentials;
pub mod entity;
pub mod error;
mod halves;
pub mod health;
pub mod idempotency;
pub mod keeper;
pub mod lease;
mod ledger;
pub mod marks;
pub mod money;
pub mod oauth;
pub mod orders;
pub mod reports;
mod rows;
pub mod sessions;
pub mod sweeps;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;
mod time;
mod transaction;
pub mod triggers;
pub mod users;
pub mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{DatabaseConnection, DbBackend};

pub use accounts::{AccountView, NewAccount};
pub use attempts::{
    AfterLookUp, AttemptOutcome, Begin, Dispatch, End, Ended, LookUp, MISSED_CHECK, NewAttempt, RecordedAll,
};
pub use audit_log::{AuditCursor, AuditEvent, AuditFilter, AuditKind, AuditPage, Sealed, Sealer};
pub use broker_secrets::{BrokerSecrets, BrokerSecretsError, KeptSecret, Resealed, Rotation};
pub use cause::Cause;
pub use connect::StoreOptions;
pub use connections::ConnectionView;
pub use credentials::{ApiKeyView, KEYS_MAX, KEYS_PAGE_MAX, NewApiKey, NewKey, StoredCredential};
pub use error::StoreError;
pub use keeper::{Kept, LEASE, LeaseKeeper};
pub use lease::LeaseGrant;
pub use ledger::Fees;
pub use money::{Money, Rate};
pub use oauth::{Issued, OAuthClient, Redemption};
pub use orders::{
    AcceptContext, AcceptRequest, Accepted, CancelAnswer, ExitCause, IdempotencyKey, OrderEventRow,
    OrderFilter, PositionRow, Refusal, ReplaceRefusal, Replacement, RoleLimits, SavedAnswer, StatusFilter,
    SubmissionView,
};
pub use reports::{Recorded, ReportsRead};
pub use rows::update_many;
pub use sessions::{NewSession, Renewal, SessionView, StoredSession};
pub use sweeps::{SweepClaim, SweepCounts, SweepPart};
pub use transaction::{TransactionStats, Tx};
pub use triggers::{Candidates, Fired, Firing, NewTrigger, Salvo, Search, Stuck, TriggerCancel, Watch};
pub use users::administration::{
    LimitChange, USERS_PAGE_MAX, UserChange, UserChangeError, UserFilter, UserView,
};
pub use users::logins::{Login, NewUser};
pub use users::{Bootstrap, BootstrapOptions, Role, UserLimits};
pub use work::{Claim, WorkKind};

/// The database of an installation. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Store {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    pool_size: u32,
    transaction_timeout: Duration,
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
            transaction_timeout: options.transaction_timeout,
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

    /// How many statements this store has sent, BEGIN and COMMIT not counted; those sent in one text count once.
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
