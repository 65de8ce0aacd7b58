//! Triggers: made, fired once, settled.

use domain::asset::Asset;
use domain::id::{OrderId, TriggerId};
use domain::lifecycle::OrderStatus;
use domain::order::Side;
use domain::quote::Quote;
use domain::reconcile::Reported;
use domain::trigger::{Direction, Reference, Trigger, TriggerError, TriggerState};
use rust_decimal::Decimal;
use store::testing::{TestStore, Trader, now};
use store::users::Role;
use store::{Begin, Fired, Firing, NewTrigger, Search, TriggerCancel};
use uuid::Uuid;

use crate::given::{
    accept, assert_book_is_sound, begin, claim, decimal, filled, later, own, price, quote, report, request,
    said, send, status, units,
};

async fn owner(test: &TestStore) -> (Trader, Asset) {
    let (trader, asset) = (
        test.trader(Role::Superadmin, Decimal::from(10_000)).await,
        test.asset("AAPL").await,
    );
    own(test, &trader, &asset, "10", "100").await;
    (trader, asset)
}

fn stop(trader: &Trader, asset: &Asset, at: &str, quantity: Option<&str>) -> NewTrigger {
    NewTrigger {
        id: TriggerId(Uuid::now_v7()),
        user_id: trader.user,
        account_id: trader.account,
        asset: asset.clone(),
        direction: Direction::Falling,
        reference: Reference::Last,
        stop_price: price(at),
        quantity: quantity.map(units),
    }
}

async fn protect(test: &TestStore, new: NewTrigger) -> Trigger {
    test.create_trigger(new, None, later(5)).await.unwrap().unwrap()
}

fn firing(trigger: &Trigger, at: &str) -> Firing {
    Firing {
        trigger: trigger.clone(),
        price: decimal(at),
        quote_at: later(10),
        exit_order_id: OrderId(Uuid::now_v7()),
    }
}

async fn fire(test: &store::Store, trigger: &Trigger, at: &str) -> Vec<Fired> {
    test.fire(&[firing(trigger, at)], later(10)).await.unwrap()
}

/// The triggers that a search finds so many seconds later.
async fn through(test: &TestStore, quotes: &[Quote], seconds: i64) -> Vec<Trigger> {
    let (mut search, mut found) = (Search::new(quotes, 100), Vec::new());
    while !search.is_over() {
        found.extend(
            test.candidates(&mut search, later(seconds))
                .await
                .unwrap()
                .triggers,
        );
    }
    found
}

async fn state(test: &TestStore, trader: &Trader, trigger: &Trigger) -> (TriggerState, Option<String>) {
    let trigger = test.trigger(trader.account, trigger.id).await.unwrap().unwrap();
    (trigger.state, trigger.ended_because)
}

