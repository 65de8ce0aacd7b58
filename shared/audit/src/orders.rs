//! An account's orders, what they hold, and what is left to do for them.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::accounts::CURRENCY;
use crate::money::add;
use crate::report::{Findings, Row, Show};
use crate::rows::{ReservationRow, WorkRow};
use crate::walk::{Traced, Walk, new_york};

/// What an account's open orders hold.
#[derive(Debug)]
pub(crate) struct Held {
    /// Money.
    pub money: Option<Decimal>,
    /// Units by instrument.
    pub units: BTreeMap<Uuid, Option<Decimal>>,
    /// What they count against limits as open.
    pub exposure: Option<Decimal>,
}

/// Compares orders with their events and fills, and the work with the orders.
pub(crate) fn compare(walk: &Walk, work: Vec<WorkRow>, findings: &mut Findings) {
    let mut kinds: BTreeMap<Uuid, BTreeSet<String>> = BTreeMap::new();
    for work in work {
        if walk.orders.contains_key(&work.order_id) {
            kinds.entry(work.order_id).or_default().insert(work.kind);
        } else {
            let row = Row::pair("order_work", work.order_id, &work.kind);
            findings.report(&row, "order_id", work.order_id, "an order of the account");
        }
    }
    for (id, order) in &walk.orders {
        compare_order(walk, order, findings);
        let none = BTreeSet::new();
        compare_work(walk, order, kinds.get(id).unwrap_or(&none), findings);
    }
}

fn compare_order(walk: &Walk, order: &Traced, findings: &mut Findings) {
    let (stored, life) = (&order.row, &order.life);
    let row = Row::new("orders", stored.id);
    let Some(accepted_at) = life.accepted_at else {
        findings.report(&row, "id", stored.id, "an event that accepts it");
        return;
    };
    findings.compare(&row, "user_id", &stored.user_id, &walk.account.user_id);
    findings.compare(&row, "trading_date", &stored.trading_date, &new_york(accepted_at));
    let group = match stored.replaces {
        None => Some(stored.id),
        Some(old) => walk.orders.get(&old).map(|old| old.row.group_id),
    };
    findings.compare(&row, "group_id", &Some(stored.group_id), &group);
    if life.restated.is_some() {
        findings.compare(&row, "quantity", &stored.quantity, &life.restated);
    }
    findings.compare(
        &row,
        "filled_quantity",
        &Some(stored.filled_quantity),
        &order.quantity,
    );
    findings.compare(&row, "filled_cost", &Some(stored.filled_cost), &order.cost);
    findings.compare(
        &row,
        "closed_how",
        &stored.closed_how.as_deref(),
        &life.closed.map(|(how, _)| how),
    );
    findings.compare(
        &row,
        "closed_at",
        &stored.closed_at,
        &life.closed.map(|(_, at)| at),
    );
    findings.compare(&row, "reject_reason", &stored.reject_reason, &life.reject_reason);
    findings.compare(&row, "held_by_trigger", &stored.held_by_trigger, &life.held_by);
    findings.compare(
        &row,
        "cancel_requested_at",
        &stored.cancel_requested_at,
        &life.cancel_requested_at,
    );
    findings.compare(&row, "replaced_by", &stored.replaced_by, &life.replaced_by);
    findings.compare(&row, "is_working", &stored.is_working, &life.is_working);
    if (stored.submission == "acknowledged") != life.is_acknowledged {
        let computed = if life.is_acknowledged {
            "acknowledged"
        } else {
            "not acknowledged"
        };
        findings.report(&row, "submission", stored.submission.as_str(), computed);
    }
}

