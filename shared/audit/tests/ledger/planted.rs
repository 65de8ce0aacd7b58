//! One value changed: exactly it is named.

use audit::{Difference, Report};
use sea_orm::{ConnectionTrait, DbBackend, TransactionTrait};
use store::testing::TestStore;
use uuid::Uuid;

use crate::given::{History, history};

async fn audited(test: &TestStore) -> Report {
    let connection = audit::connect(&test.options().url).await.unwrap();
    audit::audit_ledger(&connection).await.unwrap()
}

/// An id as the database writes it.
fn literal(test: &TestStore, id: impl Into<Uuid>) -> String {
    let id: Uuid = id.into();
    if test.backend() == DbBackend::Postgres {
        format!("'{id}'")
    } else {
        format!("x'{}'", id.simple())
    }
}

/// One planted difference: SQL, in which `{name}` stands for an id, and what names it.
struct Case {
    sql: &'static str,
    named: Vec<Difference>,
}

/// A case with its differences as (table, key, column, stored, computed).
fn case<const N: usize>(
    sql: &'static str,
    named: [(&'static str, &str, &'static str, &str, &str); N],
) -> Case {
    let named = named.map(|(table, key, column, stored, computed)| Difference {
        table,
        key: key.to_owned(),
        column,
        stored: stored.to_owned(),
        computed: computed.to_owned(),
    });
    Case {
        sql,
        named: named.into(),
    }
}

/// Amounts that follow from fills and open orders.
#[expect(clippy::too_many_lines, reason = "a table: one planted difference a row")]
fn money(made: &History) -> Vec<Case> {
    let account = made.trader.account.to_string();
    let shares = format!("{account}/{}", made.shares.id);
    let coins = format!("{account}/{}", made.coins.id);
    let day = |owner: &str| format!("{owner}/2026-11-24");
    let (user, buy, sell) = (
        made.trader.user.to_string(),
        made.resting_buy.group_id.0.to_string(),
        made.resting_sell.group_id.0.to_string(),
    );
    let usd = format!("{account}/USD");
    vec![
        case(
            "UPDATE balances SET amount = '9000.97' WHERE account_id = {account}",
            [("balances", &usd, "amount", "9000.97", "9000.96")],
        ),
        case(
            "UPDATE balances SET reserved = '0' WHERE account_id = {account}",
            [("balances", &usd, "reserved", "0", "340")],
        ),
        case(
            "UPDATE positions SET quantity = '8' WHERE asset_id = {shares}",
            [("positions", &shares, "quantity", "8", "9")],
        ),
        case(
            "UPDATE positions SET cost_basis = '899' WHERE asset_id = {shares}",
            [("positions", &shares, "cost_basis", "899", "900")],
        ),
        case(
            "UPDATE positions SET realized = '2' WHERE asset_id = {shares}",
            [("positions", &shares, "realized", "2", "1")],
        ),
        case(
            "UPDATE positions SET reserved = '4' WHERE asset_id = {shares}",
            [("positions", &shares, "reserved", "4", "5")],
        ),
        case(
            "DELETE FROM positions WHERE asset_id = {coins}",
            [("positions", &coins, "quantity", "nothing", "2")],
        ),
        case(
            "UPDATE reservations SET remaining = '271' WHERE group_id = {group}",
            [("reservations", &buy, "remaining", "271", "270")],
        ),
        case(
            "DELETE FROM reservations WHERE group_id = {sell}",
            [("reservations", &sell, "remaining", "nothing", "5")],
        ),
        case(
            "INSERT INTO reservations (group_id, account_id, currency, remaining)
             VALUES ({bought}, {account}, 'USD', '1')",
            [(
                "reservations",
                &made.bought.id.to_string(),
                "remaining",
                "1",
                "nothing",
            )],
        ),
        case(
            "UPDATE users SET notional_open = '1' WHERE id = {user}",
            [("users", &user, "notional_open", "1", "340")],
        ),
        case(
            "UPDATE user_days SET notional_filled = '1' WHERE user_id = {user}",
            [("user_days", &day(&user), "notional_filled", "1", "1100")],
        ),
        case(
            "DELETE FROM account_days WHERE account_id = {account}",
            [(
                "account_days",
                &day(&account),
                "notional_filled",
                "nothing",
                "1100",
            )],
        ),
    ]
}