store::testing::on_both! {
    async fn only_a_position_can_be_protected_and_only_once(test: TestStore) {
        let (trader, asset) = owner(test).await;
        let other = test.asset("MSFT").await;
        let make = async |new: NewTrigger| test.create_trigger(new, Some(&quote(&asset, "100", "100.1")), later(5)).await.unwrap();
        assert_eq!(make(stop(&trader, &other, "90", None)).await, Err(TriggerError::NoPosition));
        assert!(matches!(make(stop(&trader, &asset, "90", Some("11"))).await, Err(TriggerError::ExceedsPosition { .. })));
        assert!(matches!(make(stop(&trader, &asset, "100", None)).await, Err(TriggerError::ThroughAlready { .. })));
        let first = make(stop(&trader, &asset, "90", Some("4"))).await.unwrap();
        assert!(make(stop(&trader, &asset, "80", Some("6"))).await.is_ok(), "the rest may have its own stop");
        assert_eq!(
            make(stop(&trader, &asset, "70", Some("1"))).await,
            Err(TriggerError::AlreadyProtected { existing: first.id }),
        );
        assert!(matches!(test.cancel_trigger(trader.account, first.id, later(6)).await.unwrap(), TriggerCancel::Canceled(_)));
        assert!(matches!(test.cancel_trigger(trader.account, first.id, later(6)).await.unwrap(), TriggerCancel::NotArmed(_)));
        let stranger = test.trader(Role::Standard, Decimal::ZERO).await;
        assert_eq!(test.cancel_trigger(stranger.account, first.id, later(6)).await.unwrap(), TriggerCancel::NotFound);
    }

    async fn the_index_finds_what_is_through_and_nothing_else(test: TestStore) {
        let (trader, asset) = owner(test).await;
        let near = protect(test, stop(&trader, &asset, "95", Some("1"))).await;
        let far = protect(test, stop(&trader, &asset, "80", Some("1"))).await;
        let watches = test.armed_watches(0, 1).await.unwrap();
        assert_eq!(watches.iter().map(|watch| watch.asset_id).collect::<Vec<_>>(), [asset.id]);
        let found = async |bid: &str| {
            let found = through(test, &[quote(&asset, bid, "200")], 6).await;
            found.into_iter().map(|trigger| trigger.id).collect::<Vec<_>>()
        };
        assert_eq!(found("95.01").await, vec![]);
        assert_eq!(found("95").await, vec![near.id]);
        let mut both = found("79").await;
        both.sort_unstable();
        assert_eq!(both, vec![near.id, far.id]);
    }

    async fn two_sweeps_at_once_make_one_exit(test: TestStore) {
        let (trader, asset) = owner(test).await;
        let trigger = protect(test, stop(&trader, &asset, "95", None)).await;
        let other = test.second().await;
        let (a, b) = tokio::join!(fire(test, &trigger, "94"), fire(&other, &trigger, "94"));
        assert_eq!(a.len() + b.len(), 1);
        assert_eq!(fire(test, &trigger, "93").await, vec![], "and none later");
        let exit = a.into_iter().chain(b).next().unwrap().exit;
        assert_eq!(status(test, &trader, &exit).await, OrderStatus::Held);
        let causes = test.exit_causes(&[exit.id]).await.unwrap();
        assert_eq!(causes[&exit.id].trigger_id, trigger.id);
        send(test, &exit).await;
        report(test, &trader, &[filled(&exit, "x", "10", "94")]).await;
        assert_eq!(state(test, &trader, &trigger).await, (TriggerState::Done, Some("exit_filled".into())));
        assert_eq!(test.position(trader.account, asset.id).await.unwrap(), None);
        assert_eq!(test.balance(trader.account).await.unwrap().cash, decimal("9940"));
        assert_book_is_sound(test, &trader).await;
    }

    async fn an_exit_waits_for_the_sells_that_hold_its_quantity(test: TestStore) {
        let (trader, asset) = owner(test).await;
        let trigger = protect(test, stop(&trader, &asset, "95", None)).await;
        let sell = accept(test, request(&trader, &asset, Side::Sell, "7", Some("120"))).await;
        send(test, &sell).await;
        let fired = fire(test, &trigger, "94").await.remove(0);
        assert_eq!(fired.canceled_sells, vec![sell.id]);
        assert_eq!(status(test, &trader, &sell).await, OrderStatus::PendingCancel);
        assert!(matches!(begin(test, &claim(test, &fired.exit).await).await, Begin::Later { .. }));
        report(test, &trader, &[filled(&sell, "won", "2", "120"), said(&sell, Reported::Canceled)]).await;
        wait_until_due().await;
        send(test, &fired.exit).await;
        let exit = test.order(trader.account, fired.exit.id).await.unwrap().unwrap();
        assert_eq!(exit.terms.amount.get(), decimal("8"), "what the fill took is not sold again");
        report(test, &trader, &[filled(&exit, "x", "8", "94")]).await;
        assert_eq!(test.position(trader.account, asset.id).await.unwrap(), None);
        assert_eq!(state(test, &trader, &trigger).await.0, TriggerState::Done);
        assert_book_is_sound(test, &trader).await;
    }

    async fn an_exit_asks_for_the_end_of_sells_that_came_after_it_fired(test: TestStore) {
        let (trader, asset) = owner(test).await;
        let trigger = protect(test, stop(&trader, &asset, "95", None)).await;
        let exit = fire(test, &trigger, "94").await.remove(0).exit;
        let stubborn = accept(test, request(&trader, &asset, Side::Sell, "10", Some("120"))).await;
        send(test, &stubborn).await;
        assert!(matches!(begin(test, &claim(test, &exit).await).await, Begin::Later { .. }));
        assert_eq!(status(test, &trader, &stubborn).await, OrderStatus::PendingCancel);
        report(test, &trader, &[said(&stubborn, Reported::Canceled)]).await;
        wait_until_due().await;
        send(test, &exit).await;
        assert_eq!(status(test, &trader, &exit).await, OrderStatus::New);
    }

    async fn a_venue_that_ends_an_exit_by_itself_arms_its_trigger_again(test: TestStore) {
        let (trader, asset) = owner(test).await;
        let trigger = protect(test, stop(&trader, &asset, "95", None)).await;
        let exit = fire(test, &trigger, "94").await.remove(0).exit;
        send(test, &exit).await;
        report(test, &trader, &[said(&exit, Reported::Canceled)]).await;
        let again = test.trigger(trader.account, trigger.id).await.unwrap().unwrap();
        assert_eq!((again.state, again.generation), (TriggerState::Armed, 2));
    }

    async fn a_stop_of_a_user_who_was_deactivated_still_fires(test: TestStore) {
        let (trader, asset) = owner(test).await;
        let trigger = protect(test, stop(&trader, &asset, "95", None)).await;
        // Somebody must be left who administers.
        test.create_user("root@example.org", Role::Superadmin, now()).await.unwrap();
        test.set_user_active(trader.user, false, now()).await.unwrap();
        assert_eq!(fire(test, &trigger, "94").await.len(), 1);
    }

    async fn a_position_that_closes_by_other_means_ends_its_triggers(test: TestStore) {
        let (trader, asset) = owner(test).await;
        let trigger = protect(test, stop(&trader, &asset, "95", None)).await;
        let sell = accept(test, request(&trader, &asset, Side::Sell, "10", Some("120"))).await;
        send(test, &sell).await;
        report(test, &trader, &[filled(&sell, "s", "10", "120")]).await;
        assert_eq!(state(test, &trader, &trigger).await, (TriggerState::Done, Some("position_closed".into())));
        assert_eq!(fire(test, &trigger, "90").await, vec![]);
    }

    async fn an_exit_that_ends_with_quantity_left_arms_its_trigger_again(test: TestStore) {
        let (trader, asset) = owner(test).await;
        let trigger = protect(test, stop(&trader, &asset, "95", Some("6"))).await;
        let exit = fire(test, &trigger, "94").await.remove(0).exit;
        send(test, &exit).await;
        report(test, &trader, &[filled(&exit, "x", "2", "94"), said(&exit, Reported::Expired)]).await;
        let again = test.trigger(trader.account, trigger.id).await.unwrap().unwrap();
        assert_eq!((again.state, again.generation), (TriggerState::Armed, 2));
        assert_eq!(again.quantity.map(domain::money::Quantity::get), Some(decimal("4")));
        let quotes = [quote(&asset, "94", "95")];
        assert_eq!(through(test, &quotes, 5).await, vec![], "not at once");
        assert_eq!(through(test, &quotes, 60).await.len(), 1, "but after a pause");
        let exit = fire(test, &again, "93").await.remove(0).exit;
        send(test, &exit).await;
        report(test, &trader, &[filled(&exit, "y", "4", "93")]).await;
        assert_eq!(state(test, &trader, &trigger).await.0, TriggerState::Done);
        assert_eq!(test.position(trader.account, asset.id).await.unwrap().unwrap().quantity, decimal("4"));
        assert_book_is_sound(test, &trader).await;
    }

    async fn an_exit_with_nothing_left_to_sell_ends_quietly(test: TestStore) {
        let (trader, asset) = owner(test).await;
        let trigger = protect(test, stop(&trader, &asset, "95", None)).await;
        let sell = accept(test, request(&trader, &asset, Side::Sell, "10", Some("90"))).await;
        send(test, &sell).await;
        let exit = fire(test, &trigger, "94").await.remove(0).exit;
        report(test, &trader, &[filled(&sell, "s", "10", "94")]).await;
        assert!(matches!(begin(test, &claim(test, &exit).await).await, Begin::Gone));
        assert_eq!(status(test, &trader, &exit).await, OrderStatus::Canceled);
        assert_eq!(state(test, &trader, &trigger).await.0, TriggerState::Done);
        assert_book_is_sound(test, &trader).await;
    }
}

/// An exit that waits looks again after a tenth of a second of the database's time.
pub(crate) async fn wait_until_due() {
    tokio::time::sleep(std::time::Duration::from_millis(120)).await;
}
