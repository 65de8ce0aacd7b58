//! What is written is what is read, on both databases.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, QueryOrder};
use store::entity::{balances, broker_cursors, order_events, orders, triggers};
use store::testing::TestStore;
use store::users::Role;
use store::{Money, Rate};
use uuid::Uuid;

use crate::many::order;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

store::testing::on_both! {
    async fn money_is_exact_and_has_no_trailing_zeros(test: TestStore) {
        let trader = test.trader(Role::Standard, Decimal::ZERO).await;
        for (n, text) in [
            "0", "0.1", "1.5", "123456789.123456789", "8999999999.999999999", "-12345678901234567.123456789",
            "9999999999999999999.999999999", "92233720368547758.07", "0.000000001",
        ].into_iter().enumerate() {
            let mut written = decimal(text);
            // However many zeros it carries when it is written.
            written.rescale(9);
            let row = balances::Model {
                account_id: trader.account.0,
                currency: format!("C{n}"),
                amount: Money(written),
                reserved: Money::ZERO,
            };
            row.into_active_model().insert(test.write()).await.unwrap();
            let key = (trader.account.0, format!("C{n}"));
            let read = balances::Entity::find_by_id(key).one(test.read()).await.unwrap().unwrap();
            assert_eq!(read.amount.0.to_string(), text);
            assert_eq!(read.reserved.0.to_string(), "0");
        }
    }

    async fn an_order_is_read_as_it_was_written_nulls_included(test: TestStore) {
        let full = orders::Model {
            quantity: None,
            notional: Some(Money(decimal("1234.56"))),
            kind: "limit".into(),
            limit_price: Some(Money(decimal("0.123456789"))),
            reserve_rate: Rate(decimal("187.123456789012345678")),
            position_intent: Some("buy_to_open".into()),
            replaces: Some(Uuid::now_v7()),
            replaced_by: Some(Uuid::now_v7()),
            held_by_trigger: Some(Uuid::now_v7()),
            broker_order_id: Some("b-1".into()),
            cancel_requested_at: Some(at("2026-11-24T15:30:00.123456Z")),
            closed_at: Some(at("2026-11-24T15:30:01Z")),
            closed_how: Some("canceled".into()),
            reject_reason: Some("it said: \"no\"\n".into()),
            extended_hours: true,
            is_working: true,
            ..order(Uuid::now_v7())
        };
        let empty = order(Uuid::now_v7());
        for row in [full, empty] {
            row.clone().into_active_model().insert(test.write()).await.unwrap();
            let read = orders::Entity::find_by_id(row.id).one(test.read()).await.unwrap();
            assert_eq!(read, Some(row));
        }
    }

    async fn events_keep_their_documents(test: TestStore) {
        let row = order_events::Model {
            account_id: Uuid::now_v7(),
            seq: i64::MAX,
            order_id: Uuid::now_v7(),
            kind: "fill".into(),
            at: at("2026-11-24T15:30:00.000001Z"),
            cause: serde_json::json!({"by": "venue", "words": "it's \u{1F40C} \u{0000}".replace('\u{0000}', "")}),
            data: serde_json::json!({"price": "187.50", "list": [1, null, true]}),
            hash: Some(vec![0, 255, 7]),
        };
        row.clone().into_active_model().insert(test.write()).await.unwrap();
        let read = order_events::Entity::find().one(test.read()).await.unwrap();
        assert_eq!(read, Some(row));
    }

    async fn times_sort_as_they_follow_each_other(test: TestStore) {
        let times = [
            "2026-11-24T02:23:25Z", "2026-11-24T02:23:25.000001Z", "2026-11-24T02:23:25.5Z",
            "2026-11-24T02:23:25.533881Z", "2026-11-24T02:23:26Z", "2026-11-24T10:00:00Z",
        ];
        for (n, time) in times.into_iter().enumerate().rev() {
            let connection = test.trader(Role::Standard, Decimal::ZERO).await.connection;
            let row = broker_cursors::Model {
                connection_id: connection.0,
                cursor: n.to_string(),
                updated_at: at(time),
            };
            row.into_active_model().insert(test.write()).await.unwrap();
        }
        let rows = broker_cursors::Entity::find()
            .order_by_asc(broker_cursors::Column::UpdatedAt)
            .all(test.read())
            .await
            .unwrap();
        let read: Vec<_> = rows.iter().map(|row| row.updated_at).collect();
        assert_eq!(read, times.map(at));
    }

    async fn a_trigger_is_read_as_it_was_written(test: TestStore) {
        let trader = test.trader(Role::Standard, Decimal::ZERO).await;
        let asset = test.asset("BTC/USD").await;
        let row = triggers::Model {
            id: Uuid::now_v7(),
            user_id: trader.user.0,
            account_id: trader.account.0,
            asset_id: asset.id.0,
            symbol: asset.symbol,
            asset_class: "crypto".into(),
            direction: "falling".into(),
            reference: "last".into(),
            stop_price: Money(decimal("8999999999.999999999")),
            price_key: 8_999_999_999_999_999_999,
            quantity: None,
            state: "armed".into(),
            generation: 1,
            exit_order_id: None,
            fired_price: None,
            created_at: at("2026-11-24T15:30:00Z"),
            updated_at: at("2026-11-24T15:30:00Z"),
            fired_at: None,
            ended_because: None,
        };
        row.clone().into_active_model().insert(test.write()).await.unwrap();
        assert_eq!(triggers::Entity::find().one(test.read()).await.unwrap(), Some(row));
    }
}
