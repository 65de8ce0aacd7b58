//! Orders on their way: claimed, sent, answered, reported.

use std::time::Duration;

use domain::asset::{Asset, MarketHours};
use domain::id::{BrokerOrderId, ClientOrderId, OrderId};
use domain::lifecycle::OrderStatus;
use domain::order::{Order, Side};
use domain::reconcile::{Reported, VenueOrder};
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, EntityTrait};
use store::entity::{fills, order_work};
use store::testing::{TestStore, Trader};
use store::users::Role;
use store::{
    AfterLookUp, AttemptOutcome, Begin, CancelAnswer, Cause, LookUp, ReplaceRefusal, Replacement, StoreError,
    WorkKind,
};
use uuid::Uuid;

use crate::given::{
    LEASE, accept, accept_all, acknowledged, assert_book_is_sound, begin, claim, context, decimal, filled,
    go, later, own, price, report, request, said, send, status, units,
};

fn user() -> Cause {
    Cause::Request {
        request_id: "test".into(),
        credential_id: None,
    }
}

async fn trader(test: &TestStore) -> (Trader, Asset) {
    (
        test.trader(Role::Superadmin, Decimal::from(10_000)).await,
        test.asset("AAPL").await,
    )
}

async fn work_of(test: &TestStore) -> Vec<String> {
    order_work::Entity::find()
        .all(test.read())
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.kind)
        .collect()
}

/// Makes every lease end now, and all work due.
async fn age_leases(test: &TestStore) {
    let sql = "UPDATE order_work SET due_at = '2020-01-01T00:00:00+00:00', claimed_until = CASE WHEN claimed_until IS NULL THEN NULL ELSE '2020-01-01T00:00:00+00:00' END";
    let sql = match test.backend() {
        sea_orm::DbBackend::Postgres => sql.replace("THEN NULL ELSE", "THEN NULL::timestamptz ELSE"),
        _ => sql.to_owned(),
    };
    test.write().execute_unprepared(&sql).await.unwrap();
}

fn replacement(quantity: Option<&str>, limit: Option<&str>) -> Replacement {
    let new_id = OrderId(Uuid::now_v7());
    Replacement {
        new_id,
        client_order_id: ClientOrderId::from(new_id),
        quantity: quantity.map(units),
        limit_price: limit.map(price),
        time_in_force: None,
    }
}

async fn replace(
    test: &TestStore,
    trader: &Trader,
    asset: &Asset,
    order: &Order,
    replacement: Replacement,
) -> Result<Order, ReplaceRefusal> {
    let quotes = std::collections::HashMap::new();
    test.request_replace(
        trader.account,
        order.id,
        replacement,
        asset,
        user(),
        &context(&quotes),
    )
    .await
    .unwrap()
    .map(|accepted| accepted.order)
}

