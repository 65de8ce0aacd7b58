//! Limits of a user's own, which an admin sets while orders come in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::asset::Asset;
use domain::id::{ClientOrderId, OrderId, TriggerId};
use domain::order::Side;
use domain::risk::Blocked;
use domain::trigger::{Direction, Reference};
use rust_decimal::Decimal;
use store::orders::Acceptor;
use store::testing::{TestStore, Trader, now};
use store::users::Role;
use store::{Accepted, Cause, Firing, NewTrigger, Refusal, ReplaceRefusal, Replacement, Store, UserLimits};
use uuid::Uuid;

use crate::given::{
    accept, accept_all, assert_book_is_sound, context, decimal, later, own, price, request, send, units,
};

fn limits(order: Option<i64>, day: Option<i64>) -> UserLimits {
    UserLimits {
        order_notional: order.map(Decimal::from),
        day_notional: day.map(Decimal::from),
    }
}

/// One process that takes orders.
enum Door {
    Express(Box<Acceptor>),
    Locked(Store),
}

impl Door {
    async fn buy(&self, trader: &Trader, asset: &Asset, limit: &str) -> Result<Accepted, Refusal> {
        let quotes = HashMap::new();
        let requests = vec![request(trader, asset, Side::Buy, "1", Some(limit))];
        match self {
            Self::Express(acceptor) => acceptor
                .accept(&requests, &context(&quotes))
                .await
                .remove(0)
                .unwrap(),
            Self::Locked(store) => store
                .accept_orders(requests, &context(&quotes))
                .await
                .unwrap()
                .remove(0),
        }
    }
}

async fn doors(test: &TestStore) -> [Door; 2] {
    [
        Door::Express(Box::new(Acceptor::new(test.second().await))),
        Door::Locked(test.second().await),
    ]
}

fn of_order(limit: &str, attempted: &str) -> Refusal {
    Refusal::Blocked(Blocked::OrderNotional {
        limit: decimal(limit),
        attempted: decimal(attempted),
    })
}

fn of_day(limit: &str, attempted: &str) -> Refusal {
    Refusal::Blocked(Blocked::DayNotional {
        limit: decimal(limit),
        attempted: decimal(attempted),
    })
}