/// Orders and their log.
#[expect(clippy::too_many_lines, reason = "a table: one planted difference a row")]
fn orders(made: &History) -> Vec<Case> {
    let (account, bought, sell, exit) = (
        made.trader.account.to_string(),
        made.bought.id.to_string(),
        made.resting_sell.id.to_string(),
        made.exit.id.to_string(),
    );
    let event = |seq: i64| format!("{account}/{seq}");
    vec![
        case(
            "UPDATE orders SET filled_quantity = '9' WHERE id = {bought}",
            [("orders", &bought, "filled_quantity", "9", "10")],
        ),
        case(
            "UPDATE orders SET filled_cost = '999' WHERE id = {bought}",
            [("orders", &bought, "filled_cost", "999", "1000")],
        ),
        case(
            "UPDATE orders SET closed_how = 'canceled' WHERE id = {bought}",
            [("orders", &bought, "closed_how", "canceled", "filled")],
        ),
        case(
            "UPDATE orders SET submission = 'unconfirmed' WHERE id = {sell}",
            [
                ("orders", &sell, "submission", "unconfirmed", "acknowledged"),
                (
                    "order_work",
                    &format!("{sell}/reconcile"),
                    "kind",
                    "nothing",
                    "reconcile",
                ),
            ],
        ),
        case(
            "UPDATE orders SET reject_reason = NULL WHERE reject_reason = 'not today'",
            [(
                "orders",
                &made.refused.id.to_string(),
                "reject_reason",
                "nothing",
                "not today",
            )],
        ),
        case(
            "UPDATE orders SET held_by_trigger = NULL WHERE id = {exit}",
            [(
                "orders",
                &exit,
                "held_by_trigger",
                "nothing",
                &made.trigger.to_string(),
            )],
        ),
        case(
            "UPDATE orders SET trading_date = '2026-11-25' WHERE id = {bought}",
            [("orders", &bought, "trading_date", "2026-11-25", "2026-11-24")],
        ),
        case(
            "UPDATE order_events SET seq = 1000 WHERE seq = (SELECT max(seq) FROM order_events)",
            [
                ("order_events", &event(1000), "seq", "1000", "26"),
                ("accounts", &account, "last_event_seq", "26", "1000"),
            ],
        ),
        case(
            "UPDATE accounts SET last_event_seq = 7 WHERE id = {account}",
            [("accounts", &account, "last_event_seq", "7", "26")],
        ),
        case(
            "UPDATE order_events SET kind = 'released' WHERE seq = 2",
            [(
                "order_events",
                &event(2),
                "kind",
                "released",
                "only while it is held",
            )],
        ),
        case(
            "DELETE FROM order_work WHERE kind = 'submit' AND order_id = {exit}",
            [(
                "order_work",
                &format!("{exit}/submit"),
                "kind",
                "nothing",
                "submit",
            )],
        ),
        case(
            "INSERT INTO order_work (order_id, kind, account_id, due_at)
             VALUES ({bought}, 'cancel', {account}, '2026-11-24T15:30:00+00:00')",
            [(
                "order_work",
                &format!("{bought}/cancel"),
                "kind",
                "cancel",
                "no work: no end is asked for",
            )],
        ),
    ]
}

