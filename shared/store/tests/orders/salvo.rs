//! Many stops at once: found page by page, fired batch by batch, each once.

use std::collections::BTreeSet;

use domain::asset::Asset;
use domain::id::{OrderId, TriggerId};
use domain::order::Side;
use domain::quote::Quote;
use domain::trigger::{Direction, PriceKey, Reference, Trigger};
use rust_decimal::Decimal;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter};
use store::entity::{order_work, orders, positions, trigger_exits, triggers};
use store::testing::{TestStore, Trader};
use store::{Fired, Firing, Money, Role, Search, Store};
use uuid::Uuid;

use crate::given::{
    accept, assert_book_is_sound, decimal, filled, later, price, quote, report, request, send,
};

/// A trader with `stops` stops at 95 dollars, each over one of as many units that the trader owns.
async fn protected(test: &TestStore, asset: &Asset, stops: usize) -> Trader {
    let trader = test.trader(Role::Superadmin, Decimal::from(10_000)).await;
    let position = positions::Model {
        account_id: trader.account.0,
        asset_id: asset.id.0,
        quantity: Money(Decimal::from(stops)),
        reserved: Money::ZERO,
        cost_basis: Money(Decimal::from(stops * 100)),
        realized: Money::ZERO,
        updated_at: later(0),
    };
    positions::Entity::insert(position.into_active_model())
        .exec_without_returning(test.write())
        .await
        .unwrap();
    let stop = |_| triggers::Model {
        id: Uuid::now_v7(),
        user_id: trader.user.0,
        account_id: trader.account.0,
        asset_id: asset.id.0,
        symbol: asset.symbol.clone(),
        asset_class: asset.class.as_str().to_owned(),
        direction: Direction::Falling.as_str().to_owned(),
        reference: Reference::Last.as_str().to_owned(),
        stop_price: Money(decimal("95")),
        price_key: PriceKey::exact(price("95")).0,
        quantity: Some(Money(Decimal::ONE)),
        state: "armed".to_owned(),
        generation: 1,
        exit_order_id: None,
        fired_price: None,
        created_at: later(0),
        updated_at: later(0),
        fired_at: None,
        ended_because: None,
    };
    let stops: Vec<_> = (0..stops)
        .map(stop)
        .map(IntoActiveModel::into_active_model)
        .collect();
    for part in stops.chunks(500) {
        triggers::Entity::insert_many(part.to_vec())
            .exec_without_returning(test.write())
            .await
            .unwrap();
    }
    trader
}

async fn crowd(test: &TestStore, traders: usize, stops: usize) -> (Asset, Vec<Trader>) {
    let asset = test.asset("AAPL").await;
    let mut crowd = Vec::new();
    for _ in 0..traders {
        crowd.push(protected(test, &asset, stops).await);
    }
    (asset, crowd)
}

/// Everything that a search finds at `quotes`, page by page.
async fn pages(store: &Store, quotes: &[Quote], page: usize) -> Vec<Vec<Trigger>> {
    let (mut search, mut pages) = (Search::new(quotes, page), Vec::new());
    while !search.is_over() {
        let found = store.candidates(&mut search, later(10)).await.unwrap();
        assert_eq!(found.unreadable, vec![]);
        pages.push(found.triggers);
    }
    pages
}

/// The stops that are armed and through at 94 dollars, ready to fire.
async fn through(store: &Store, asset: &Asset) -> Vec<Firing> {
    let found = pages(store, &[quote(asset, "94", "94.1")], 1_000).await;
    found.into_iter().flatten().map(firing).collect()
}

fn firing(trigger: Trigger) -> Firing {
    Firing {
        trigger,
        price: decimal("94"),
        quote_at: later(10),
        exit_order_id: OrderId(Uuid::now_v7()),
    }
}

async fn statements_of_firing(test: &TestStore, firings: &[Firing]) -> u64 {
    let before = test.statement_count();
    let fired = test.fire(firings, later(10)).await.unwrap();
    assert_eq!(fired.len(), firings.len());
    test.statement_count() - before
}

/// Every stop has one exit, which has work; every exit fills, and no position is below zero.
async fn assert_each_exits_once(test: &TestStore, crowd: &[Trader], stops: usize) {
    let count = u64::try_from(crowd.len() * stops).unwrap();
    assert_eq!(
        trigger_exits::Entity::find().count(test.read()).await.unwrap(),
        count
    );
    assert_eq!(
        order_work::Entity::find().count(test.read()).await.unwrap(),
        count
    );
    for trader in crowd {
        let exits = orders::Entity::find()
            .filter(orders::Column::AccountId.eq(trader.account.0))
            .all(test.read())
            .await
            .unwrap();
        assert_eq!(exits.len(), stops);
        let causes: BTreeSet<_> = exits.iter().map(|exit| exit.held_by_trigger).collect();
        assert_eq!(causes.len(), stops, "each trigger holds one exit");
        let mut fills = Vec::new();
        for exit in &exits {
            let exit = test
                .order(trader.account, OrderId(exit.id))
                .await
                .unwrap()
                .unwrap();
            fills.push(filled(&exit, &exit.id.to_string(), "1", "94"));
        }
        report(test, trader, &fills).await;
        assert_eq!(test.positions(trader.account).await.unwrap(), []);
        assert_book_is_sound(test, trader).await;
    }
    let done = triggers::Entity::find().filter(triggers::Column::State.eq("done"));
    assert_eq!(done.count(test.read()).await.unwrap(), count);
}

