//! The laws of the desk, for any sequence of orders, cancels, replacements and quotes.

use std::collections::HashMap;

use domain::asset::{AssetClass, MarketHours};
use domain::money::{Notional, Price, Quantity};
use domain::order::{Amount, OrderKind, OrderTerms, TimeInForce};
use domain::quote::Quote;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::OutgoingOrder;

const ACCOUNTS: [ConnectionId; 2] = [ConnectionId(Uuid::from_u128(1)), ConnectionId(Uuid::from_u128(2))];

/// What each account starts with.
const CASH: Decimal = Decimal::from_parts(50_000, 0, 0, false, 0);

#[derive(Debug, Clone)]
enum Step {
    Submit(usize, OrderTerms),
    Cancel(usize, usize),
    Replace(usize, usize, OrderTerms),
    Quote { bid: i64, spread: i64, size: i64 },
}

fn bitcoin() -> Asset {
    Asset {
        id: Asset::id_of(AssetClass::Crypto, "BTC/USD"),
        symbol: "BTC/USD".to_owned(),
        class: AssetClass::Crypto,
        exchange: "CRYPTO".to_owned(),
        name: "Bitcoin".to_owned(),
        tradable: true,
        fractionable: true,
        min_order_size: Decimal::new(1, 9),
        min_trade_increment: Decimal::new(1, 9),
        price_increment: Decimal::new(1, 2),
    }
}

fn any_terms() -> impl Strategy<Value = OrderTerms> {
    let limit = prop::option::of(9_000_i64..11_000);
    let amount = prop_oneof![
        (1_i64..400_000_000_000)
            .prop_map(|nano| Amount::Quantity(Quantity::new(Decimal::new(nano, 9)).unwrap())),
        (1_i64..4_000_000).prop_map(|cents| Amount::Notional(Notional::new(Decimal::new(cents, 2)).unwrap())),
    ];
    (any::<bool>(), amount, limit, any::<bool>()).prop_map(|(is_buy, amount, limit, is_ioc)| OrderTerms {
        side: if is_buy { Side::Buy } else { Side::Sell },
        amount,
        kind: limit
            .filter(|_| amount.quantity().is_some())
            .map_or(OrderKind::Market, |cents| OrderKind::Limit {
                limit_price: Price::new(Decimal::new(cents, 2)).unwrap(),
            }),
        time_in_force: if is_ioc {
            TimeInForce::Ioc
        } else {
            TimeInForce::Gtc
        },
        extended_hours: false,
        position_intent: None,
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..2, any_terms()).prop_map(|(account, terms)| Step::Submit(account, terms)),
        1 => (0_usize..2, 0_usize..60).prop_map(|(account, order)| Step::Cancel(account, order)),
        1 => (0_usize..2, 0_usize..60, any_terms()).prop_map(|(account, old, terms)| Step::Replace(account, old, terms)),
        4 => (9_000_i64..11_000, 0_i64..50, 1_i64..300_000).prop_map(|(bid, spread, size)| Step::Quote { bid, spread, size }),
    ]
}

fn outgoing(number: u128, asset: &Asset, terms: OrderTerms) -> OutgoingOrder {
    OutgoingOrder {
        id: OrderId(Uuid::from_u128(number)),
        asset_id: asset.id,
        symbol: asset.symbol.clone(),
        asset_class: asset.class,
        terms,
    }
}

fn apply(desk: &mut Desk<'_>, step: Step, number: u128, asset: &Asset) {
    let earlier = |index: usize| OrderId(Uuid::from_u128(100 + index as u128));
    match step {
        Step::Submit(account, terms) => {
            desk.submit(ACCOUNTS[account], &outgoing(number, asset, terms))
                .unwrap();
        }
        Step::Cancel(account, order) => {
            desk.cancel(ACCOUNTS[account], earlier(order)).unwrap();
        }
        Step::Replace(account, old, terms) => {
            desk.replace(ACCOUNTS[account], earlier(old), &outgoing(number, asset, terms))
                .unwrap();
        }
        Step::Quote { bid, spread, size } => {
            desk.now += chrono::TimeDelta::seconds(1);
            let price = |cents| Price::new(Decimal::new(cents, 2)).unwrap();
            let size = Quantity::new(Decimal::new(size, 3)).unwrap();
            let quote = Quote {
                asset_id: asset.id,
                bid: price(bid),
                bid_size: size,
                ask: price(bid + spread),
                ask_size: size,
                last: price(bid),
                low: price(bid),
                high: price(bid),
                at: desk.now,
            };
            if desk.quote(&quote) {
                let page: BTreeSet<OrderId> = desk.orders.keys().copied().collect();
                assert!(desk.match_asset(asset.id, &page, usize::MAX).unwrap());
            }
        }
    }
}

