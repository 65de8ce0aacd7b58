//! One statement that changes many rows.

use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryOrder, Statement, Value};
use store::entity::orders;
use store::testing::{TestStore, now};
use store::{Money, Rate, update_many};
use uuid::Uuid;

/// An order that was just accepted.
pub(crate) fn order(id: Uuid) -> orders::Model {
    orders::Model {
        id,
        user_id: Uuid::now_v7(),
        account_id: Uuid::now_v7(),
        group_id: id,
        client_order_id: id.to_string(),
        asset_id: Uuid::now_v7(),
        symbol: "AAPL".into(),
        asset_class: "us_equity".into(),
        side: "buy".into(),
        kind: "market".into(),
        quantity: Some(Money(Decimal::ONE)),
        notional: None,
        limit_price: None,
        time_in_force: "day".into(),
        extended_hours: false,
        position_intent: None,
        reserve_rate: Rate(Decimal::TEN),
        exposure_rate: Rate(Decimal::TEN),
        trading_date: now().date_naive(),
        replaces: None,
        submitted_at: now(),
        updated_at: now(),
        broker_order_id: None,
        submission: "unsent".into(),
        is_working: false,
        held_by_trigger: None,
        cancel_requested_at: None,
        replaced_by: None,
        filled_quantity: Money::ZERO,
        filled_cost: Money::ZERO,
        closed_at: None,
        closed_how: None,
        reject_reason: None,
    }
}

async fn insert(test: &TestStore, rows: &[orders::Model]) {
    for chunk in rows.chunks(500) {
        orders::Entity::insert_many(chunk.iter().cloned().map(IntoActiveModel::into_active_model))
            .exec_without_returning(test.write())
            .await
            .unwrap();
    }
}

async fn all(test: &TestStore) -> Vec<orders::Model> {
    orders::Entity::find()
        .order_by_asc(orders::Column::Id)
        .all(test.read())
        .await
        .unwrap()
}

const SET: [&str; 7] = [
    "quantity",
    "closed_at",
    "closed_how",
    "replaced_by",
    "is_working",
    "trading_date",
    "filled_quantity",
];

fn change(row: &orders::Model) -> Vec<Value> {
    vec![
        row.account_id.into(),
        row.id.into(),
        row.quantity.into(),
        row.closed_at.into(),
        row.closed_how.clone().into(),
        row.replaced_by.into(),
        row.is_working.into(),
        row.trading_date.into(),
        row.filled_quantity.into(),
    ]
}

store::testing::on_both! {
    async fn each_row_gets_its_own_values_nulls_included(test: TestStore) {
        let mut rows: Vec<_> = (0..5).map(|_| order(Uuid::now_v7())).collect();
        insert(test, &rows).await;
        for (n, row) in (0_i64..).zip(&mut rows).skip(1) {
            row.is_working = true;
            row.filled_quantity = Money(Decimal::new(n, 9));
            row.trading_date = row.trading_date.succ_opt().unwrap();
            // The first value of these columns is a NULL, then a value, and the other way round.
            row.replaced_by = (n % 2 == 0).then(Uuid::now_v7);
            row.closed_at = (n % 2 == 0).then(now);
            row.closed_how = (n % 2 == 0).then(|| "filled".to_owned());
        }
        // The first one is not changed.
        let changes = rows.iter().skip(1).map(change).collect();
        let changed = update_many(test.write(), "orders", &["account_id", "id"], &SET, changes).await.unwrap();
        assert_eq!(changed, 4);
        assert_eq!(all(test).await, rows);
    }

    async fn all_values_of_a_column_may_be_null(test: TestStore) {
        let mut rows = [order(Uuid::now_v7()), order(Uuid::now_v7())];
        for row in &mut rows {
            row.closed_at = Some(now());
            row.closed_how = Some("expired".into());
        }
        insert(test, &rows).await;
        for row in &mut rows {
            (row.closed_at, row.closed_how) = (None, None);
        }
        let changes = rows.iter().map(change).collect();
        update_many(test.write(), "orders", &["account_id", "id"], &SET, changes).await.unwrap();
        assert_eq!(all(test).await, rows);
    }

    async fn rows_that_are_not_there_are_not_counted(test: TestStore) {
        let there = order(Uuid::now_v7());
        insert(test, std::slice::from_ref(&there)).await;
        let changes = [&there, &order(Uuid::now_v7()), &order(Uuid::now_v7())].map(change).into();
        let changed = update_many(test.write(), "orders", &["account_id", "id"], &SET, changes).await.unwrap();
        assert_eq!(changed, 1);
        assert_eq!(update_many(test.write(), "orders", &["id"], &SET, Vec::new()).await.unwrap(), 0);
    }

    async fn thousands_of_rows_take_few_statements(test: TestStore) {
        let rows: Vec<_> = (0..5_000).map(|_| order(Uuid::now_v7())).collect();
        insert(test, &rows).await;
        let before = test.statement_count();
        let changes = rows.iter().map(|row| vec![row.id.into(), true.into()]).collect();
        let changed = update_many(test.write(), "orders", &["id"], &["is_working"], changes).await.unwrap();
        assert_eq!(changed, 5_000);
        assert_eq!(test.statement_count() - before, 1);
        assert!(all(test).await.iter().all(|row| row.is_working));
        // Beyond the limit of values that one statement can bind.
        let changes = rows.iter().map(change).collect();
        let changed = update_many(test.write(), "orders", &["account_id", "id"], &SET, changes).await.unwrap();
        assert_eq!(changed, 5_000);
        assert!(!all(test).await.iter().any(|row| row.is_working));
    }
}

/// Everything of an order that moves between its acceptance and its end stays within its page on PostgreSQL: no index
/// has to be touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_a_living_order_stay_within_its_page() {
    let test = TestStore::postgres().await;
    // Few enough that a page has room for a second version of each.
    let rows: Vec<_> = (0..4).map(|_| order(Uuid::now_v7())).collect();
    insert(&test, &rows).await;
    let moved =
        "UPDATE orders SET updated_at = updated_at + interval '1 second', submission = 'acknowledged',
                 is_working = true, broker_order_id = 'b', filled_quantity = 1, filled_cost = 10,
                 cancel_requested_at = updated_at, replaced_by = id, held_by_trigger = NULL, quantity = 2";
    let counted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'orders'";
    let (all, hot) = test
        .transaction("move", async |tx| {
            tx.execute_unprepared(moved).await?;
            let statement = Statement::from_string(DbBackend::Postgres, counted);
            let row = tx.query_one_raw(statement).await?.unwrap();
            Ok((
                row.try_get::<i64>("", "n_tup_upd")?,
                row.try_get::<i64>("", "n_tup_hot_upd")?,
            ))
        })
        .await
        .unwrap();
    assert_eq!((all, hot), (4, 4));
}
