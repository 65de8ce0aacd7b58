//! What the databases say, read from outside and reckoned without product code.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use rust_decimal::Decimal;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel,
    Statement, TransactionTrait,
};

use super::environment::program;
use super::place::Place;
use super::postgres::connect;
use super::wait::within;

/// How long our record may be behind the venue's journal.
const BEHIND_MAX: Duration = Duration::from_secs(8);

/// The tables that a refused request must leave as they are.
const KEPT: [&str; 14] = [
    "orders",
    "order_events",
    "order_work",
    "fills",
    "triggers",
    "trigger_exits",
    "reservations",
    "balances",
    "positions",
    "users",
    "accounts",
    "user_days",
    "account_days",
    "idempotency_keys",
];

/// One database of a place.
#[derive(Debug)]
pub(crate) struct Book {
    connection: DatabaseConnection,
    /// Where everything is read as it was at one moment.
    snapshot: Option<DatabaseTransaction>,
}

impl Book {
    /// Arbion's own tables.
    pub(crate) async fn open(place: &Place) -> Self {
        Self::on(&place.database_url()).await
    }

    /// The paper venue's tables.
    pub(crate) async fn open_paper(place: &Place) -> Self {
        Self::on(&place.paper_url()).await
    }

    async fn on(url: &str) -> Self {
        Self {
            connection: connect(url).await,
            snapshot: None,
        }
    }

    /// Arbion's own tables as they are at this moment, whatever the processes do meanwhile.
    async fn snapshot(place: &Place) -> Self {
        let mut book = Self::open(place).await;
        let connection = &book.connection;
        let begun = if book.is_postgres() {
            let level = Some(IsolationLevel::RepeatableRead);
            connection
                .begin_with_config(level, Some(AccessMode::ReadOnly))
                .await
        } else {
            connection.begin().await
        };
        book.snapshot = Some(begun.unwrap());
        book
    }

    fn is_postgres(&self) -> bool {
        self.connection.get_database_backend() == DbBackend::Postgres
    }

    /// An id as 32 hexadecimal digits.
    fn id(&self, column: &str) -> String {
        if self.is_postgres() {
            format!("replace({column}::text, '-', '')")
        } else {
            format!("lower(hex({column}))")
        }
    }

    /// Any value as text, empty where there is none.
    fn text(&self, column: &str) -> String {
        if self.is_postgres() {
            format!("coalesce({column}::text, '')")
        } else {
            format!("coalesce(CAST({column} AS TEXT), '')")
        }
    }

    /// The venue's table `name`.
    fn paper(&self, name: &str) -> String {
        if self.is_postgres() {
            format!("paper.{name}")
        } else {
            name.to_owned()
        }
    }

    /// Rows of texts.
    pub(crate) async fn rows<const N: usize>(&self, sql: &str) -> Vec<[String; N]> {
        let statement = Statement::from_string(self.connection.get_database_backend(), sql);
        let rows = match &self.snapshot {
            Some(snapshot) => snapshot.query_all_raw(statement).await,
            None => self.connection.query_all_raw(statement).await,
        };
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let texts = rows
            .iter()
            .map(|row| std::array::from_fn(|index| row.try_get_by_index(index).unwrap()));
        texts.collect()
    }

    /// How many rows of `table` fulfil `condition`.
    pub(crate) async fn count(&self, table: &str, condition: &str) -> u64 {
        let sql = format!("SELECT {} FROM {table} WHERE {condition}", self.text("count(*)"));
        let [[count]] = self.rows::<1>(&sql).await.try_into().unwrap();
        count.parse().unwrap()
    }

    /// How many rows of the paper venue's `table` fulfil `condition`.
    pub(crate) async fn paper_count(&self, table: &str, condition: &str) -> u64 {
        self.count(&self.paper(table), condition).await
    }

    /// Changes the paper venue's `table` behind the back of the processes.
    pub(crate) async fn change_paper(&self, table: &str, change: &str) {
        self.change(&format!("UPDATE {} SET {change}", self.paper(table)))
            .await;
    }

    /// Changes something behind the back of the processes.
    pub(crate) async fn change(&self, sql: &str) {
        self.connection.execute_unprepared(sql).await.unwrap();
    }

    async fn dump(&self, table: &str) -> Vec<String> {
        let row = if self.is_postgres() {
            "t::text".to_owned()
        } else {
            let columns = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid");
            let columns = self.rows::<1>(&columns).await;
            let quoted: Vec<String> = columns.iter().map(|[name]| format!("quote({name})")).collect();
            quoted.join(" || ',' || ")
        };
        let rows = self
            .rows::<1>(&format!("SELECT {row} FROM {table} t ORDER BY 1"))
            .await;
        rows.into_iter().map(|[row]| row).collect()
    }

    /// The sum of `amount` per `owner` (one or two columns).
    async fn sums(&self, table: &str, owner: [&str; 2], amount: &str, condition: &str) -> Sums {
        let (first, second) = (self.key(owner[0]), self.key(owner[1]));
        let amount = self.text(amount);
        let rows = self
            .rows::<3>(&format!(
                "SELECT {first}, {second}, {amount} FROM {table} WHERE {condition}"
            ))
            .await;
        let mut sums = Sums::new();
        for [first, second, amount] in rows {
            *sums.entry((first, second)).or_default() += amount.parse::<Decimal>().unwrap();
        }
        sums.retain(|_, sum| !sum.is_zero());
        sums
    }

    /// A column of ids (`…_id`, `id`) or of texts, for reading.
    fn key(&self, column: &str) -> String {
        if column == "id" || column.ends_with("_id") {
            self.id(column)
        } else {
            self.text(column)
        }
    }
}

type Sums = BTreeMap<(String, String), Decimal>;

/// Every row of the tables that a refused request must not touch.
pub(crate) async fn checksums(place: &Place) -> BTreeMap<&'static str, Vec<String>> {
    let book = Book::snapshot(place).await;
    let mut tables = BTreeMap::new();
    for table in KEPT {
        tables.insert(table, book.dump(table).await);
    }
    tables
}

/// Checks the whole ledger from its events and fills by `arbion audit ledger`, and the fills by the venue's journal.
pub(crate) async fn audit(place: &Place) {
    let (code, report) = audit_ledger(place);
    assert_eq!(code, Some(0), "{report}");
    the_venue_agrees(place).await;
}

/// Runs `arbion audit ledger`; answers how it ended and what it printed.
pub(crate) fn audit_ledger(place: &Place) -> (Option<i32>, String) {
    let output = Command::new(program("arbion"))
        .args(["audit", "ledger"])
        .env_clear()
        .envs(place.environment())
        .current_dir(place.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let texts = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.code(), texts.concat())
}

/// Exactly once by the venue's own journal: what it filled for an order is what we recorded, a moment later.
async fn the_venue_agrees(place: &Place) {
    let (book, paper) = (Book::open(place).await, Book::open_paper(place).await);
    let table = paper.paper("paper_journal");
    let at_the_venue = "connection_id IN (SELECT id FROM broker_connections WHERE broker = 'paper')";
    within(
        BEHIND_MAX,
        "our fills are those of the venue's journal",
        async || {
            let ours = book
                .sums("fills", ["order_id", "''"], "quantity", at_the_venue)
                .await;
            let theirs = paper
                .sums(&table, ["order_id", "''"], "quantity", "fill_id IS NOT NULL")
                .await;
            (ours == theirs).then_some(())
        },
    )
    .await;
}
