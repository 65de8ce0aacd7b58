//! Acceptance by the short way: as strict as under locks, and as safe.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::asset::Asset;
use domain::id::{ClientOrderId, CredentialId, OrderId};
use domain::order::Side;
use domain::risk::Blocked;
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, DbBackend};
use store::orders::Acceptor;
use store::testing::{TestStore, Trader};
use store::users::Role;
use store::{AcceptRequest, Accepted, Cause, IdempotencyKey, Refusal, Store, StoreOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::given::{accept_all, assert_book_is_sound, context, decimal, later, own, request};

async fn ask(acceptor: &Acceptor, requests: Vec<AcceptRequest>) -> Vec<Result<Accepted, Refusal>> {
    let quotes = HashMap::new();
    let answers = acceptor.accept(&requests, &context(&quotes)).await;
    assert_eq!(answers.len(), requests.len());
    answers.into_iter().map(Result::unwrap).collect()
}

fn buy(trader: &Trader, asset: &Asset, limit: &str) -> AcceptRequest {
    request(trader, asset, Side::Buy, "1", Some(limit))
}

/// Another account of the same user.
async fn another_account(test: &TestStore, trader: &Trader) -> Trader {
    let account = test
        .create_account(trader.user, Decimal::from(1_000_000), store::testing::now())
        .await
        .unwrap();
    Trader {
        account: account.account,
        connection: account.connection,
        ..*trader
    }
}

store::testing::on_both! {
    async fn one_order_or_many_take_one_round_trip_on_postgres_and_two_steps_on_sqlite(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000_000)).await;
        let acceptor = Acceptor::new(test.store().clone());
        // The first order makes the account known; the second one asks for its position.
        for _ in 0..2 {
            assert!(ask(&acceptor, vec![buy(&trader, &asset, "10")]).await[0].is_ok());
        }
        let mut counts = Vec::new();
        for size in [1_usize, 16, 64] {
            let requests = (0..size).map(|n| AcceptRequest {
                idempotency: Some(IdempotencyKey {
                    credential_id: CredentialId(Uuid::from_u128(7)),
                    method: "POST".into(),
                    path: "/v2/orders".into(),
                    key: format!("{size}-{n}"),
                    body_hash: [1; 32],
                }),
                ..buy(&trader, &asset, "10")
            });
            let before = test.statement_count();
            let answers = ask(&acceptor, requests.collect()).await;
            counts.push(test.statement_count() - before);
            assert!(answers.iter().all(Result::is_ok));
        }
        let expected = if test.backend() == DbBackend::Postgres { 1 } else { 2 };
        assert_eq!(counts, [expected; 3]);
        assert_eq!(test.order_events(trader.account, 0, 100).await.unwrap().len(), 83);
        assert_book_is_sound(test, &trader).await;
    }

    async fn a_version_that_has_moved_is_noticed_and_nothing_is_written_by_the_short_way(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000_000)).await;
        let (here, there) = (Acceptor::new(test.store().clone()), Acceptor::new(test.second().await));
        let sent = async |acceptor: &Acceptor, count: usize| {
            let before = test.statement_count();
            let batch = (0..count).map(|_| buy(&trader, &asset, "10"));
            assert!(ask(acceptor, batch.collect()).await.iter().all(Result::is_ok));
            test.statement_count() - before
        };
        sent(&here, 1).await;
        sent(&here, 1).await;
        let short = sent(&here, 3).await;
        sent(&there, 2).await;
        let long = sent(&here, 3).await;
        assert!(long > short + 5, "{long} after {short}: read anew under the locks");
        // It forgot the position, too, and asks for it once.
        sent(&here, 1).await;
        assert_eq!(sent(&here, 3).await, short, "and remembered from there on");
        assert_eq!(test.order_events(trader.account, 0, 100).await.unwrap().len(), 14);
        assert_eq!(test.balance(trader.account).await.unwrap().reserved, decimal("140"));
        assert_book_is_sound(test, &trader).await;
    }

    async fn a_taken_name_spoils_nothing_and_leaves_nothing_open(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000_000)).await;
        let named = || {
            let mut request = buy(&trader, &asset, "10");
            request.order.client_order_id = ClientOrderId::new("taken").unwrap();
            request
        };
        let keyed = || AcceptRequest {
            idempotency: Some(IdempotencyKey {
                credential_id: CredentialId(Uuid::from_u128(7)),
                method: "POST".into(),
                path: "/v2/orders".into(),
                key: "taken".into(),
                body_hash: [1; 32],
            }),
            ..buy(&trader, &asset, "10")
        };
        let second = test.second().await;
        let (here, there) = (Acceptor::new(test.store().clone()), Acceptor::new(second.clone()));
        let first = ask(&there, vec![named(), keyed()]).await;
        let first: Vec<OrderId> = first.into_iter().map(|answer| answer.unwrap().order.id).collect();
        // Known here: the account at its version, and none of the names.
        for _ in 0..2 {
            ask(&here, vec![buy(&trader, &asset, "10")]).await;
        }
        let batch = vec![buy(&trader, &asset, "10"), named(), keyed(), buy(&trader, &asset, "10")];
        let answers = ask(&here, batch).await;
        assert!(answers[0].is_ok() && answers[3].is_ok());
        assert_eq!(answers[1], Err(Refusal::DuplicateClientOrderId { existing: first[0] }));
        let replayed = answers[2].as_ref().unwrap();
        assert!(replayed.order.id == first[1] && replayed.replay.is_some());
        assert_eq!(test.order_events(trader.account, 0, 100).await.unwrap().len(), 6);
        assert!(ask(&there, vec![buy(&trader, &asset, "10")]).await[0].is_ok(), "no lock was left behind");
        assert!(ask(&here, vec![buy(&trader, &asset, "10")]).await[0].is_ok());
        assert_eq!(test.balance(trader.account).await.unwrap().reserved, decimal("80"));
        assert_book_is_sound(test, &trader).await;
    }

    async fn a_refusal_is_never_given_on_what_is_only_remembered(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(100)).await;
        let acceptor = Acceptor::new(test.store().clone());
        let all = ask(&acceptor, vec![buy(&trader, &asset, "100")]).await.remove(0).unwrap().order;
        assert!(ask(&acceptor, vec![buy(&trader, &asset, "1")]).await[0].is_err());
        let cause = Cause::Tick { name: "test".into() };
        test.second().await.request_cancel(trader.account, all.id, cause, later(1)).await.unwrap();
        assert!(ask(&acceptor, vec![buy(&trader, &asset, "100")]).await[0].is_ok(), "the money is free again");
        assert_book_is_sound(test, &trader).await;
    }

    async fn what_another_process_has_taken_is_not_there_any_more(test: TestStore) {
        let (apple, pear) = (test.asset("AAPL").await, test.asset("PEAR").await);
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000)).await;
        own(test, &trader, &apple, "5", "10").await;
        let (here, there) = (Acceptor::new(test.store().clone()), Acceptor::new(test.second().await));
        let sell = || request(&trader, &apple, Side::Sell, "5", Some("1"));
        // Known here: the account, and its five apples.
        for asset in [&pear, &pear] {
            assert!(ask(&here, vec![buy(&trader, asset, "10")]).await[0].is_ok());
        }
        let too_many = request(&trader, &apple, Side::Sell, "6", Some("1"));
        assert!(ask(&here, vec![too_many]).await[0].is_err());
        assert!(ask(&there, vec![sell()]).await[0].is_ok());
        assert!(ask(&here, vec![buy(&trader, &pear, "10")]).await[0].is_ok(), "which reads the account anew");
        let twice = ask(&here, vec![sell()]).await.remove(0);
        assert!(matches!(twice, Err(Refusal::Blocked(Blocked::AvailableQuantity { .. }))), "{twice:?}");
        assert_book_is_sound(test, &trader).await;
    }

    async fn one_bad_order_never_fails_its_neighbours(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(1_000_000)).await;
        let other = test.trader(Role::Superadmin, Decimal::from(1_000_000)).await;
        let acceptor = Acceptor::new(test.store().clone());
        let named = |name: &str| {
            let mut request = buy(&trader, &asset, "10");
            request.order.client_order_id = ClientOrderId::new(name).unwrap();
            request
        };
        let taken = accept_all(test, vec![named("taken")]).await.remove(0).unwrap().order.id;
        ask(&acceptor, vec![buy(&trader, &asset, "10"), buy(&other, &asset, "10")]).await;
        let mut requests: Vec<_> = (0..64).map(|n| buy(if n % 2 == 0 { &trader } else { &other }, &asset, "10")).collect();
        requests[20] = named("taken");
        // Its twin in the batch, a user who is nobody, and what no database keeps.
        requests[30] = named("fresh");
        requests[32] = named("fresh");
        requests[41].order.user_id = trader.user;
        requests[50].order.instrument.symbol = "NUL\0".into();
        let quotes = HashMap::new();
        let answers = acceptor.accept(&requests, &context(&quotes)).await;
        for (place, answer) in answers.into_iter().enumerate() {
            match place {
                20 => assert_eq!(answer.unwrap(), Err(Refusal::DuplicateClientOrderId { existing: taken })),
                32 => assert!(matches!(answer.unwrap(), Err(Refusal::DuplicateClientOrderId { .. }))),
                41 => assert_eq!(answer.unwrap(), Err(Refusal::AccountClosed)),
                50 if test.backend() == DbBackend::Postgres => assert!(!answer.unwrap_err().is_unavailable()),
                _ => assert!(answer.unwrap().is_ok(), "{place}"),
            }
        }
        for trader in [&trader, &other] {
            assert_book_is_sound(test, trader).await;
        }
    }

    async fn two_processes_never_pass_a_limit_together(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Standard, Decimal::from(1_000_000)).await;
        let second = another_account(test, &trader).await;
        let acceptors = [Acceptor::new(test.store().clone()), Acceptor::new(test.second().await)];
        let mut asking = Vec::new();
        // 300 orders of a hundredth of the day's limit of 10 000: over both accounts, through both processes.
        for round in 0..15 {
            for (n, acceptor) in acceptors.iter().enumerate() {
                let of = if (round + n) % 3 == 0 { [&trader, &second] } else { [&trader, &trader] };
                let batch = (0..10).map(|n| buy(of[n % 2], &asset, "100"));
                asking.push(ask(acceptor, batch.collect()));
            }
        }
        let answers = futures::future::join_all(asking).await.concat();
        assert_eq!(answers.len(), 300);
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 100);
        for trader in [&trader, &second] {
            assert_book_is_sound(test, trader).await;
        }
    }

    async fn fills_that_come_meanwhile_leave_the_book_sound(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(10_000)).await;
        let acceptor = Acceptor::new(test.second().await);
        let accepting = async {
            let mut accepted = 0;
            for _ in 0..40 {
                let batch = (0..8).map(|_| buy(&trader, &asset, "10"));
                accepted += ask(&acceptor, batch.collect()).await.iter().filter(|answer| answer.is_ok()).count();
            }
            accepted
        };
        let filling = async {
            for _ in 0..40 {
                own(test, &trader, &asset, "1", "9").await;
            }
        };
        let (accepted, ()) = tokio::join!(accepting, filling);
        assert_eq!(accepted, 320, "there is money for all of them");
        let balance = test.balance(trader.account).await.unwrap();
        assert_eq!((balance.cash, balance.reserved), (decimal("9640"), decimal("3200")));
        assert_eq!(test.positions(trader.account).await.unwrap()[0].position.quantity, decimal("40"));
        assert_book_is_sound(test, &trader).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_hot_accounts_never_deadlock() {
    let test = TestStore::postgres().await;
    let asset = test.asset("AAPL").await;
    let mut traders = Vec::new();
    for _ in 0..6 {
        traders.push(test.trader(Role::Superadmin, Decimal::from(1_000_000)).await);
    }
    let acceptors = [
        Acceptor::new(test.store().clone()),
        Acceptor::new(test.second().await),
    ];
    let (asset, traders) = (&asset, &traders);
    let runs = acceptors.iter().enumerate().map(|(n, acceptor)| async move {
        for round in 0..50 {
            // Each in another order of accounts.
            let place = |k: usize| (k * (n + 1) * 5 + round * 7) % traders.len();
            let batch = (0..12).map(|k| buy(&traders[place(k)], asset, "1"));
            assert!(ask(acceptor, batch.collect()).await.iter().all(Result::is_ok));
        }
    });
    futures::future::join_all(runs).await;
    let stats: BTreeMap<_, _> = test.transaction_stats();
    assert_eq!(
        stats["accept_orders"].retried, 0,
        "a deadlock was resolved by force"
    );
    for trader in traders {
        assert_book_is_sound(&test, trader).await;
    }
}

