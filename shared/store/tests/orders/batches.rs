//! Calls begin and end in batches: few statements, one answer each, and no neighbour pays for another's fault.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::asset::{Asset, MarketHours};
use domain::id::OrderId;
use domain::lifecycle::OrderStatus;
use domain::order::{Order, Side};
use domain::reconcile::Report;
use rust_decimal::Decimal;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement, TransactionTrait,
};
use store::entity::{broker_attempts, order_work, orders};
use store::testing::{TestStore, Trader, now};
use store::users::Role;
use store::{
    AfterLookUp, Begin, Claim, Dispatch, End, Ended, NewAttempt, ReportsRead, Store, StoreError, WorkKind,
};
use uuid::Uuid;

use crate::given::{
    LEASE, accept, accept_all, acknowledged, assert_book_is_sound, filled, later, request, status,
};

/// The most statements that beginning a batch of submissions takes on PostgreSQL; on SQLite they stand in a transaction,
/// which asks for the fences apart and writes each table by itself.
const BEGIN_MAX: [(DbBackend, u64); 2] = [(DbBackend::Postgres, 2), (DbBackend::Sqlite, 4)];

/// The most statements that recording a batch of answers, with the fills that follow, takes.
const RECORD_MAX: [(DbBackend, u64); 2] = [(DbBackend::Postgres, 15), (DbBackend::Sqlite, 26)];

/// The most statements that claiming takes.
const CLAIM_MAX: [(DbBackend, u64); 2] = [(DbBackend::Postgres, 1), (DbBackend::Sqlite, 3)];

fn most(of: [(DbBackend, u64); 2], test: &TestStore) -> u64 {
    of.into_iter()
        .find(|(backend, _)| *backend == test.backend())
        .unwrap()
        .1
}

async fn trader(test: &TestStore) -> (Trader, Asset) {
    (
        test.trader(Role::Superadmin, Decimal::from(100_000)).await,
        test.asset("AAPL").await,
    )
}

async fn accepted(test: &TestStore, trader: &Trader, asset: &Asset, count: usize) -> Vec<Order> {
    let requests = (0..count)
        .map(|_| request(trader, asset, Side::Buy, "1", Some("10")))
        .collect();
    accept_all(test, requests)
        .await
        .into_iter()
        .map(|answer| answer.unwrap().order)
        .collect()
}

fn wishes(claims: Vec<Claim>) -> Vec<NewAttempt> {
    let wish = |claim| NewAttempt {
        claim,
        correlation_id: Uuid::now_v7().to_string(),
    };
    claims.into_iter().map(wish).collect()
}

async fn begin_all(store: &Store, claims: Vec<Claim>) -> Vec<Result<Begin, StoreError>> {
    store
        .begin_attempts(&wishes(claims), later(1), MarketHours::Ignore)
        .await
}

fn gone_out(begun: Vec<Result<Begin, StoreError>>) -> Vec<Dispatch> {
    let go = |answer| match answer {
        Ok(Begin::Go(dispatch)) => Some(*dispatch),
        _ => None,
    };
    begun.into_iter().filter_map(go).collect()
}

fn answered(calls: &[Dispatch]) -> Vec<Ended> {
    let ended = |call: &Dispatch| Ended {
        dispatch: Box::new(call.clone()),
        end: End::Called(acknowledged()),
    };
    calls.iter().map(ended).collect()
}

fn page(trader: &Trader, from: &str, reports: Vec<Report>, to: &str) -> ReportsRead {
    ReportsRead {
        connection: trader.connection,
        broker: "paper",
        from_cursor: from.to_owned(),
        reports,
        to_cursor: to.to_owned(),
    }
}

/// Sends and fills `count` orders in one batch each; answers the statements of claiming, beginning and recording.
async fn statements(
    test: &TestStore,
    trader: &Trader,
    asset: &Asset,
    count: usize,
    cursor: &str,
) -> [u64; 3] {
    let orders = accepted(test, trader, asset, count).await;
    let start = test.statement_count();
    let claims = test.claim_due("worker", LEASE, 1_000).await.unwrap();
    let claimed = test.statement_count();
    let calls = gone_out(begin_all(test, claims).await);
    assert_eq!(calls.len(), count);
    let begun = test.statement_count();
    let fills = orders
        .iter()
        .map(|order| filled(order, &order.id.to_string(), "1", "10"))
        .collect();
    let next = (cursor.parse::<i64>().unwrap_or(0) + 1).to_string();
    let recorded = test
        .record(&answered(&calls), &[page(trader, cursor, fills, &next)], later(2))
        .await;
    assert!(
        recorded
            .ended
            .iter()
            .all(|answer| matches!(answer, Ok(AfterLookUp::Settled))),
        "{recorded:?}"
    );
    assert_eq!(recorded.reports[0].as_ref().unwrap().applied, count);
    let end = test.statement_count();
    for order in &orders {
        assert_eq!(status(test, trader, order).await, OrderStatus::Filled);
    }
    [claimed - start, begun - claimed, end - begun]
}

