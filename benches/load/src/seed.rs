//! What is in the databases before a measurement: users, accounts, keys, and orders of the past.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Bench;
use crate::load::Key;
use crate::report::progress;
use crate::servers::Postgres;

/// What is traded: liquid instruments of the catalogue.
pub(crate) const SYMBOLS: [&str; 10] = [
    "AAPL", "MSFT", "GOOGL", "GOOG", "AMZN", "NVDA", "META", "TSLA", "SPY", "QQQ",
];

/// The secret of every key.
const SECRET: &str = "the-secret-of-all-keys-of-the-benchmark-0001";

/// The database with many closed orders.
pub(crate) const AGED: &str = "bench_aged";

/// How many accounts the aged database has; ten of them can be used as hot ones.
pub(crate) const MANY: usize = 1_000;

/// The keys of the first `accounts` accounts.
pub(crate) fn keys(accounts: usize) -> Vec<Key> {
    (0..accounts).map(key).collect()
}

/// The key of an account; they count from 0.
pub(crate) fn key(account: usize) -> Key {
    Key {
        id: format!("PKBENCH{account:013}"),
        secret: SECRET.to_owned(),
    }
}

/// A number that no request of this process has had.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Ids in SQL: the kind of row, and the number of the account as an expression.
fn id(kind: u8, number: &str) -> String {
    format!("('00000000-0000-7000-800{kind}-' || lpad(({number})::text, 12, '0'))::uuid")
}

/// Makes a database with both schemas and `accounts` accounts, each with a user and a key, and answers its name.
pub(crate) fn database(bench: &Bench, accounts: usize) -> String {
    let name = format!("bench_seed_{accounts}");
    bench.postgres.remove(&name);
    bench.postgres.value(&format!("CREATE DATABASE {name}"));
    migrate(bench, &name).unwrap();
    bench.postgres.run(&name, &people(accounts));
    name
}

