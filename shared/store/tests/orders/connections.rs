//! Which connections may have news.

use std::collections::BTreeSet;

use domain::order::Side;
use rust_decimal::Decimal;
use store::Role;
use store::testing::TestStore;

use crate::given::{accept, filled, report, request, send};

async fn open(test: &TestStore) -> BTreeSet<domain::id::ConnectionId> {
    let open = test.connections_with_open_orders().await.unwrap();
    assert!(open.iter().all(|connection| connection.broker == "paper"));
    open.into_iter().map(|connection| connection.id).collect()
}

store::testing::on_both! {
    async fn connections_with_open_orders_are_each_found_once_and_no_others(test: TestStore) {
        assert_eq!(open(test).await, BTreeSet::new());
        let asset = test.asset("AAPL").await;
        let (mut traders, mut last) = (Vec::new(), Vec::new());
        for orders in 0..5 {
            let trader = test.trader(Role::Superadmin, Decimal::from(10_000)).await;
            let mut newest = None;
            for _ in 0..orders {
                newest = Some(accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await);
            }
            traders.push(trader);
            last.push(newest);
        }
        let of = |traders: &[store::testing::Trader]| -> BTreeSet<_> {
            traders.iter().map(|trader| trader.connection).collect()
        };
        assert_eq!(open(test).await, of(&traders[1..]));
        let only = last[1].take().unwrap();
        send(test, &only).await;
        report(test, &traders[1], &[filled(&only, "f", "1", "100")]).await;
        assert_eq!(open(test).await, of(&traders[2..]), "whose only order is filled, has no news");
    }
}