store::testing::on_both! {
    async fn the_number_of_statements_does_not_depend_on_the_batch(test: TestStore) {
        let (trader, asset) = trader(test).await;
        // The first one makes the rows of the day, the position and the cursor.
        statements(test, &trader, &asset, 2, "").await;
        let one = statements(test, &trader, &asset, 1, "1").await;
        let few = statements(test, &trader, &asset, 16, "2").await;
        let many = statements(test, &trader, &asset, 64, "3").await;
        assert_eq!((one, few), (many, many), "claim, begin, record");
        let [claim, begin, record] = many;
        assert!(claim <= most(CLAIM_MAX, test), "claim: {claim}");
        assert!(begin <= most(BEGIN_MAX, test), "begin: {begin}");
        assert!(record <= most(RECORD_MAX, test), "record: {record}");
        assert_book_is_sound(test, &trader).await;
    }

    async fn one_stale_claim_among_many_neither_begins_nor_ends(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let orders = accepted(test, &trader, &asset, 64).await;
        let mut claims = test.claim_due("worker", LEASE, 100).await.unwrap();
        let lost = claims[20].clone();
        let fresh = lost.fence + 1_000;
        take_over(test, lost.order_id, fresh).await;
        let begun = begin_all(test, claims.clone()).await;
        let stale: Vec<_> = begun.iter().enumerate().filter(|(_, answer)| matches!(answer, Ok(Begin::Gone))).collect();
        assert_eq!(stale.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [20]);
        let calls = gone_out(begun);
        assert_eq!(calls.len(), 63);
        // A second one is lost while the calls are under way.
        let late = calls[40].claim.order_id;
        take_over(test, late, fresh + 1).await;
        let recorded = test.record(&answered(&calls), &[], later(2)).await;
        for (call, answer) in calls.iter().zip(&recorded.ended) {
            assert_eq!(matches!(answer, Err(StoreError::Stale { .. })), call.claim.order_id == late, "{answer:?}");
        }
        let shown: BTreeSet<OrderId> = claims.drain(..).map(|claim| claim.order_id).collect();
        assert_eq!(shown.len(), 64);
        for order in &orders {
            let expected = match order.id {
                id if id == lost.order_id => OrderStatus::Accepted,
                id if id == late => OrderStatus::PendingNew,
                _ => OrderStatus::New,
            };
            assert_eq!(status(test, &trader, order).await, expected);
        }
    }

    async fn a_poisoned_order_among_many_stops_none_of_its_neighbours(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let orders = accepted(test, &trader, &asset, 64).await;
        let bad = orders[17].id;
        poison(test, bad, true).await;
        let begun = begin_all(test, test.claim_due("worker", LEASE, 100).await.unwrap()).await;
        let failed: Vec<_> = begun.iter().filter(|answer| answer.is_err()).collect();
        assert!(matches!(failed[..], [Err(StoreError::Inconsistent { table: "orders", .. })]), "{failed:?}");
        let calls = gone_out(begun);
        assert_eq!(calls.len(), 63);
        let worse = calls[3].claim.order_id;
        poison(test, worse, true).await;
        let recorded = test.record(&answered(&calls), &[], later(2)).await;
        let failed: Vec<_> = calls.iter().zip(&recorded.ended).filter(|(_, answer)| answer.is_err()).collect();
        assert_eq!(failed.iter().map(|(call, _)| call.claim.order_id).collect::<Vec<_>>(), [worse]);
        for id in [bad, worse] {
            poison(test, id, false).await;
        }
        for order in &orders {
            let expected = match order.id {
                id if id == bad => OrderStatus::Accepted,
                id if id == worse => OrderStatus::PendingNew,
                _ => OrderStatus::New,
            };
            assert_eq!(status(test, &trader, order).await, expected);
        }
        assert_book_is_sound(test, &trader).await;
    }

    async fn reports_that_someone_else_recorded_keep_none_of_the_others_from_being_recorded(test: TestStore) {
        let (one, asset) = trader(test).await;
        let other = test.trader(Role::Superadmin, Decimal::from(100_000)).await;
        let orders = [
            accept(test, request(&one, &asset, Side::Buy, "1", Some("10"))).await,
            accept(test, request(&other, &asset, Side::Buy, "1", Some("10"))).await,
        ];
        let calls = gone_out(begin_all(test, test.claim_due("worker", LEASE, 10).await.unwrap()).await);
        let stale = page(&one, "7", vec![filled(&orders[0], "a", "1", "10")], "8");
        let fresh = page(&other, "", vec![filled(&orders[1], "b", "1", "10")], "1");
        let recorded = test.record(&answered(&calls), &[stale, fresh], later(2)).await;
        assert!(recorded.ended.iter().all(Result::is_ok), "{recorded:?}");
        assert!(matches!(recorded.reports[0], Err(StoreError::Stale { .. })), "{recorded:?}");
        assert_eq!(recorded.reports[1].as_ref().unwrap().applied, 1);
        assert_eq!(status(test, &one, &orders[0]).await, OrderStatus::New);
        assert_eq!(status(test, &other, &orders[1]).await, OrderStatus::Filled);
        assert_eq!(test.report_cursor(one.connection).await.unwrap(), "");
        assert_eq!(test.report_cursor(other.connection).await.unwrap(), "1");
    }

    async fn each_kind_of_work_in_a_batch_gets_its_own_answer(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let orders = accepted(test, &trader, &asset, 3).await;
        let calls = gone_out(begin_all(test, test.claim_due("worker", LEASE, 10).await.unwrap()).await);
        let of = |order: &Order| calls.iter().find(|call| call.order.id == order.id).unwrap().clone();
        // The first is at work and its cancel was asked for; the second's answer was lost; the third has died in our hands.
        test.record(&answered(&[of(&orders[0])]), &[], later(2)).await;
        let cause = || store::Cause::Tick { name: "test".into() };
        test.request_cancel(trader.account, orders[0].id, cause(), later(3)).await.unwrap();
        let unknown = store::AttemptOutcome::Unknown { reason: "cut".into(), check_in: Duration::ZERO };
        test.finish_attempt(&of(&orders[1]), unknown, later(3)).await.unwrap();
        end_leases(test).await;
        let more = accepted(test, &trader, &asset, 1).await;
        let claims = test.claim_due("next", LEASE, 10).await.unwrap();
        assert_eq!(claims.len(), 4);
        let begun = begin_all(test, claims.clone()).await;
        for (claim, answer) in claims.iter().zip(&begun) {
            let is_expected = match claim.order_id {
                id if id == orders[0].id => matches!(answer, Ok(Begin::Go(call)) if call.claim.kind == WorkKind::Cancel),
                id if id == orders[1].id => matches!(answer, Ok(Begin::Go(call)) if call.claim.kind == WorkKind::Reconcile),
                id if id == orders[2].id => matches!(answer, Ok(Begin::LookUp)),
                id => id == more[0].id && matches!(answer, Ok(Begin::Go(call)) if call.claim.kind == WorkKind::Submit),
            };
            assert!(is_expected, "{claim:?}: {answer:?}");
        }
        let open = broker_attempts::Entity::find().filter(broker_attempts::Column::EndedAt.is_null());
        assert_eq!(open.all(test.read()).await.unwrap().len(), 3);
    }

    async fn the_orders_that_signals_name_are_claimed_at_once(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let orders = accepted(test, &trader, &asset, 5).await;
        let wanted: Vec<OrderId> = orders.iter().take(3).map(|order| order.id).collect();
        let claims = test.claim_orders("worker", &wanted, LEASE).await.unwrap();
        let claimed: BTreeSet<OrderId> = claims.iter().map(|claim| claim.order_id).collect();
        assert_eq!(claimed, wanted.iter().copied().collect());
        assert!(test.claim_orders("other", &wanted, LEASE).await.unwrap().is_empty());
        assert_eq!(test.claim_due("other", LEASE, 10).await.unwrap().len(), 2);
        assert!(test.claim_orders("other", &[], LEASE).await.unwrap().is_empty());
    }
}