/// Brings `database` to the schemas of today, or says why that can't be.
fn migrate(bench: &Bench, database: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(bench.programs.join("arbion"))
        .arg("migrate")
        .env_clear()
        .env("DATABASE_URL", bench.postgres.url(database))
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The SQL of users, accounts and keys. Their money is out of the way, as are the limits of a superadmin, which the
/// programs are given.
fn people(accounts: usize) -> String {
    let (user, connection, account, key) = (id(1, "n"), id(2, "n"), id(3, "n"), id(4, "n"));
    let n = format!("FROM generate_series(0, {}) AS n", accounts - 1);
    format!(
        "INSERT INTO users (id, email, role, is_active, created_at) \
           SELECT {user}, 'bot' || n || '@localhost', 'superadmin', true, now() {n};
         INSERT INTO broker_connections (id, user_id, broker, mode, starting_cash, created_at) \
           SELECT {connection}, {user}, 'paper', 'paper', 9000000000, now() {n};
         INSERT INTO accounts (id, account_number, user_id, broker_connection_id, mode, created_at) \
           SELECT {account}, 'PA' || lpad(n::text, 10, '0'), {user}, {connection}, 'paper', now() {n};
         INSERT INTO balances (account_id, currency, amount) SELECT {account}, 'USD', 9000000000 {n};
         INSERT INTO credentials (id, user_id, account_id, kind, key_id, hash, name, scopes, created_at) \
           SELECT {key}, {user}, {account}, 'api_key', 'PKBENCH' || lpad(n::text, 13, '0'), \
                  sha256('{SECRET}'::bytea), 'bench', 'trading data', now() {n};
         ANALYZE;"
    )
}

/// The columns of `orders` that are written at acceptance.
const COLUMNS: &str = "id, user_id, account_id, group_id, client_order_id, asset_id, symbol, asset_class, side, kind, \
    quantity, limit_price, time_in_force, extended_hours, reserve_rate, exposure_rate, trading_date, submitted_at, \
    updated_at, submission, is_working, filled_quantity, filled_cost";

/// Values of those columns for an open order: `order`, `user` and `account` are expressions.
fn values(order: &str, user: &str, account: &str) -> String {
    format!(
        "{order}, {user}, {account}, {order}, ({order})::text, '00000000-0000-5000-8000-000000000001'::uuid, 'AAPL', \
         'us_equity', 'buy', 'limit', 1, 10.25, 'day', false, 10.25, 10.25, current_date, now(), now(), 'unsent', \
         false, 0, 0"
    )
}

/// The pgbench script of one order's row; the id comes twice, as the order's and its group's.
pub(crate) fn one_row(accounts: usize) -> String {
    let (user, account) = (id(1, ":n"), id(3, ":n"));
    format!(
        "\\set n random(0, {})\nINSERT INTO orders ({COLUMNS}) SELECT {} FROM (SELECT gen_random_uuid() AS id OFFSET 0) AS o;\n",
        accounts - 1,
        values("o.id", &user, &account)
    )
}

/// The pgbench script of the rows that accepting one order writes, in all tables.
pub(crate) fn all_tables(accounts: usize) -> String {
    let (user, account) = (id(1, ":n"), id(3, ":n"));
    let cause = r#"{"by":"request","request_id":"0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000","credential_id":"00000000-0000-7000-8004-000000000000"}"#;
    format!(
        "\\set n random(0, {last})\n\
         WITH u AS (UPDATE users SET notional_open = notional_open + 10.25 WHERE id = {user} RETURNING id), \
         a AS (UPDATE accounts SET last_event_seq = last_event_seq + 1, risk_version = risk_version + 1 \
               WHERE id = {account} RETURNING id, user_id, last_event_seq, gen_random_uuid() AS order_id), \
         b AS (UPDATE balances SET reserved = reserved + 10.25 WHERE account_id = {account} AND currency = 'USD'), \
         o AS (INSERT INTO orders ({COLUMNS}) SELECT {values} FROM a), \
         e AS (INSERT INTO order_events (account_id, seq, order_id, kind, at, cause, data) \
               SELECT a.id, a.last_event_seq, a.order_id, 'accepted', now(), '{cause}', '{{}}' FROM a), \
         w AS (INSERT INTO order_work (order_id, kind, account_id, due_at) \
               SELECT a.order_id, 'submit', a.id, clock_timestamp() FROM a) \
         INSERT INTO reservations (group_id, account_id, currency, remaining) \
               SELECT a.order_id, a.id, 'USD', 10.25 FROM a;\n",
        last = accounts - 1,
        values = values("a.order_id", "a.user_id", "a.id")
    )
}

/// Makes sure that the aged database is there, with the schema that `seed` has, and says whether it can be used.
pub(crate) fn aged(bench: &Bench, seed: &str) -> bool {
    if bench.aged == 0 {
        return false;
    }
    let postgres = &bench.postgres;
    let wanted = bench.aged.to_string();
    let comment =
        "SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = ";
    if postgres.has(AGED)
        && postgres.value(&format!("{comment}'{AGED}'")) == wanted
        && migrate(bench, AGED).is_ok()
        && postgres.run(AGED, SHAPE) == postgres.run(seed, SHAPE)
    {
        return true;
    }
    postgres.remove(AGED);
    let needed = bench.aged * BYTES_EACH / 1_048_576;
    let free = free_mebibytes(postgres.disk());
    if free < needed + RESERVE_MEBIBYTES {
        progress(&format!(
            "no aged database: it needs {needed} MiB and {free} MiB are free"
        ));
        return false;
    }
    progress("making the aged database, once");
    postgres.copy(seed, AGED);
    postgres.run(AGED, &past(bench.aged));
    postgres.run(AGED, "VACUUM (FREEZE, ANALYZE)");
    postgres.value("CHECKPOINT");
    // Else the disk still writes those gigabytes while the first run is measured.
    assert!(Command::new("sync").status().unwrap().success());
    postgres.value(&format!("COMMENT ON DATABASE {AGED} IS '{wanted}'"));
    true
}

/// What an order of the past takes on the disk, with its event and all indexes, and the log while it is made.
const BYTES_EACH: u64 = 1_150;

/// What must stay free.
const RESERVE_MEBIBYTES: u64 = 4_096;

/// A word for the tables as they are: another schema makes the aged database useless.
const SHAPE: &str = "SELECT md5(string_agg(x, ',' ORDER BY x)) FROM (\
    SELECT table_name || column_name || data_type AS x FROM information_schema.columns WHERE table_schema = 'public' \
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public') AS shape";

fn free_mebibytes(path: &Path) -> u64 {
    let output = Command::new("df")
        .args(["--output=avail", "--block-size=1M"])
        .arg(path)
        .output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines()
        .nth(1)
        .and_then(|line| line.trim().parse().ok())
        .unwrap_or(0)
}

/// The SQL of filled orders, each with its event, over the last ten weeks. Ids are of version 7, so that they sort by
/// time as the product's do. Indexes are made afterwards, which is how they look after a while of sequential ids.
fn past(orders: u64) -> String {
    let (user, account) = (id(1, &format!("n % {MANY}")), id(3, &format!("n % {MANY}")));
    let order = "(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - ($ORDERS - n) * 600), 12, '0') || '7' || \
                 substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 5, 15))::uuid";
    let order = order.replace("$ORDERS", &orders.to_string());
    let at = format!("now() - ({orders} - n) * interval '600 milliseconds'");
    format!(
        "SET synchronous_commit = off; SET work_mem = '256MB'; SET maintenance_work_mem = '512MB';
         CREATE TEMP TABLE indexes AS SELECT indexname, indexdef FROM pg_indexes \
           WHERE tablename IN ('orders', 'order_events') AND indexname NOT IN \
             (SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u'));
         DO $$ DECLARE name text; BEGIN FOR name IN SELECT indexname FROM indexes LOOP \
           EXECUTE 'DROP INDEX ' || name; END LOOP; END $$;
         INSERT INTO orders ({COLUMNS}, broker_order_id, closed_at, closed_how) \
           SELECT o, {user}, {account}, o, o::text, '00000000-0000-5000-8000-000000000001', 'AAPL', 'us_equity', \
             'buy', 'limit', 1, 10.25, 'day', false, 10.25, 10.25, at::date, at, at + interval '4 milliseconds', \
             'acknowledged', true, 1, 10.2, o::text, at + interval '4 milliseconds', 'filled' \
           FROM (SELECT n, {order} AS o, {at} AS at FROM generate_series(1, {orders}::bigint) AS n OFFSET 0) AS p;
         INSERT INTO order_events (account_id, seq, order_id, kind, at, cause, data) \
           SELECT account_id, row_number() OVER (PARTITION BY account_id ORDER BY submitted_at), id, 'filled', \
             submitted_at, '{{\"by\":\"venue\",\"broker\":\"paper\"}}', '{{\"price\":\"10.2\",\"qty\":\"1\"}}' FROM orders;
         UPDATE accounts AS a SET last_event_seq = e.seq \
           FROM (SELECT account_id, max(seq) AS seq FROM order_events GROUP BY account_id) AS e WHERE e.account_id = a.id;
         DO $$ DECLARE made text; BEGIN FOR made IN SELECT indexdef FROM indexes LOOP \
           EXECUTE made; END LOOP; END $$;"
    )
}

/// Takes away what a run has added to the aged database.
pub(crate) fn forget_new(postgres: &Postgres) {
    postgres.run(
        AGED,
        "CREATE TEMP TABLE added AS SELECT order_id FROM order_work;
         DELETE FROM order_events AS e USING added AS n WHERE e.order_id = n.order_id;
         DELETE FROM orders AS o USING added AS n WHERE o.id = n.order_id;
         TRUNCATE order_work, reservations;
         UPDATE balances SET reserved = 0 WHERE reserved <> 0;
         UPDATE users SET notional_open = 0 WHERE notional_open <> 0;
         UPDATE accounts AS a SET last_event_seq = \
           (SELECT coalesce(max(seq), 0) FROM order_events AS e WHERE e.account_id = a.id);",
    );
    for table in ["orders", "order_events", "users", "accounts", "balances"] {
        postgres.run(AGED, &format!("VACUUM {table}"));
    }
}