/// An open order has what moves it on; an ended one has nothing.
fn compare_work(walk: &Walk, order: &Traced, kinds: &BTreeSet<String>, findings: &mut Findings) {
    let life = &order.life;
    let is_open = life.closed.is_none();
    let submission = order.row.submission.as_str();
    for kind in kinds {
        let (fits, wanted) = match kind.as_str() {
            "submit" => (
                is_open && submission != "acknowledged",
                "no work: it is sent or has ended",
            ),
            "reconcile" => (
                is_open && submission == "unconfirmed",
                "no work: there is nothing to look up",
            ),
            "cancel" => (
                is_open && life.cancel_requested_at.is_some(),
                "no work: no end is asked for",
            ),
            "replace" => (
                is_open && life.replaced_by.is_some(),
                "no work: no replacement is asked for",
            ),
            _ => (false, "a kind that is known"),
        };
        if !fits {
            let row = Row::pair("order_work", order.row.id, kind);
            findings.report(&row, "kind", kind.as_str(), wanted);
        }
    }
    if !is_open {
        return;
    }
    let mut lacks = |kind: &'static str, is_there: bool| {
        if !is_there {
            let row = Row::pair("order_work", order.row.id, kind);
            findings.report(&row, "kind", "nothing", kind);
        }
    };
    let has = |kind: &str| kinds.contains(kind);
    lacks("cancel", life.cancel_requested_at.is_none() || has("cancel"));
    lacks("replace", life.replaced_by.is_none() || has("replace"));
    if order
        .row
        .replaces
        .is_some_and(|old| sends_for(walk, old, order.row.id))
    {
        return;
    }
    match submission {
        "unconfirmed" => lacks("reconcile", has("reconcile") || has("submit")),
        "unsent" | "sending" => lacks("submit", has("submit")),
        _ => {}
    }
}

/// Whether the order `old` sends `new` in its place, or has done so and ended by it: the venue's report is to come.
fn sends_for(walk: &Walk, old: Uuid, new: Uuid) -> bool {
    walk.orders.get(&old).is_some_and(|old| {
        let how = old.life.closed.map(|(how, _)| how);
        old.life.replaced_by == Some(new) && matches!(how, None | Some("replaced"))
    })
}

/// Compares what groups of orders hold.
pub(crate) fn compare_reservations(
    walk: &Walk,
    stored: Vec<ReservationRow>,
    findings: &mut Findings,
) -> Held {
    let mut groups: BTreeMap<Uuid, (Decimal, Decimal, &Traced)> = BTreeMap::new();
    for order in walk.orders.values() {
        let (need, exposure) = (order.need(), order.exposure());
        let group = groups
            .entry(order.row.group_id)
            .or_insert((need, exposure, order));
        group.0 = group.0.max(need);
        group.1 = group.1.max(exposure);
    }
    let zero = Some(Decimal::ZERO);
    let mut held = Held {
        money: zero,
        units: BTreeMap::new(),
        exposure: zero,
    };
    let mut stored: BTreeMap<Uuid, ReservationRow> =
        stored.into_iter().map(|row| (row.group_id, row)).collect();
    for (group, (need, exposure, order)) in groups {
        add(&mut held.exposure, exposure);
        let is_sell = order.row.side == "sell";
        if is_sell {
            add(held.units.entry(order.row.asset_id).or_insert(zero), need);
        } else {
            add(&mut held.money, need);
        }
        let row = Row::new("reservations", group);
        let of = stored.remove(&group);
        let remaining = of.as_ref().map(|row| row.remaining);
        findings.compare(
            &row,
            "remaining",
            &remaining,
            &Some(need).filter(|need| !need.is_zero()),
        );
        if let Some(of) = of {
            let asset = is_sell.then_some(order.row.asset_id);
            findings.compare(&row, "asset_id", &of.asset_id, &asset);
            let currency = (!is_sell).then_some(CURRENCY);
            findings.compare(&row, "currency", &of.currency.as_deref(), &currency);
        }
    }
    for (group, row) in stored {
        findings.report(
            &Row::new("reservations", group),
            "remaining",
            row.remaining.show(),
            "nothing",
        );
    }
    held
}