/// A way to the server of `test` that loses the next answer after `cut` is set: the client's connection ends, the server
/// has got everything.
async fn way_that_loses_an_answer(test: &TestStore, cut: Arc<AtomicBool>) -> StoreOptions {
    let (user, rest) = test.options().url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let server: std::net::SocketAddr = server.parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(server).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = upstream.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            let cut = Arc::clone(&cut);
            tokio::spawn(async move {
                let mut bytes = vec![0; 16 * 1024];
                while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                    if cut.swap(false, Ordering::SeqCst)
                        || to_client.write_all(&bytes[..count]).await.is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    StoreOptions::new(format!("{user}@127.0.0.1:{port}/{database}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_answer_was_lost_is_found_and_accepted_once() {
    let test = TestStore::postgres().await;
    let asset = test.asset("AAPL").await;
    let trader = test.trader(Role::Superadmin, Decimal::from(1_000)).await;
    let cut = Arc::new(AtomicBool::new(false));
    let options = way_that_loses_an_answer(&test, Arc::clone(&cut)).await;
    let acceptor = Acceptor::new(Store::connect(&options).await.unwrap());
    for _ in 0..2 {
        ask(&acceptor, vec![buy(&trader, &asset, "10")]).await;
    }
    let wanted = vec![buy(&trader, &asset, "10"), buy(&trader, &asset, "20")];
    cut.store(true, Ordering::SeqCst);
    let answers = ask(&acceptor, wanted.clone()).await;
    assert!(!cut.load(Ordering::SeqCst), "an answer was lost");
    let ids: Vec<OrderId> = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap().order.id)
        .collect();
    assert_eq!(ids, [wanted[0].order.id, wanted[1].order.id]);
    assert_eq!(test.order_events(trader.account, 0, 10).await.unwrap().len(), 4);
    assert!(ask(&acceptor, vec![buy(&trader, &asset, "30")]).await[0].is_ok());
    assert_eq!(
        test.balance(trader.account).await.unwrap().reserved,
        decimal("80")
    );
    assert_book_is_sound(&test, &trader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_never_arrived_is_made_up_for() {
    let test = TestStore::postgres().await;
    let asset = test.asset("AAPL").await;
    let trader = test.trader(Role::Superadmin, Decimal::from(1_000)).await;
    let acceptor = Acceptor::new(test.second().await);
    for _ in 0..2 {
        ask(&acceptor, vec![buy(&trader, &asset, "10")]).await;
    }
    let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let admin = test.second().await;
    admin.write().execute_unprepared(all).await.unwrap();
    assert!(ask(&acceptor, vec![buy(&trader, &asset, "10")]).await[0].is_ok());
    assert_eq!(admin.order_events(trader.account, 0, 10).await.unwrap().len(), 3);
    assert_eq!(
        admin.balance(trader.account).await.unwrap().reserved,
        decimal("30")
    );
}