store::testing::on_both! {
    async fn an_order_is_sent_filled_and_booked(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "10", Some("100"))).await;
        let dispatch = go(test, &order).await;
        assert_eq!(status(test, &trader, &order).await, OrderStatus::PendingNew);
        assert_eq!(dispatch.connection.id, trader.connection);
        test.finish_attempt(&dispatch, acknowledged(), later(2)).await.unwrap();
        assert_eq!(status(test, &trader, &order).await, OrderStatus::New);
        assert_eq!(work_of(test).await, Vec::<String>::new(), "nothing is left to do");
        report(test, &trader, &[filled(&order, "f1", "4", "99")]).await;
        assert_eq!(status(test, &trader, &order).await, OrderStatus::PartiallyFilled);
        assert_eq!(test.balance(trader.account).await.unwrap().reserved, decimal("600"));
        report(test, &trader, &[filled(&order, "f2", "6", "100")]).await;
        assert_eq!(status(test, &trader, &order).await, OrderStatus::Filled);
        let balance = test.balance(trader.account).await.unwrap();
        assert_eq!((balance.cash, balance.reserved), (decimal("9004"), Decimal::ZERO));
        let position = test.position(trader.account, asset.id).await.unwrap().unwrap();
        assert_eq!((position.quantity, position.cost_basis), (decimal("10"), decimal("996")));
        let kinds: Vec<_> =
            test.order_events(trader.account, 0, 10).await.unwrap().into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, ["accepted", "new", "partial_fill", "fill"]);
        assert_book_is_sound(test, &trader).await;
    }

    async fn the_same_fill_reported_twice_is_booked_once(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "10", Some("100"))).await;
        send(test, &order).await;
        let fill = filled(&order, "f1", "4", "100");
        let first = report(test, &trader, &[fill.clone(), fill.clone()]).await;
        let second = report(test, &trader, &[fill]).await;
        assert_eq!((first.applied, first.skipped, second.applied, second.skipped), (1, 1, 0, 1));
        assert_eq!(fills::Entity::find().all(test.read()).await.unwrap().len(), 1);
        assert_eq!(test.balance(trader.account).await.unwrap().cash, decimal("9600"));
    }

    async fn a_cursor_that_someone_else_moved_records_nothing(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        send(test, &order).await;
        report(test, &trader, &[]).await;
        let late = test
            .record_reports(trader.connection, "paper", "", &[filled(&order, "f", "1", "100")], "9", later(5))
            .await;
        assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
        assert_eq!(status(test, &trader, &order).await, OrderStatus::New);
    }

    async fn work_is_claimed_by_one_worker_at_a_time(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        let other = test.second().await;
        let (a, b) = tokio::join!(test.claim_due("a", LEASE, 10), other.claim_due("b", LEASE, 10));
        assert_eq!(a.unwrap().len() + b.unwrap().len(), 1);
        assert_eq!(test.claim_order("c", order.id, LEASE).await.unwrap(), vec![]);
        age_leases(test).await;
        assert_eq!(test.overdue_work(Duration::from_secs(2), 10).await.unwrap(), vec![order.id]);
        assert_eq!(test.claim_order("c", order.id, LEASE).await.unwrap().len(), 1);
    }

    async fn a_worker_whose_claim_was_taken_over_can_neither_send_nor_write(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        let slow = claim(test, &order).await;
        age_leases(test).await;
        let fast = claim(test, &order).await;
        assert!(fast.fence > slow.fence);
        assert!(matches!(begin(test, &slow).await, Begin::Gone), "the stale one may not send");
        let Begin::Go(sent) = begin(test, &fast).await else { panic!("the new one may") };
        test.finish_attempt(&sent, acknowledged(), later(3)).await.unwrap();
        assert_eq!(status(test, &trader, &order).await, OrderStatus::New);
    }

    async fn a_take_over_after_the_send_looks_the_order_up_and_never_sends_again(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        let dead = go(test, &order).await;
        age_leases(test).await;
        assert!(matches!(begin(test, &claim(test, &order).await).await, Begin::LookUp));
        assert_eq!(work_of(test).await, ["reconcile"]);
        let late = test.finish_attempt(&dead, acknowledged(), later(3)).await;
        assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
        let look = go(test, &order).await;
        assert_eq!(look.claim.kind, WorkKind::Reconcile);
        let venue = VenueOrder { broker_order_id: BrokerOrderId("v".into()), is_working: true, refused: None };
        test.finish_lookup(&look, LookUp::Present(venue), Duration::from_secs(1), later(4)).await.unwrap();
        assert_eq!(status(test, &trader, &order).await, OrderStatus::New);
        assert_eq!(work_of(test).await, Vec::<String>::new());
        assert_book_is_sound(test, &trader).await;
    }

    async fn an_unknown_outcome_is_sent_again_only_when_the_venue_misses_it_twice(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        let unknown = AttemptOutcome::Unknown { reason: "cut".into(), check_in: Duration::ZERO };
        test.finish_attempt(&go(test, &order).await, unknown, later(2)).await.unwrap();
        let apart = AfterLookUp::Again { due_in: Duration::from_secs(3) };
        for (expected, after) in [("reconcile", apart), ("submit", AfterLookUp::SendAgain)] {
            age_leases(test).await;
            let look = go(test, &order).await;
            let went_on = test.finish_lookup(&look, LookUp::Absent, Duration::from_mins(1), later(3)).await.unwrap();
            assert_eq!(went_on, after);
            assert_eq!(work_of(test).await, [expected]);
        }
        assert_eq!(status(test, &trader, &order).await, OrderStatus::Accepted);
        send(test, &order).await;
        assert_eq!(status(test, &trader, &order).await, OrderStatus::New);
    }

    async fn a_look_that_could_not_tell_is_repeated_when_asked_and_forgets_an_absence(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        let unknown = AttemptOutcome::Unknown { reason: "cut".into(), check_in: Duration::ZERO };
        test.finish_attempt(&go(test, &order).await, unknown, later(2)).await.unwrap();
        let again = |seconds| AfterLookUp::Again { due_in: Duration::from_secs(seconds) };
        let failed = LookUp::Failed { reason: "no route".into() };
        let looks = [(LookUp::Absent, again(3)), (failed, again(60)), (LookUp::Ambiguous, again(60)), (LookUp::Absent, again(3))];
        for (found, after) in looks {
            age_leases(test).await;
            let look = go(test, &order).await;
            let went_on = test.finish_lookup(&look, found.clone(), Duration::from_mins(1), later(3)).await.unwrap();
            assert_eq!(went_on, after, "{found:?}");
        }
    }

    async fn a_replace_counts_as_missed_when_nothing_was_sent_since(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let old = accept(test, request(&trader, &asset, Side::Buy, "10", Some("100"))).await;
        send(test, &old).await;
        replace(test, &trader, &asset, &old, replacement(Some("5"), None)).await.unwrap();
        let sent = go(test, &old).await;
        let unknown = AttemptOutcome::Unknown { reason: "cut".into(), check_in: Duration::ZERO };
        test.finish_attempt(&sent, unknown, later(2)).await.unwrap();
        age_leases(test).await;
        let look = go(test, &old).await;
        assert!(look.is_repeat && !look.was_missed);
        assert_eq!(look.attempted_at, sent.attempted_at);
        test.finish_attempt(&look, AttemptOutcome::Missed, later(3)).await.unwrap();
        assert!(test.claim_order("early", old.id, LEASE).await.unwrap().is_empty(), "some seconds apart");
        age_leases(test).await;
        let dies_after_sending = go(test, &old).await;
        assert!(dies_after_sending.is_repeat && dies_after_sending.was_missed);
        assert_eq!(dies_after_sending.attempted_at, sent.attempted_at, "a look is no send");
        age_leases(test).await;
        let after = go(test, &old).await;
        assert!(after.is_repeat && !after.was_missed, "nobody has looked for what was sent last");
    }

    async fn a_replace_that_the_venue_has_is_looked_for_and_not_sent_again(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let old = accept(test, request(&trader, &asset, Side::Buy, "10", Some("100"))).await;
        send(test, &old).await;
        replace(test, &trader, &asset, &old, replacement(Some("5"), None)).await.unwrap();
        let sent = go(test, &old).await;
        assert!(!sent.is_repeat);
        test.finish_attempt(&sent, acknowledged(), later(2)).await.unwrap();
        age_leases(test).await;
        let again = go(test, &old).await;
        assert!(again.is_repeat, "the venue is slow to report, and has it all the same");
        assert_eq!(again.attempted_at, sent.attempted_at);
        let reason = "no".to_owned();
        test.finish_attempt(&again, AttemptOutcome::Refused { reason }, later(3)).await.unwrap();
        replace(test, &trader, &asset, &old, replacement(Some("6"), None)).await.unwrap();
        assert!(!go(test, &old).await.is_repeat, "another replacement was never sent");
    }

    async fn what_was_not_sent_is_due_again_and_what_was_refused_ends(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        let not_sent = AttemptOutcome::NotSent { reason: "no route".into(), retry_in: Duration::ZERO };
        test.finish_attempt(&go(test, &order).await, not_sent, later(2)).await.unwrap();
        assert_eq!(status(test, &trader, &order).await, OrderStatus::Accepted);
        age_leases(test).await;
        let refused = AttemptOutcome::Refused { reason: "no such account".into() };
        test.finish_attempt(&go(test, &order).await, refused, later(3)).await.unwrap();
        let order = test.order(trader.account, order.id).await.unwrap().unwrap();
        assert_eq!(order.facts.status(), OrderStatus::Rejected);
        assert_eq!(order.facts.reject_reason.as_deref(), Some("no such account"));
        assert_eq!(test.balance(trader.account).await.unwrap().reserved, Decimal::ZERO);
        assert_eq!(work_of(test).await, Vec::<String>::new());
    }

    async fn a_report_that_is_faster_than_the_answer_settles_the_submission(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        let dispatch = go(test, &order).await;
        report(test, &trader, &[filled(&order, "f", "1", "100")]).await;
        assert_eq!(status(test, &trader, &order).await, OrderStatus::Filled);
        test.finish_attempt(&dispatch, acknowledged(), later(5)).await.unwrap();
        assert_eq!(status(test, &trader, &order).await, OrderStatus::Filled);
    }

    async fn a_cancel_asks_the_venue_and_a_fill_may_win(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "2", Some("100"))).await;
        let sending = go(test, &order).await;
        let asked = test.request_cancel(trader.account, order.id, user(), later(2)).await.unwrap();
        assert!(matches!(asked, CancelAnswer::Requested(_)), "{asked:?}");
        assert!(matches!(begin(test, &claim(test, &order).await).await, Begin::Later { .. }), "not known yet");
        test.finish_attempt(&sending, acknowledged(), later(3)).await.unwrap();
        age_leases(test).await;
        let cancel = go(test, &order).await;
        assert_eq!(cancel.claim.kind, WorkKind::Cancel);
        test.finish_attempt(&cancel, acknowledged(), later(4)).await.unwrap();
        assert_eq!(status(test, &trader, &order).await, OrderStatus::PendingCancel);
        report(test, &trader, &[filled(&order, "f", "2", "100")]).await;
        assert_eq!(status(test, &trader, &order).await, OrderStatus::Filled);
        assert_eq!(work_of(test).await, Vec::<String>::new());
        assert_book_is_sound(test, &trader).await;
    }

    async fn a_fill_after_the_cancel_still_moves_the_position(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "2", Some("100"))).await;
        send(test, &order).await;
        report(test, &trader, &[said(&order, Reported::Canceled)]).await;
        let late = report(test, &trader, &[filled(&order, "late", "1", "100")]).await;
        assert_eq!(late.alarms, 1);
        assert_eq!(status(test, &trader, &order).await, OrderStatus::Canceled);
        assert_eq!(test.position(trader.account, asset.id).await.unwrap().unwrap().quantity, decimal("1"));
        assert_eq!(test.balance(trader.account).await.unwrap().cash, decimal("9900"));
        assert_book_is_sound(test, &trader).await;
    }

    async fn a_replacement_reserves_the_larger_need_until_one_of_both_ends(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let old = accept(test, request(&trader, &asset, Side::Buy, "10", Some("100"))).await;
        let early = replace(test, &trader, &asset, &old, replacement(Some("5"), None)).await;
        assert!(matches!(early, Err(ReplaceRefusal::NotSentYet(_))), "{early:?}");
        send(test, &old).await;
        let new = replace(test, &trader, &asset, &old, replacement(Some("12"), None)).await.unwrap();
        assert_eq!(test.balance(trader.account).await.unwrap().reserved, decimal("1200"));
        assert_eq!(status(test, &trader, &old).await, OrderStatus::PendingReplace);
        let twice = replace(test, &trader, &asset, &old, replacement(Some("3"), None)).await;
        assert!(matches!(twice, Err(ReplaceRefusal::NotReplaceable(_))), "{twice:?}");
        let dispatch = go(test, &old).await;
        assert_eq!(dispatch.replacement.as_ref().map(|order| order.id), Some(new.id));
        test.finish_attempt(&dispatch, acknowledged(), later(3)).await.unwrap();
        let reports =
            [said(&old, Reported::Replaced), said(&new, Reported::Acknowledged { is_working: true })];
        report(test, &trader, &reports).await;
        assert_eq!(status(test, &trader, &old).await, OrderStatus::Replaced);
        assert_eq!(status(test, &trader, &new).await, OrderStatus::New);
        report(test, &trader, &[filled(&new, "f", "12", "100")]).await;
        assert_eq!(test.balance(trader.account).await.unwrap().cash, decimal("8800"));
        assert_eq!(work_of(test).await, Vec::<String>::new());
        assert_book_is_sound(test, &trader).await;
    }

    async fn a_fill_that_wins_over_the_replacement_rejects_it(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let old = accept(test, request(&trader, &asset, Side::Buy, "10", Some("100"))).await;
        send(test, &old).await;
        let new = replace(test, &trader, &asset, &old, replacement(None, Some("101"))).await.unwrap();
        report(test, &trader, &[filled(&old, "f", "10", "100")]).await;
        assert_eq!(status(test, &trader, &old).await, OrderStatus::Filled);
        assert_eq!(status(test, &trader, &new).await, OrderStatus::Rejected);
        let kinds: Vec<_> =
            test.order_events(trader.account, 0, 20).await.unwrap().into_iter().map(|event| event.kind).collect();
        assert!(kinds.contains(&"order_replace_rejected".to_owned()), "{kinds:?}");
        assert_eq!(test.balance(trader.account).await.unwrap().reserved, Decimal::ZERO);
        assert_eq!(work_of(test).await, Vec::<String>::new());
        assert_book_is_sound(test, &trader).await;
    }

    async fn a_replacement_needs_money_only_for_what_goes_beyond_the_old_order(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let old = accept(test, request(&trader, &asset, Side::Buy, "90", Some("100"))).await;
        send(test, &old).await;
        let more = replace(test, &trader, &asset, &old, replacement(Some("101"), None)).await;
        assert!(matches!(more, Err(ReplaceRefusal::Refused(_))), "{more:?}");
        assert!(replace(test, &trader, &asset, &old, replacement(Some("100"), None)).await.is_ok());
        assert_book_is_sound(test, &trader).await;
    }

    async fn an_order_for_the_day_that_never_left_ends_with_its_session(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let waiting = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        let sent = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        go(test, &sent).await;
        let close = "2026-11-24T21:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let before = close - chrono::TimeDelta::seconds(1);
        assert_eq!(test.expire_unsent(before, MarketHours::Real, 10).await.unwrap(), vec![]);
        assert_eq!(test.expire_unsent(close, MarketHours::Real, 10).await.unwrap(), vec![waiting.id]);
        assert_eq!(status(test, &trader, &waiting).await, OrderStatus::Expired);
        assert_eq!(status(test, &trader, &sent).await, OrderStatus::PendingNew, "the venue's word ends it");
        assert_eq!(test.expire_unsent(close, MarketHours::Real, 10).await.unwrap(), vec![]);
        assert_book_is_sound(test, &trader).await;
    }

    async fn an_order_for_the_day_does_not_leave_a_day_late(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        let claim = claim(test, &order).await;
        let next_day = "2026-11-25T15:00:00Z".parse().unwrap();
        let begun = test.begin_attempt(&claim, "late", next_day, MarketHours::Real).await.unwrap();
        assert!(matches!(begun, Begin::Gone), "{begun:?}");
        assert_eq!(status(test, &trader, &order).await, OrderStatus::Expired);
        assert_eq!(work_of(test).await, Vec::<String>::new());
    }

    async fn a_page_of_many_reports_is_recorded_whole(test: TestStore) {
        let trader = test.trader(Role::Superadmin, Decimal::from(100_000)).await;
        let asset = test.asset("AAPL").await;
        let requests = (0..600).map(|_| request(&trader, &asset, Side::Buy, "1", Some("10"))).collect();
        let orders: Vec<Order> = accept_all(test, requests).await.into_iter().map(|answer| answer.unwrap().order).collect();
        let claims = test.claim_due("worker", LEASE, 1_000).await.unwrap();
        assert_eq!(claims.len(), 600);
        for claim in claims.iter().take(3) {
            let Begin::Go(dispatch) = begin(test, claim).await else { panic!("may be sent") };
            test.finish_attempt(&dispatch, acknowledged(), later(2)).await.unwrap();
        }
        let expired: Vec<_> = orders.iter().map(|order| said(order, Reported::Expired)).collect();
        assert_eq!(report(test, &trader, &expired).await.applied, 600);
        assert_eq!(test.balance(trader.account).await.unwrap().reserved, Decimal::ZERO);
        assert_eq!(work_of(test).await, Vec::<String>::new());
        let more = (0..600).map(|_| request(&trader, &asset, Side::Buy, "1", Some("10"))).collect();
        accept_all(test, more).await;
        let canceled = test.request_cancel_all(trader.account, user(), later(5)).await.unwrap();
        assert_eq!(canceled.len(), 600);
        assert_book_is_sound(test, &trader).await;
    }

    async fn the_end_of_an_order_takes_its_pending_replacement_with_it(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let old = accept(test, request(&trader, &asset, Side::Buy, "10", Some("100"))).await;
        send(test, &old).await;
        let new = replace(test, &trader, &asset, &old, replacement(None, Some("101"))).await.unwrap();
        report(test, &trader, &[said(&old, Reported::Expired)]).await;
        assert_eq!(status(test, &trader, &new).await, OrderStatus::Rejected);
        assert_eq!(test.balance(trader.account).await.unwrap().reserved, Decimal::ZERO);
        let user = test.account_view(trader.account).await.unwrap().unwrap();
        assert_eq!(user.user_notional_open, Decimal::ZERO);
    }

    async fn reports_and_replacements_at_once_leave_no_order_behind(test: TestStore) {
        let (trader, asset) = trader(test).await;
        for round in 0..10 {
            let old = accept(test, request(&trader, &asset, Side::Buy, "1", Some("10"))).await;
            send(test, &old).await;
            let fill = [filled(&old, &format!("race-{round}"), "1", "10")];
            let (replaced, _) = tokio::join!(
                replace(test, &trader, &asset, &old, replacement(None, Some("11"))),
                report(test, &trader, &fill),
            );
            if let Ok(new) = replaced {
                assert_eq!(status(test, &trader, &new).await, OrderStatus::Rejected, "round {round}");
            }
            assert_eq!(test.balance(trader.account).await.unwrap().reserved, Decimal::ZERO, "round {round}");
        }
        assert_book_is_sound(test, &trader).await;
    }

    async fn a_cancel_waits_for_the_submission_without_a_poll(test: TestStore) {
        let (trader, asset) = trader(test).await;
        let order = accept(test, request(&trader, &asset, Side::Buy, "1", Some("100"))).await;
        let sending = go(test, &order).await;
        test.request_cancel(trader.account, order.id, user(), later(2)).await.unwrap();
        let Begin::Later { due_in, .. } = begin(test, &claim(test, &order).await).await else { panic!("not known") };
        assert!(due_in >= Duration::from_secs(5), "{due_in:?}");
        test.finish_attempt(&sending, acknowledged(), later(3)).await.unwrap();
        let cancel = go(test, &order).await;
        assert_eq!(cancel.claim.kind, WorkKind::Cancel, "due at once, now that the venue has the order");
    }

    async fn selling_what_is_owned_realizes_its_profit(test: TestStore) {
        let (trader, asset) = trader(test).await;
        own(test, &trader, &asset, "10", "100").await;
        let sell = accept(test, request(&trader, &asset, Side::Sell, "4", Some("110"))).await;
        assert_eq!(test.position(trader.account, asset.id).await.unwrap().unwrap().available(), decimal("6"));
        send(test, &sell).await;
        report(test, &trader, &[filled(&sell, "s", "4", "110")]).await;
        let position = test.position(trader.account, asset.id).await.unwrap().unwrap();
        assert_eq!((position.quantity, position.reserved, position.realized), (decimal("6"), decimal("0"), decimal("40")));
        assert_eq!(test.balance(trader.account).await.unwrap().cash, decimal("9440"));
        assert_book_is_sound(test, &trader).await;
    }
}