store::testing::on_both! {
    async fn a_search_shows_each_of_many_at_one_price_once_and_page_by_page(test: TestStore) {
        let (asset, _) = crowd(test, 1, 250).await;
        let pages = pages(test, &[quote(&asset, "94", "200")], 40).await;
        let sizes: Vec<_> = pages.iter().map(Vec::len).collect();
        // Of eight watches, the first page takes five each; then one is left.
        assert_eq!(sizes, [5, 40, 40, 40, 40, 40, 40, 5]);
        let ids: BTreeSet<_> = pages.iter().flatten().map(|trigger| trigger.id).collect();
        assert_eq!(ids.len(), 250);
    }

    async fn a_search_among_what_is_watched_asks_nowhere_else_and_finds_the_same(test: TestStore) {
        assert_eq!(test.armed_watches(0, 1).await.unwrap(), BTreeSet::new());
        let (asset, _) = crowd(test, 2, 3).await;
        let other = test.asset("MSFT").await;
        let rising = protected(test, &other, 2).await;
        triggers::Entity::update_many()
            .col_expr(triggers::Column::Direction, Expr::value("rising"))
            .col_expr(triggers::Column::Reference, Expr::value("mid"))
            .filter(triggers::Column::AccountId.eq(rising.account.0))
            .exec(test.write())
            .await
            .unwrap();
        let watches = test.armed_watches(0, 1).await.unwrap();
        assert_eq!(watches.len(), 2, "one for each instrument: {watches:?}");
        let quotes = [quote(&asset, "94", "94.1"), quote(&other, "96", "96.1")];
        let mut search = Search::new(&quotes, 1_000).among(&watches);
        let found = test.candidates(&mut search, later(10)).await.unwrap().triggers;
        let ids: BTreeSet<_> = found.into_iter().map(|trigger| trigger.id).collect();
        let everywhere: BTreeSet<_> = pages(test, &quotes, 1_000).await.into_iter().flatten().map(|trigger| trigger.id).collect();
        assert_eq!((ids.len(), &ids), (8, &everywhere));

        let mut parts = BTreeSet::new();
        for shard in 0..3 {
            parts.extend(test.armed_watches(shard, 3).await.unwrap());
        }
        assert_eq!(parts, watches, "the shards together watch everything");
        test.fire(&through(test, &asset).await, later(10)).await.unwrap();
        let left = test.armed_watches(0, 1).await.unwrap();
        assert_eq!(left.iter().map(|watch| watch.asset_id).collect::<Vec<_>>(), [other.id]);
    }

    async fn a_row_that_is_no_trigger_is_named_and_hides_no_other(test: TestStore) {
        let (asset, _) = crowd(test, 1, 3).await;
        let bad = through(test, &asset).await[1].trigger.id;
        triggers::Entity::update_many()
            .col_expr(triggers::Column::StopPrice, Expr::value(Money(decimal("-1"))))
            .filter(triggers::Column::Id.eq(bad.0))
            .exec(test.write())
            .await
            .unwrap();
        let mut search = Search::new(&[quote(&asset, "94", "94.1")], 100);
        let found = test.candidates(&mut search, later(10)).await.unwrap();
        assert_eq!(found.unreadable, [(bad, asset.id)]);
        assert_eq!(found.triggers.len(), 2);
    }

    async fn the_number_of_statements_is_the_same_for_few_and_for_many(test: TestStore) {
        let (asset, crowd) = crowd(test, 6, 40).await;
        let mut firings = through(test, &asset).await;
        let many = firings.split_off(3);
        let few = statements_of_firing(test, &firings).await;
        assert_eq!(few, statements_of_firing(test, &many).await);

        let other = test.asset("MSFT").await;
        let mut sizes = Vec::new();
        for stops in [1, 20] {
            let trader = protected(test, &other, stops).await;
            for _ in 0..stops {
                accept(test, request(&trader, &other, Side::Sell, "1", Some("120"))).await;
            }
            sizes.push(statements_of_firing(test, &through(test, &other).await).await);
        }
        assert_eq!(sizes[0], sizes[1], "with sells that hold the quantity");
        assert!(sizes[0] <= 24, "{sizes:?}");
        assert_book_is_sound(test, &crowd[0]).await;
    }

    async fn two_thousand_stops_of_which_a_batch_dies_in_the_middle_exit_once_each(test: TestStore) {
        let (asset, crowd) = crowd(test, 20, 100).await;
        let firings = through(test, &asset).await;
        assert_eq!(firings.len(), 2_000);
        let (first, rest) = firings.split_at(500);
        assert_eq!(test.fire(first, later(10)).await.unwrap().len(), 500);
        // The process ends after some of the statements of the second batch, before its COMMIT.
        let before = test.statement_count();
        let dies = async {
            while test.statement_count() < before + 9 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = dies => {}
            fired = test.fire(&rest[..500], later(10)) => panic!("it should have died: {fired:?}"),
        }
        let again = test.second().await;
        let left = through(&again, &asset).await;
        assert_eq!(left.len(), 1_500, "the batch that died has left nothing");
        for batch in left.chunks(700) {
            again.fire(batch, later(11)).await.unwrap();
        }
        // Whoever still has the old page fires nothing.
        assert_eq!(test.fire(rest, later(12)).await.unwrap(), vec![]);
        assert_each_exits_once(test, &crowd, 100).await;
    }

    async fn two_sweeps_at_once_over_a_thousand_stops_make_one_exit_each(test: TestStore) {
        let (asset, crowd) = crowd(test, 10, 100).await;
        let other = test.second().await;
        let (mine, mut theirs) = (through(test, &asset).await, through(&other, &asset).await);
        theirs.reverse();
        let sweep = async |store: &Store, firings: &[Firing]| {
            let mut fired = Vec::new();
            for batch in firings.chunks(90) {
                let salvo = store.fire_all(batch, later(10)).await.unwrap();
                assert!(salvo.stuck.is_empty(), "{:?}", salvo.stuck);
                fired.extend(salvo.fired);
            }
            fired
        };
        let (a, b) = tokio::join!(sweep(test, &mine), sweep(&other, &theirs));
        let ids: BTreeSet<TriggerId> = a.iter().chain(&b).map(|fired: &Fired| fired.trigger_id).collect();
        assert_eq!((a.len() + b.len(), ids.len()), (1_000, 1_000));
        assert_each_exits_once(test, &crowd, 100).await;
    }

    async fn a_stop_that_cannot_fire_holds_up_no_other(test: TestStore) {
        let (asset, crowd) = crowd(test, 9, 3).await;
        let broken = &crowd[4];
        let sell = accept(test, request(broken, &asset, Side::Sell, "1", Some("120"))).await;
        let sql = format!("UPDATE orders SET quantity = '-1' WHERE client_order_id = '{}'", sell.client_order_id.as_str());
        test.write().execute_unprepared(&sql).await.unwrap();
        let firings = through(test, &asset).await;
        assert!(test.fire(&firings, later(10)).await.is_err(), "all together they cannot");
        let salvo = test.fire_all(&firings, later(10)).await.unwrap();
        assert_eq!(salvo.fired.len(), 24);
        let stuck: BTreeSet<_> = salvo.stuck.iter().map(|stuck| stuck.trigger_id).collect();
        let theirs: BTreeSet<_> = firings
            .iter()
            .filter(|firing| firing.trigger.account_id == broken.account)
            .map(|firing| firing.trigger.id)
            .collect();
        assert_eq!(stuck, theirs);
        assert_eq!(through(test, &asset).await.len(), 3, "they are still armed");
    }

    async fn stops_that_share_a_sell_fire_together_and_ask_once_for_its_end(test: TestStore) {
        let (asset, crowd) = crowd(test, 1, 4).await;
        let sell = accept(test, request(&crowd[0], &asset, Side::Sell, "4", Some("120"))).await;
        send(test, &sell).await;
        let fired = test.fire(&through(test, &asset).await, later(10)).await.unwrap();
        assert_eq!(fired.len(), 4);
        assert!(fired.iter().all(|fired| fired.canceled_sells == [sell.id]));
        let events = test.order_events(crowd[0].account, 0, 100).await.unwrap();
        let asked = events.iter().filter(|event| event.order_id == sell.id && event.kind.contains("cancel"));
        assert_eq!(asked.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_whose_lock_somebody_keeps_holds_up_no_other() {
    let mut test = TestStore::postgres().await;
    let (asset, crowd) = crowd(&test, 3, 2).await;
    let firings = through(&test, &asset).await;
    let impatient = store::StoreOptions {
        lock_timeout: std::time::Duration::from_millis(100),
        ..test.options().clone()
    };
    let impatient = Store::connect(&impatient).await.unwrap();
    let kept = crowd[1].account;
    let test = &mut test;
    let salvo = test
        .transaction("keep", async |tx| {
            let sql = format!("SELECT 1 FROM accounts WHERE id = '{}' FOR NO KEY UPDATE", kept.0);
            tx.execute_unprepared(&sql).await?;
            impatient.fire_all(&firings, later(10)).await
        })
        .await
        .unwrap();
    assert_eq!((salvo.fired.len(), salvo.stuck.len()), (4, 2));
    assert!(salvo.fired.iter().all(|fired| fired.exit.account_id != kept));
}
