//! Databases for tests: a new one for each test, migrated, gone when the test ends.
//!
//! ```ignore
//! store::testing::on_both! {
//!     async fn a_user_is_found_by_email(test: TestStore) {
//!         test.store().create_user(…).await.unwrap();
//!     }
//! }
//! ```
//!
//! makes two tests of the body, `sqlite::a_user_is_found_by_email` and `postgres::a_user_is_found_by_email`; once in a
//! module, with as many functions as there are. PostgreSQL is the server that `TEST_DATABASE_URL` names (`./test` starts
//! one); without it the PostgreSQL tests fail.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test support: a test without its database can only fail"
)]

mod log;
mod people;
mod server;

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use domain::asset::{Asset, AssetClass};
use domain::id::{AccountId, ConnectionId, UserId};
use rust_decimal::Decimal;
use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;

use crate::users::Role;
use crate::{Store, StoreOptions};

#[doc(inline)]
pub use crate::on_both;

pub use self::log::json_log;

/// The time at which the tests' rows are made: a Tuesday of 2026, 10:30 in New York.
pub const NOW: &str = "2026-11-24T15:30:00Z";

/// [`NOW`] as a time.
pub fn now() -> DateTime<Utc> {
    NOW.parse().unwrap_or_default()
}

/// A database of one test. It is removed when this is dropped.
#[derive(Debug)]
pub struct TestStore {
    store: Store,
    options: StoreOptions,
    // Dropped after the connections that use it.
    _place: Place,
}

#[derive(Debug)]
enum Place {
    File(#[expect(dead_code, reason = "removes the file when it is dropped")] TempDir),
    Server(#[expect(dead_code, reason = "removes the database when it is dropped")] server::Database),
}

/// A user with one account that can trade.
#[derive(Debug, Clone, Copy)]
pub struct Trader {
    /// The user.
    pub user: UserId,
    /// The account.
    pub account: AccountId,
    /// Where its orders go.
    pub connection: ConnectionId,
}

impl TestStore {
    /// An empty database in a SQLite file.
    pub async fn sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let options = StoreOptions::new(format!("sqlite:{}", directory.path().join("test.db").display()));
        let store = Store::connect(&options).await.unwrap();
        migrations::migrate::<migrations::Migrator>(store.write())
            .await
            .unwrap();
        Self {
            store,
            options,
            _place: Place::File(directory),
        }
    }

    /// An empty database on the tests' PostgreSQL server.
    pub async fn postgres() -> Self {
        let database = server::Database::create().await;
        let options = StoreOptions {
            max_connections: 8,
            ..StoreOptions::new(database.url())
        };
        Self {
            store: Store::connect(&options).await.unwrap(),
            options,
            _place: Place::Server(database),
        }
    }

    /// The store of the test.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// How the database is reached.
    pub const fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// The store of another process on the same database.
    pub async fn second(&self) -> Store {
        Store::connect(&self.options).await.unwrap()
    }

    /// Lets every use of `table` fail from now on.
    pub async fn take_away(&self, table: &str) {
        let sql = format!("ALTER TABLE {table} RENAME TO taken_away");
        self.write().execute_unprepared(&sql).await.unwrap();
    }

    /// A new user of `role` with an account that has `cash`.
    pub async fn trader(&self, role: Role, cash: Decimal) -> Trader {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let email = format!("trader{}@example.com", COUNT.fetch_add(1, Ordering::Relaxed));
        let user = self.store.create_user(&email, role, now()).await.unwrap();
        let account = self.store.create_account(user, cash, now()).await.unwrap();
        Trader {
            user,
            account: account.account,
            connection: account.connection,
        }
    }

    /// The instrument `symbol`, put into the database: crypto where it has a slash, else a US share.
    pub async fn asset(&self, symbol: &str) -> Asset {
        let asset = asset(symbol);
        self.store
            .upsert_assets(std::slice::from_ref(&asset))
            .await
            .unwrap();
        asset
    }
}

/// An instrument by its symbol: crypto where it has a slash, else a US share.
pub fn asset(symbol: &str) -> Asset {
    let is_crypto = symbol.contains('/');
    let class = if is_crypto {
        AssetClass::Crypto
    } else {
        AssetClass::UsEquity
    };
    let step = Decimal::new(1, 9);
    Asset {
        id: Asset::id_of(class, symbol),
        symbol: symbol.to_owned(),
        class,
        exchange: if is_crypto { "CRYPTO" } else { "NASDAQ" }.to_owned(),
        name: format!("{symbol} for tests"),
        tradable: true,
        fractionable: true,
        min_order_size: step,
        min_trade_increment: step,
        price_increment: Decimal::new(1, 2),
    }
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// Makes of each function two tests, on SQLite and on PostgreSQL; see [`testing`](crate::testing).
#[macro_export]
macro_rules! on_both {
    ($($(#[$attribute:meta])* async fn $name:ident($test:ident: $store:ident) $body:block)+) => {
        $($(#[$attribute])* async fn $name($test: &$store) $body)+

        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(&$crate::testing::TestStore::sqlite().await).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(&$crate::testing::TestStore::postgres().await).await;
                }
            )+
        }
    };
}