store::testing::on_both! {
    async fn a_user_s_own_limits_hold_from_the_next_order_on_in_every_process(test: TestStore) {
        let asset = test.asset("AAPL").await;
        for door in doors(test).await {
            // A standard user: 1 000 for one order, 10 000 for a day.
            let trader = test.trader(Role::Standard, Decimal::from(1_000_000)).await;
            let buy = async |limit: &str| door.buy(&trader, &asset, limit).await.map(|_| ());
            for _ in 0..3 {
                buy("1000").await.unwrap();
            }
            assert_eq!(buy("1001").await, Err(of_order("1000", "1001")));
            test.set_user_limits(trader.user, limits(Some(500), None)).await.unwrap();
            assert_eq!(buy("501").await, Err(of_order("500", "501")), "lowered");
            buy("500").await.unwrap();
            test.set_user_limits(trader.user, limits(Some(500), Some(3_600))).await.unwrap();
            assert_eq!(buy("101").await, Err(of_day("3600", "3601")), "what is open counts");
            buy("100").await.unwrap();
            test.set_user_limits(trader.user, limits(Some(20_000), Some(30_000))).await.unwrap();
            buy("20000").await.unwrap();
            test.set_user_limits(trader.user, limits(None, None)).await.unwrap();
            assert_eq!(buy("1001").await, Err(of_order("1000", "1001")), "the role's again");
            test.set_user_limits(trader.user, limits(Some(0), None)).await.unwrap();
            assert_eq!(buy("1").await, Err(of_order("0", "1")), "nothing is a limit, too");
            let other = test.trader(Role::Standard, Decimal::from(1_000_000)).await;
            door.buy(&other, &asset, "1000").await.unwrap();
            assert_book_is_sound(test, &trader).await;
        }
    }

    async fn another_role_holds_from_the_next_order_on(test: TestStore) {
        let asset = test.asset("AAPL").await;
        for door in doors(test).await {
            let trader = test.trader(Role::Admin, Decimal::from(1_000_000)).await;
            for _ in 0..2 {
                door.buy(&trader, &asset, "5000").await.unwrap();
            }
            test.set_role(trader.user, Role::Standard, now()).await.unwrap();
            let refused = door.buy(&trader, &asset, "5000").await;
            assert_eq!(refused.map(|_| ()), Err(of_order("1000", "5000")));
            test.set_user_active(trader.user, false, now()).await.unwrap();
            let refused = door.buy(&trader, &asset, "1").await;
            assert_eq!(refused.map(|_| ()), Err(Refusal::AccountClosed));
        }
    }

    async fn no_order_passes_a_limit_once_its_change_is_committed(test: TestStore) {
        let asset = test.asset("AAPL").await;
        for is_express in [true, false] {
            let door = async || {
                let store = test.second().await;
                if is_express { Door::Express(Box::new(Acceptor::new(store))) } else { Door::Locked(store) }
            };
            let doors = [door().await, door().await];
            let trader = test.trader(Role::Superadmin, Decimal::from(1_000_000)).await;
            let accepted = AtomicUsize::new(0);
            let is_changed = AtomicBool::new(false);
            let flow = async |door: &Door| {
                for n in 0..25 {
                    // The second half comes for certain after the change, the first one meets it.
                    while n == 12 && !is_changed.load(Ordering::SeqCst) {
                        tokio::task::yield_now().await;
                    }
                    accepted.fetch_add(usize::from(door.buy(&trader, &asset, "10").await.is_ok()), Ordering::SeqCst);
                }
            };
            let change = async {
                while accepted.load(Ordering::SeqCst) < 5 {
                    tokio::task::yield_now().await;
                }
                let changed = test.set_user_limits(trader.user, limits(None, Some(150))).await;
                is_changed.store(true, Ordering::SeqCst);
                changed.unwrap()
            };
            let ((), (), changed) = tokio::join!(flow(&doors[0]), flow(&doors[1]), change);
            let open = test.user_view(trader.user).await.unwrap().unwrap().notional_open;
            let most = changed.notional_open.max(Decimal::from(150));
            assert!(open <= most, "{open} is open; {} was when the limit became 150", changed.notional_open);
            assert_eq!(open, Decimal::from(10 * accepted.load(Ordering::SeqCst)));
            assert!(accepted.load(Ordering::SeqCst) <= 24, "none came after the change");
            assert_book_is_sound(test, &trader).await;
        }
    }

    async fn a_replacement_keeps_to_the_user_s_own_limits(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Standard, Decimal::from(1_000_000)).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("400"))).await;
        send(test, &order).await;
        test.set_user_limits(trader.user, limits(Some(500), None)).await.unwrap();
        let quotes = HashMap::new();
        let replace = async |limit: &str| {
            let id = OrderId(Uuid::now_v7());
            let replacement = Replacement {
                new_id: id,
                client_order_id: ClientOrderId::from(id),
                quantity: None,
                limit_price: Some(price(limit)),
                time_in_force: None,
            };
            let cause = Cause::Request { request_id: "test".into(), credential_id: None };
            let context = context(&quotes);
            test.request_replace(trader.account, order.id, replacement, &asset, cause, &context).await.unwrap()
        };
        let refused = replace("501").await.map(|_| ());
        assert_eq!(refused, Err(ReplaceRefusal::Refused(of_order("500", "501"))));
        replace("500").await.unwrap();
    }

    async fn an_exit_leaves_whatever_the_limits_are(test: TestStore) {
        let asset = test.asset("AAPL").await;
        let trader = test.trader(Role::Superadmin, Decimal::from(10_000)).await;
        own(test, &trader, &asset, "10", "100").await;
        let new = NewTrigger {
            id: TriggerId(Uuid::now_v7()),
            user_id: trader.user,
            account_id: trader.account,
            asset: asset.clone(),
            direction: Direction::Falling,
            reference: Reference::Last,
            stop_price: price("90"),
            quantity: Some(units("10")),
        };
        let trigger = test.create_trigger(new, None, later(5)).await.unwrap().unwrap();
        test.set_user_limits(trader.user, limits(Some(0), Some(0))).await.unwrap();
        let buys = accept_all(test, vec![request(&trader, &asset, Side::Buy, "1", Some("1"))]).await;
        assert!(buys[0].is_err());
        let firing = Firing {
            trigger,
            price: decimal("89"),
            quote_at: later(10),
            exit_order_id: OrderId(Uuid::now_v7()),
        };
        assert_eq!(test.fire(&[firing], later(10)).await.unwrap().len(), 1);
        assert_book_is_sound(test, &trader).await;
    }
}
