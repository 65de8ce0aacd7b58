//! Price marks, old answers, and the health of the database.

use std::collections::HashMap;
use std::time::Duration;

use chrono::TimeDelta;
use domain::money::Price;
use domain::quote::PriceMark;
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait};
use store::StoreError;
use store::entity::idempotency_keys;
use store::testing::{TestStore, asset, now};
use uuid::Uuid;

fn price(units: i64) -> Price {
    Price::new(Decimal::new(units, 9)).unwrap()
}

fn mark(units: i64, seconds: i64) -> PriceMark {
    PriceMark {
        price: price(units),
        at: now() + TimeDelta::seconds(seconds),
        suspect: None,
    }
}

store::testing::on_both! {
    async fn marks_survive_and_an_older_one_never_replaces_a_newer_one(test: TestStore) {
        let (apple, bitcoin) = (test.asset("AAPL").await.id, test.asset("BTC/USD").await.id);
        let unmarked = test.asset("MSFT").await.id;
        let all = [apple, bitcoin, unmarked];
        assert_eq!(test.price_marks(&all).await.unwrap(), HashMap::new());
        let suspect = PriceMark {
            suspect: Some((price(7), now() + TimeDelta::seconds(1))),
            ..mark(8_999_999_999_999_999_999, 0)
        };
        let mut expected = HashMap::from([(apple, mark(1, 0)), (bitcoin, suspect)]);
        test.write_price_marks(&expected).await.unwrap();
        assert_eq!(test.price_marks(&all).await.unwrap(), expected);
        let changes = HashMap::from([(apple, mark(3, -1)), (bitcoin, mark(2, 1))]);
        test.write_price_marks(&changes).await.unwrap();
        expected.insert(bitcoin, mark(2, 1));
        assert_eq!(test.price_marks(&all).await.unwrap(), expected);
        test.write_price_marks(&HashMap::new()).await.unwrap();
    }

    async fn thousands_of_marks_fit(test: TestStore) {
        let listed: Vec<_> = (0..2_500).map(|n| asset(&format!("S{n}"))).collect();
        test.upsert_assets(&listed).await.unwrap();
        let marks: HashMap<_, _> = listed.iter().zip(1..).map(|(asset, n)| (asset.id, mark(n, 0))).collect();
        test.write_price_marks(&marks).await.unwrap();
        let ids: Vec<_> = marks.keys().copied().collect();
        assert_eq!(test.price_marks(&ids).await.unwrap(), marks);
    }

    async fn answers_are_forgotten_when_they_are_old_and_not_before(test: TestStore) {
        let answer = |n: i64| idempotency_keys::Model {
            account_id: Uuid::now_v7(),
            credential_id: Uuid::now_v7(),
            method: "POST".into(),
            path: "/v2/orders".into(),
            key: n.to_string(),
            body_hash: vec![7; 32],
            status: 200,
            body: "{}".into(),
            headers: serde_json::json!({}),
            order_id: None,
            created_at: now() + TimeDelta::seconds(n),
        };
        for first in (0..2_500).step_by(500) {
            let rows = (first..first + 500).map(|n| answer(n).into_active_model());
            idempotency_keys::Entity::insert_many(rows).exec_without_returning(test.write()).await.unwrap();
        }
        assert_eq!(test.prune_idempotency(now(), 1_000).await.unwrap(), 0);
        let before = now() + TimeDelta::seconds(2_400);
        for forgotten in [2_000, 400, 0] {
            assert_eq!(test.prune_idempotency(before, 2_000).await.unwrap(), forgotten);
        }
        assert_eq!(idempotency_keys::Entity::find().count(test.read()).await.unwrap(), 100);
    }

    async fn a_database_that_answers_is_healthy(test: TestStore) {
        assert!(test.ping().await.unwrap() < Duration::from_secs(2));
        assert_eq!(test.missing_tables().await.unwrap(), Vec::<&str>::new());
        test.write().execute_unprepared("ALTER TABLE sweeps RENAME TO swept").await.unwrap();
        assert_eq!(test.missing_tables().await.unwrap(), ["sweeps"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_closed_is_unavailable() {
    let test = TestStore::postgres().await;
    let store = test.second().await;
    store.write().close_by_ref().await.unwrap();
    let error = store.ping().await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(matches!(error, StoreError::Unavailable(_)));
}
