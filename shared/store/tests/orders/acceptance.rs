//! What is accepted, what is refused, and what neither of them may leave behind.

use std::collections::HashMap;

use domain::id::{ClientOrderId, CredentialId, OrderId};
use domain::lifecycle::OrderStatus;
use domain::order::Side;
use domain::risk::Blocked;
use rust_decimal::Decimal;
use store::testing::TestStore;
use store::users::Role;
use store::{AcceptRequest, CancelAnswer, Cause, IdempotencyKey, Refusal};
use uuid::Uuid;

use crate::given::{accept, accept_all, assert_book_is_sound, context, decimal, later, request, status};

fn key(body: u8) -> IdempotencyKey {
    IdempotencyKey {
        credential_id: CredentialId(Uuid::from_u128(7)),
        method: "POST".into(),
        path: "/v2/orders".into(),
        key: "once".into(),
        body_hash: [body; 32],
    }
}

fn user() -> Cause {
    Cause::Request {
        request_id: "test".into(),
        credential_id: None,
    }
}

store::testing::on_both! {
    async fn accepting_one_order_or_many_takes_equally_many_statements(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000_000)).await;
        let mut counts = Vec::new();
        for size in [1_usize, 16, 64] {
            let requests = (0..size).map(|n| AcceptRequest {
                idempotency: Some(IdempotencyKey { key: format!("{size}-{n}"), ..key(1) }),
                ..request(&trader, &asset, Side::Buy, "1", Some("10"))
            });
            let before = test.statement_count();
            let answers = accept_all(test, requests.collect()).await;
            counts.push(test.statement_count() - before);
            assert!(answers.iter().all(Result::is_ok));
        }
        assert_eq!(counts[0], counts[1]);
        assert_eq!(counts[1], counts[2]);
        assert!(counts[0] <= 17, "{counts:?}");
        assert_book_is_sound(test, &trader).await;
    }

    async fn orders_of_one_batch_are_decided_in_order_and_never_pass_a_limit_together(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(250)).await;
        let buy = || request(&trader, &asset, Side::Buy, "1", Some("100"));
        let answers = accept_all(test, vec![buy(), buy(), buy()]).await;
        assert!(answers[0].is_ok() && answers[1].is_ok());
        assert_eq!(
            answers[2],
            Err(Refusal::Blocked(Blocked::BuyingPower { buying_power: decimal("50"), cost_basis: decimal("100") })),
        );
        assert_eq!(test.balance(trader.account).await.unwrap().reserved, decimal("200"));
        assert_book_is_sound(test, &trader).await;
    }

    async fn orders_that_arrive_at_once_never_pass_a_limit_together(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Standard, Decimal::from(1_000_000)).await;
        let other = test.second().await;
        let quotes = HashMap::new();
        let one = async |store: &store::Store| {
            let request = request(&trader, &asset, Side::Buy, "1", Some("1000"));
            store.accept_orders(vec![request], &context(&quotes)).await.unwrap().remove(0)
        };
        let mut answers = Vec::new();
        for _ in 0..5 {
            let (a, b, c, d) = tokio::join!(one(test), one(&other), one(test), one(&other));
            answers.extend([a, b, c, d]);
        }
        let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(accepted, 10, "the day's limit of 10 000 holds ten orders of 1 000");
        assert_book_is_sound(test, &trader).await;
    }

    async fn a_refused_order_leaves_nothing_behind_and_its_names_are_free(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000)).await;
        let mut wanted = request(&trader, &asset, Side::Buy, "11", Some("100"));
        wanted.idempotency = Some(key(1));
        assert!(accept_all(test, vec![wanted.clone()]).await[0].is_err());
        assert_eq!(test.order(trader.account, wanted.order.id).await.unwrap(), None);
        assert_eq!(test.order_events(trader.account, 0, 10).await.unwrap(), vec![]);
        assert_eq!(test.saved_answer(trader.account, &key(1)).await.unwrap(), None);
        let mut affordable = request(&trader, &asset, Side::Buy, "1", Some("100"));
        affordable.order.client_order_id = wanted.order.client_order_id.clone();
        affordable.idempotency = Some(key(2));
        assert!(accept_all(test, vec![affordable]).await[0].is_ok());
    }

    async fn a_client_order_id_is_used_once_for_ever(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000)).await;
        let named = || {
            let mut request = request(&trader, &asset, Side::Buy, "1", Some("10"));
            request.order.client_order_id = ClientOrderId::new("mine").unwrap();
            request
        };
        let first = accept(test, named()).await;
        test.request_cancel(trader.account, first.id, user(), later(1)).await.unwrap();
        let taken = Err(Refusal::DuplicateClientOrderId { existing: first.id });
        assert_eq!(accept_all(test, vec![named()]).await[0], taken, "also after its order has ended");
        let other = test.trader(Role::Superadmin, Decimal::from(1_000)).await;
        let mut theirs = named();
        (theirs.order.user_id, theirs.order.account_id) = (other.user, other.account);
        assert!(accept_all(test, vec![theirs]).await[0].is_ok(), "the name is free in another account");
        let mut twins = vec![request(&trader, &asset, Side::Buy, "1", Some("10")); 2];
        twins[1].order.id = OrderId(Uuid::now_v7());
        let answers = accept_all(test, twins).await;
        assert!(answers[0].is_ok() && answers[1].is_err(), "nor twice in one batch");
    }

    async fn a_repeated_request_gets_the_first_answer_and_another_body_is_refused(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000)).await;
        let with = |body| AcceptRequest {
            idempotency: Some(key(body)),
            ..request(&trader, &asset, Side::Buy, "1", Some("10"))
        };
        let first = accept(test, with(1)).await;
        let again = accept_all(test, vec![with(1)]).await.remove(0).unwrap();
        assert_eq!(again.order, first);
        assert_eq!(again.replay.unwrap().body, first.id.to_string());
        let other = accept_all(test, vec![with(2)]).await.remove(0);
        assert_eq!(other, Err(Refusal::IdempotencyKeyReused { first: Some(first.id) }));
        assert_eq!(test.order_events(trader.account, 0, 10).await.unwrap().len(), 1, "one order came of it");
    }

    async fn twins_at_once_make_one_order(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000)).await;
        let other = test.second().await;
        let quotes = HashMap::new();
        let one = async |store: &store::Store| {
            let mut request = request(&trader, &asset, Side::Buy, "1", Some("10"));
            request.idempotency = Some(key(1));
            store.accept_orders(vec![request], &context(&quotes)).await.unwrap().remove(0).unwrap().order.id
        };
        let (a, b, c, d) = tokio::join!(one(test), one(&other), one(test), one(&other));
        assert_eq!([a, b, c], [b, c, d]);
    }

    async fn a_user_who_may_not_trade_is_refused(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000)).await;
        let stranger = test.trader(Role::Superadmin, Decimal::from(1_000)).await;
        let mut foreign = request(&trader, &asset, Side::Buy, "1", Some("10"));
        foreign.order.user_id = stranger.user;
        assert_eq!(accept_all(test, vec![foreign]).await[0], Err(Refusal::AccountClosed));
    }

    async fn canceling_what_never_left_ends_it_at_once_and_frees_the_money(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Standard, Decimal::from(1_000)).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "10", Some("100"))).await;
        assert_eq!(test.balance(trader.account).await.unwrap().buying_power(), Decimal::ZERO);
        let answer = test.request_cancel(trader.account, order.id, user(), later(1)).await.unwrap();
        assert!(matches!(answer, CancelAnswer::Canceled(_)), "{answer:?}");
        assert_eq!(status(test, &trader, &order).await, OrderStatus::Canceled);
        assert_eq!(test.balance(trader.account).await.unwrap().buying_power(), Decimal::from(1_000));
        assert_eq!(test.claim_due("worker", crate::given::LEASE, 10).await.unwrap(), vec![], "its work is gone");
        let again = test.request_cancel(trader.account, order.id, user(), later(2)).await.unwrap();
        assert!(matches!(again, CancelAnswer::NotCancelable(_)), "{again:?}");
        let stranger = test.trader(Role::Standard, Decimal::ZERO).await;
        let foreign = test.request_cancel(stranger.account, order.id, user(), later(2)).await.unwrap();
        assert_eq!(foreign, CancelAnswer::NotFound);
        let kinds: Vec<_> =
            test.order_events(trader.account, 0, 10).await.unwrap().into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, ["accepted", "canceled"]);
        assert_book_is_sound(test, &trader).await;
    }
}