/// What a claim by another worker leaves behind.
async fn take_over(test: &TestStore, order: OrderId, fence: i64) {
    order_work::Entity::update_many()
        .col_expr(order_work::Column::Fence, Expr::value(fence))
        .filter(order_work::Column::OrderId.eq(order.0))
        .exec(test.write())
        .await
        .unwrap();
}

/// Makes every lease end now, and all work due.
async fn end_leases(test: &TestStore) {
    let long_ago = now() - chrono::TimeDelta::days(365);
    order_work::Entity::update_many()
        .col_expr(order_work::Column::DueAt, Expr::value(long_ago))
        .col_expr(order_work::Column::ClaimedUntil, Expr::value(long_ago))
        .exec(test.write())
        .await
        .unwrap();
}

/// Gives the order's row a quantity that no order has, or its own.
async fn poison(test: &TestStore, order: OrderId, is_bad: bool) {
    let quantity = if is_bad { Decimal::ZERO } else { Decimal::ONE };
    orders::Entity::update_many()
        .col_expr(orders::Column::Quantity, Expr::value(store::Money(quantity)))
        .filter(orders::Column::Id.eq(order.0))
        .exec(test.write())
        .await
        .unwrap();
}

/// An order that is simply sent waits for nobody who holds its user or its account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_order_begins_while_its_account_is_locked() {
    let test = TestStore::postgres().await;
    let (trader, asset) = trader(&test).await;
    accepted(&test, &trader, &asset, 1).await;
    let claims = test.claim_due("worker", LEASE, 10).await.unwrap();
    let other = test.write().begin().await.unwrap();
    for (table, id) in [("users", trader.user.0), ("accounts", trader.account.0)] {
        let sql = format!("SELECT 1 FROM {table} WHERE id = $1 FOR NO KEY UPDATE");
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [id.into()]);
        other.query_one_raw(statement).await.unwrap().unwrap();
    }
    let begun = tokio::time::timeout(Duration::from_secs(4), begin_all(&test, claims))
        .await
        .unwrap();
    assert_eq!(gone_out(begun).len(), 1);
    other.rollback().await.unwrap();
}