/// Fills, attempts and exits.
#[expect(clippy::too_many_lines, reason = "a table: one planted difference a row")]
fn facts(made: &History) -> Vec<Case> {
    let (bought, trigger, exit) = (
        made.bought.id.to_string(),
        made.trigger.to_string(),
        made.exit.id.to_string(),
    );
    let fill = |id: &str| format!("{}/{id}", made.trader.connection);
    let event = |seq: i64| format!("{}/{seq}", made.trader.account);
    vec![
        case(
            "UPDATE fills SET event_seq = 999 WHERE broker_fill_id = 'fill-2'",
            [
                (
                    "order_events",
                    &event(4),
                    "kind",
                    "fill",
                    "a fill with this number",
                ),
                (
                    "fills",
                    &fill("fill-2"),
                    "event_seq",
                    "999",
                    "the number of its event",
                ),
            ],
        ),
        case(
            "UPDATE fills SET fee = '0.02' WHERE broker_fill_id = 'fill-1'",
            [
                ("order_events", &event(3), "data.fee", "0.01", "0.02"),
                (
                    "balances",
                    &format!("{}/USD", made.trader.account),
                    "amount",
                    "9000.96",
                    "9000.95",
                ),
            ],
        ),
        case(
            "UPDATE broker_attempts SET n = 2 WHERE order_id = {bought}",
            [("broker_attempts", &format!("{bought}/submit/2"), "n", "2", "1")],
        ),
        case(
            "DELETE FROM broker_attempts WHERE order_id = {bought}",
            [(
                "orders",
                &bought,
                "submission",
                "acknowledged",
                "unsent: no attempt is on record",
            )],
        ),
        case(
            "DELETE FROM trigger_exits WHERE order_id = {exit}",
            [
                ("trigger_exits", &trigger, "order_id", "nothing", &exit),
                ("triggers", &trigger, "state", "firing", "an exit that is open"),
            ],
        ),
        case(
            "UPDATE triggers SET state = 'armed' WHERE id = {trigger}",
            [(
                "triggers",
                &trigger,
                "state",
                "armed",
                "fired: this generation has an exit",
            )],
        ),
        case(
            "INSERT INTO trigger_exits (trigger_id, generation, order_id) VALUES ({trigger}, 9, {bought})",
            [
                (
                    "trigger_exits",
                    &format!("{trigger}/9"),
                    "trigger_id",
                    &trigger,
                    "nothing",
                ),
                ("triggers", &trigger, "generation", "1", "9"),
            ],
        ),
    ]
}

/// Plants each case in a transaction of its own, audits what that transaction sees, and takes it back.
async fn each_is_named(test: &TestStore, cases: fn(&History) -> Vec<Case>) {
    let made = history(test).await;
    for case in cases(&made) {
        let ids = ids(&made);
        let sql = ids.iter().fold(case.sql.to_owned(), |sql, (name, id)| {
            sql.replace(&format!("{{{name}}}"), &literal(test, *id))
        });
        let planted = test.write().begin().await.unwrap();
        planted.execute_unprepared(&sql).await.unwrap();
        let report = audit::audit_within(&planted).await.unwrap();
        planted.rollback().await.unwrap();
        assert_eq!(report.differences, case.named, "{}", case.sql);
    }
    assert_eq!(audited(test).await.differences, []);
}

fn ids(made: &History) -> [(&'static str, Uuid); 9] {
    [
        ("account", made.trader.account.0),
        ("user", made.trader.user.0),
        ("shares", made.shares.id.0),
        ("coins", made.coins.id.0),
        ("bought", made.bought.id.0),
        ("group", made.resting_buy.group_id.0),
        ("sell", made.resting_sell.id.0),
        ("exit", made.exit.id.0),
        ("trigger", made.trigger.0),
    ]
}

store::testing::on_both! {
    async fn a_clean_history_reports_nothing(test: TestStore) {
        let empty = audited(test).await;
        assert!(empty.is_clean(), "{}", empty.text());
        history(test).await;
        let report = audited(test).await;
        assert!(report.is_clean(), "{}", report.text());
        assert_eq!((report.read.accounts, report.read.orders, report.read.fills, report.read.exits), (1, 10, 4, 1));
        assert!(report.text().ends_with("\nno difference\n"), "{}", report.text());
    }

    async fn each_wrong_amount_is_named(test: TestStore) {
        each_is_named(test, money).await;
    }

    async fn each_wrong_order_is_named(test: TestStore) {
        each_is_named(test, orders).await;
    }

    async fn each_wrong_fact_is_named(test: TestStore) {
        each_is_named(test, facts).await;
    }

    async fn what_cannot_be_read_is_an_error_and_no_difference(test: TestStore) {
        history(test).await;
        let broken = test.write().begin().await.unwrap();
        broken.execute_unprepared("ALTER TABLE fills RENAME TO other_fills").await.unwrap();
        assert!(audit::audit_within(&broken).await.is_err());
        broken.rollback().await.unwrap();
    }
}