/// What must be true whenever nobody acts.
fn check(desk: &Desk<'_>, asset_id: AssetId) {
    for id in ACCOUNTS {
        let (account, position) = (desk.account(id).unwrap(), desk.position(id, asset_id));
        let (mut cash, mut units) = (CASH, Decimal::ZERO);
        let (mut money_held, mut units_held) = (Decimal::ZERO, Decimal::ZERO);
        for order in desk.orders.values().filter(|order| order.connection_id == id) {
            let sign = if order.side == Side::Buy {
                Decimal::ONE
            } else {
                -Decimal::ONE
            };
            cash -= sign * order.filled_cost;
            units += sign * order.filled_quantity;
            match order.side {
                Side::Buy => money_held += order.held,
                Side::Sell => units_held += order.held,
            }
            assert!(order.is_open() || order.held.is_zero(), "{order:?}");
            match order.amount {
                Amount::Quantity(quantity) => assert!(order.filled_quantity <= quantity.get()),
                Amount::Notional(notional) => assert!(order.filled_cost <= notional.get()),
            }
        }
        let journal = desk.changed.journal.iter().filter(|row| row.connection_id == id);
        let fees: Decimal = journal
            .clone()
            .filter_map(|row| match &row.what {
                Reported::Filled(fill) => Some(fill.fee),
                _ => None,
            })
            .sum();
        assert_eq!(account.cash, cash - fees);
        assert_eq!(account.held, money_held);
        assert_eq!((position.quantity, position.held), (units, units_held));
        assert!(
            account.cash >= Decimal::ZERO && position.quantity >= position.held,
            "{account:?} {position:?}"
        );
        assert!(journal.map(|row| row.seq).eq(1..=account.last_seq));
    }
    for quoted in desk.assets.values().filter_map(|row| row.quoted.as_ref()) {
        for (side, size) in [
            (Side::Buy, quoted.quote.ask_size),
            (Side::Sell, quoted.quote.bid_size),
        ] {
            let filled: Decimal = desk
                .changed
                .journal
                .iter()
                .filter(|row| row.at == desk.now && desk.orders[&row.order_id].side == side)
                .filter_map(|row| match &row.what {
                    Reported::Filled(fill) => Some(fill.quantity.get()),
                    _ => None,
                })
                .sum();
            assert_eq!(quoted.step.left(side) + filled, size.get());
        }
    }
}

proptest! {
    #[test]
    fn money_units_and_sizes_are_conserved(steps in prop::collection::vec(any_step(), 1..60)) {
        let asset = bitcoin();
        let rules = PaperRules {
            slippage_basis_points: Decimal::new(25, 1),
            equity_fee_basis_points: Decimal::ZERO,
            crypto_fee_basis_points: Decimal::from(25),
            hours: MarketHours::Real,
            assets: HashMap::from([(asset.id, asset.clone())]),
        };
        let row = AssetRow { asset_id: asset.id, quoted: None };
        let mut desk = Desk::new(&rules, "2026-11-28T12:00:00Z".parse().unwrap(), vec![row]);
        desk.add_accounts(ACCOUNTS.map(|connection_id| AccountRow {
            connection_id,
            cash: CASH,
            held: Decimal::ZERO,
            last_seq: 0,
        }).into());
        for (number, step) in (100_u128..).zip(steps) {
            apply(&mut desk, step, number, &asset);
            check(&desk, asset.id);
        }
    }
}

/// A notional takes more units as the price falls: what is left for its rest is what no other order holds.
#[test]
fn a_notional_sell_at_a_falling_price_holds_no_units_of_another_order() {
    let asset = bitcoin();
    let rules = PaperRules {
        slippage_basis_points: Decimal::ZERO,
        equity_fee_basis_points: Decimal::ZERO,
        crypto_fee_basis_points: Decimal::ZERO,
        hours: MarketHours::Real,
        assets: HashMap::from([(asset.id, asset.clone())]),
    };
    let row = AssetRow {
        asset_id: asset.id,
        quoted: None,
    };
    let mut desk = Desk::new(&rules, "2026-11-28T12:00:00Z".parse().unwrap(), vec![row]);
    desk.add_accounts(
        ACCOUNTS
            .map(|connection_id| AccountRow {
                connection_id,
                cash: CASH,
                held: Decimal::ZERO,
                last_seq: 0,
            })
            .into(),
    );
    let order = |side, amount, kind| OrderTerms {
        side,
        amount,
        kind,
        time_in_force: TimeInForce::Gtc,
        extended_hours: false,
        position_intent: None,
    };
    let units = |count: i64| Amount::Quantity(Quantity::new(Decimal::from(count)).unwrap());
    let patient = OrderKind::Limit {
        limit_price: Price::new(Decimal::from(120)).unwrap(),
    };
    let money = Amount::Notional(Notional::new(Decimal::from(1_000)).unwrap());
    let quote = |bid, size| Step::Quote { bid, spread: 0, size };
    let steps = [
        quote(10_000, 100_000),
        Step::Submit(0, order(Side::Buy, units(100), OrderKind::Market)),
        Step::Submit(0, order(Side::Sell, units(90), patient)),
        quote(10_000, 1_000),
        Step::Submit(0, order(Side::Sell, money, OrderKind::Market)),
        quote(5_000, 5_000),
    ];
    for (number, step) in (100_u128..).zip(steps) {
        apply(&mut desk, step, number, &asset);
        check(&desk, asset.id);
    }
    let position = desk.position(ACCOUNTS[0], asset.id);
    assert_eq!(
        (position.quantity, position.held),
        (Decimal::from(94), Decimal::from(94))
    );
}