/// Orders of many accounts, in an order of their own for each worker.
fn shuffled(orders: &[OrderId], seed: usize) -> Vec<OrderId> {
    let mut mixed: Vec<(usize, OrderId)> = orders
        .iter()
        .enumerate()
        .map(|(n, id)| {
            (
                (n + 1).wrapping_mul(2_654_435_761).wrapping_mul(seed + 1) % 1_000_003,
                *id,
            )
        })
        .collect();
    mixed.sort_unstable();
    mixed.into_iter().map(|(_, id)| id).collect()
}

/// Two workers whose batches touch the same users, accounts and connections in different orders.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_batches_of_two_workers_never_deadlock() {
    let test = TestStore::postgres().await;
    let (first, asset) = trader(&test).await;
    let mut traders = vec![first];
    for _ in 0..5 {
        traders.push(test.trader(Role::Superadmin, Decimal::from(100_000)).await);
    }
    let other = test.second().await;
    for round in 0..100_usize {
        let requests = traders
            .iter()
            .flat_map(|trader| [0, 1].map(|_| request(trader, &asset, Side::Buy, "1", Some("10"))));
        let orders: Vec<Order> = accept_all(&test, requests.collect())
            .await
            .into_iter()
            .map(|answer| answer.unwrap().order)
            .collect();
        let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
        let cursor = if round == 0 {
            String::new()
        } else {
            round.to_string()
        };
        let work = async |store: &Store, name: &str, seed: usize| {
            let mixed = shuffled(&ids, seed);
            let mut pages = Vec::new();
            for id in &mixed {
                let order = orders.iter().find(|order| order.id == *id).unwrap();
                let trader = traders
                    .iter()
                    .find(|trader| trader.account == order.account_id)
                    .unwrap();
                let fills = orders.iter().filter(|other| other.account_id == trader.account);
                let fills = fills
                    .map(|order| filled(order, &order.id.to_string(), "1", "10"))
                    .collect();
                pages.push(page(trader, &cursor, fills, &(round + 1).to_string()));
            }
            let claims = store
                .claim_orders(name, &mixed[..mixed.len() * 2 / 3], LEASE)
                .await
                .unwrap();
            let mut calls = gone_out(begin_all(store, claims).await);
            calls.reverse();
            store.record(&answered(&calls), &pages, later(2)).await
        };
        let (one, two) = tokio::join!(work(&test, "a", round), work(&other, "b", round * 7 + 3));
        for answer in one.ended.iter().chain(&two.ended) {
            assert!(answer.is_ok(), "round {round}: {answer:?}");
        }
        let applied =
            |all: &store::RecordedAll| all.reports.iter().filter_map(|page| page.as_ref().ok()).count();
        assert_eq!(
            applied(&one) + applied(&two),
            traders.len(),
            "round {round}: each page once"
        );
        // What neither has claimed was settled by the reports.
        assert_eq!(
            test.claim_due("rest", LEASE, 100).await.unwrap(),
            vec![],
            "round {round}"
        );
    }
    for store in [test.store(), &other] {
        for (name, stats) in store.transaction_stats() {
            assert_eq!((stats.retried, stats.failed), (0, 0), "{name}");
        }
    }
    for trader in &traders {
        assert_book_is_sound(&test, trader).await;
    }
}
