//! What an order's body may say, and what an order shows.

use chrono::{DateTime, Utc};
use domain::asset::{AssetClass, MarketHours};
use domain::id::{AccountId, ClientOrderId, GroupId, OrderId, TriggerId, UserId};
use domain::lifecycle::{Facts, How, Submission};
use domain::money::Quantity;
use domain::order::{Amount, Order, OrderKind, OrderTerms, Side, TimeInForce};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use store::orders::{CancelAnswer, ExitCause};
use uuid::Uuid;

use super::*;
use crate::catalogue::Catalogue;
use crate::input::Fields;
use crate::input::body::parse_object;

fn catalogue() -> Catalogue {
    Catalogue::new(market::catalog::assets())
}

fn read_text(body: &str) -> Result<WantedOrder, Problem> {
    read(&mut Fields::new(parse_object(body.as_bytes())?), &catalogue())
}

/// A sound order, with members changed; null takes one away.
fn order_with(changes: &Value) -> Value {
    let mut body = json!({
        "symbol": "AAPL", "qty": "2", "side": "buy", "type": "limit", "limit_price": "180.50", "time_in_force": "day",
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[test]
fn an_order_is_read_from_every_form_that_clients_send() {
    let expected = OrderTerms {
        side: Side::Buy,
        amount: Amount::Quantity(Quantity::new(Decimal::TWO).unwrap()),
        kind: OrderKind::Limit {
            limit_price: "180.5".parse::<Decimal>().unwrap().try_into().unwrap(),
        },
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        position_intent: None,
    };
    for body in [
        r#"{"symbol":"AAPL","qty":"2","side":"buy","type":"limit","limit_price":"180.50","time_in_force":"day"}"#,
        r#"{"symbol":"AAPL","qty":2,"side":"buy","type":"limit","limit_price":180.5,"time_in_force":"day"}"#,
        r#"{"symbol":"aapl:NASDAQ","qty":2.0,"side":"buy","type":"limit","limit_price":1.805e2,"time_in_force":"day",
            "notional":null,"stop_price":null,"trail_price":null,"trail_percent":null,"extended_hours":"False",
            "client_order_id":"","order_class":"","take_profit":null,"stop_loss":null,"position_intent":null}"#,
        r#"{"symbol":"AAPL","qty":"2","side":"buy","type":"limit","limit_price":"180.5","time_in_force":"day",
            "order_class":"simple","of_the_next_version":{"a":[1]}}"#,
    ] {
        let wanted = read_text(body).unwrap();
        assert_eq!(
            (wanted.asset.symbol.as_str(), &wanted.terms),
            ("AAPL", &expected),
            "{body}"
        );
        assert_eq!(wanted.client_order_id, None, "{body}");
    }
}

#[test]
fn a_float_of_python_is_read_by_its_digits() {
    let body = r#"{"symbol":"BTCUSD","qty":1e-05,"side":"buy","type":"limit","limit_price":100.1,"time_in_force":"gtc"}"#;
    let error = read_text(&body.replace("1e-05", "1e-10")).unwrap_err();
    assert_eq!(error.detail(), "qty must have at most 9 decimal places");
    let wanted = read_text(body).unwrap_or_else(|problem| panic!("{problem:?}"));
    assert_eq!(wanted.terms.amount.get().to_string(), "0.00001");
    assert_eq!(wanted.terms.kind.limit_price().unwrap().to_string(), "100.1");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn every_wrong_order_gets_its_own_code_and_place() {
    let long = "x".repeat(129);
    let forty = "1234567890123456789012345678901234567890";
    for (changes, code, place, detail) in [
        (
            json!({"symbol": null}),
            Code::InvalidRequest,
            "/symbol",
            "symbol is required",
        ),
        (
            json!({"symbol": 5}),
            Code::InvalidRequest,
            "/symbol",
            "symbol must be a string",
        ),
        (
            json!({"symbol": "NOPE"}),
            Code::UnknownSymbol,
            "/symbol",
            "asset \"NOPE\" not found",
        ),
        (
            json!({"qty": null}),
            Code::AmountRequired,
            "/qty",
            "qty or notional is required",
        ),
        (
            json!({"notional": "5"}),
            Code::AmountAmbiguous,
            "/notional",
            "only one of qty or notional is accepted",
        ),
        (
            json!({"qty": "0"}),
            Code::InvalidNumber,
            "/qty",
            "qty must be > 0",
        ),
        (
            json!({"qty": "-1"}),
            Code::InvalidNumber,
            "/qty",
            "qty must be > 0",
        ),
        (
            json!({"qty": "1e3"}),
            Code::InvalidNumber,
            "/qty",
            "qty must be written without an exponent",
        ),
        (
            json!({"qty": "NaN"}),
            Code::InvalidNumber,
            "/qty",
            "qty must be a decimal number",
        ),
        (
            json!({"qty": forty}),
            Code::InvalidNumber,
            "/qty",
            "qty has too many digits",
        ),
        (
            json!({"qty": "9000000000"}),
            Code::InvalidNumber,
            "/qty",
            "qty is too large",
        ),
        (
            json!({"qty": "0.0000000001"}),
            Code::InvalidNumber,
            "/qty",
            "qty must have at most 9 decimal places",
        ),
        (
            json!({"qty": true}),
            Code::InvalidNumber,
            "/qty",
            "qty must be a decimal number",
        ),
        (
            json!({"side": null}),
            Code::InvalidSide,
            "/side",
            "invalid side: side is required",
        ),
        (
            json!({"side": "hold"}),
            Code::InvalidSide,
            "/side",
            "invalid side: \"hold\"",
        ),
        (
            json!({"type": null}),
            Code::InvalidOrderType,
            "/type",
            "invalid order type: type is required",
        ),
        (
            json!({"type": "best"}),
            Code::InvalidOrderType,
            "/type",
            "invalid order type: \"best\"",
        ),
        (
            json!({"limit_price": null}),
            Code::LimitPriceRequired,
            "/limit_price",
            "limit orders require a limit price",
        ),
        (
            json!({"limit_price": "0"}),
            Code::InvalidNumber,
            "/limit_price",
            "limit_price must be > 0",
        ),
        (
            json!({"type": "market"}),
            Code::PriceNotUsed,
            "/limit_price",
            "limit_price is not used by market orders",
        ),
        (
            json!({"stop_price": "1"}),
            Code::PriceNotUsed,
            "/stop_price",
            "stop_price is not used by limit orders",
        ),
        (
            json!({"trail_percent": 1}),
            Code::PriceNotUsed,
            "/trail_percent",
            "trail_percent is not used by limit orders",
        ),
        (
            json!({"time_in_force": "opg"}),
            Code::InvalidTimeInForce,
            "/time_in_force",
            "invalid time_in_force: \"opg\"",
        ),
        (
            json!({"extended_hours": "maybe"}),
            Code::InvalidRequest,
            "/extended_hours",
            "extended_hours must be true or false",
        ),
        (
            json!({"client_order_id": long}),
            Code::InvalidClientOrderId,
            "/client_order_id",
            "client_order_id must be no more than 128 characters",
        ),
        (
            json!({"client_order_id": "a\u{0}b"}),
            Code::InvalidClientOrderId,
            "/client_order_id",
            "client_order_id must not contain control characters",
        ),
        (
            json!({"position_intent": "sell_to_close"}),
            Code::InvalidPositionIntent,
            "/position_intent",
            "position_intent sell_to_close contradicts side buy",
        ),
        (
            json!({"position_intent": "hope"}),
            Code::InvalidPositionIntent,
            "/position_intent",
            "invalid position_intent: \"hope\"",
        ),
        (
            json!({"limit_price": "180.505"}),
            Code::PriceIncrement,
            "/limit_price",
            "invalid limit_price 180.505. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            json!({"symbol": "BTC/USD"}),
            Code::InvalidCryptoTimeInForce,
            "/time_in_force",
            "invalid crypto time_in_force",
        ),
        (
            json!({"qty": "1.5", "time_in_force": "gtc"}),
            Code::FractionalNotDay,
            "/time_in_force",
            "fractional orders must be DAY orders",
        ),
        (
            json!({"qty": null, "notional": "50"}),
            Code::NotionalNotMarket,
            "/notional",
            "notional orders must be market orders",
        ),
        (
            json!({"extended_hours": true, "time_in_force": "ioc"}),
            Code::ExtendedHoursOrder,
            "/extended_hours",
            "extended hours order must be DAY or GTC limit orders",
        ),
        (
            json!({"qty": "1000000", "limit_price": "100000"}),
            Code::NotionalTooLarge,
            "/limit_price",
            "the order's notional must be < 10000000000",
        ),
    ] {
        let problem = read_text(&order_with(&changes).to_string()).unwrap_err();
        assert_eq!((problem.code(), problem.detail()), (code, detail), "{changes}");
        assert_eq!(problem.errors()[0].place(), place, "{changes}");
    }
}

#[test]
fn what_arbion_does_not_do_yet_is_refused_and_points_to_triggers() {
    for kind in ["stop", "stop_limit", "trailing_stop"] {
        let body = order_with(&json!({"type": kind, "limit_price": null, "stop_price": "170"}));
        let problem = read_text(&body.to_string()).unwrap_err();
        assert_eq!(problem.code(), Code::UnsupportedOrderType);
        assert!(
            problem.detail().starts_with("invalid order type") && problem.detail().contains("/v2/triggers")
        );
    }
    for changes in [
        json!({"order_class": "bracket", "take_profit": {"limit_price": "200"}}),
        json!({"order_class": "oco"}),
        json!({"order_class": "nonsense"}),
        json!({"stop_loss": {"stop_price": "170"}}),
        json!({"take_profit": {"limit_price": "200"}}),
    ] {
        let problem = read_text(&order_with(&changes).to_string()).unwrap_err();
        assert_eq!(problem.code(), Code::UnsupportedOrderClass, "{changes}");
        assert!(problem.detail().contains("/v2/triggers"), "{changes}");
    }
}

#[test]
fn all_faults_of_shape_are_told_at_once() {
    let problem =
        read_text(r#"{"symbol":"AAPL","qty":"0","side":"hold","type":"limit","time_in_force":"x"}"#)
            .unwrap_err();
    let places: Vec<_> = problem.errors().iter().map(FieldError::place).collect();
    assert_eq!(places, ["/qty", "/side", "/limit_price", "/time_in_force"]);
}

#[test]
fn the_shape_is_judged_before_the_symbol_and_the_symbol_before_the_terms() {
    let code = |changes: Value| read_text(&order_with(&changes).to_string()).unwrap_err().code();
    assert_eq!(code(json!({"symbol": "NOPE", "side": "hold"})), Code::InvalidSide);
    assert_eq!(
        code(json!({"symbol": "NOPE", "limit_price": "180.505"})),
        Code::UnknownSymbol
    );
}

fn replacement(body: &Value) -> Result<store::orders::Replacement, Problem> {
    let new_id = OrderId(Uuid::from_u128(9));
    replace::read(
        &mut Fields::new(parse_object(body.to_string().as_bytes()).unwrap()),
        new_id,
    )
}

#[test]
fn a_replacement_changes_what_it_names_and_nothing_else() {
    let all_null =
        json!({"qty": null, "time_in_force": null, "limit_price": null, "stop_price": null, "trail": null});
    let nothing = replacement(&all_null).unwrap();
    assert_eq!(
        (nothing.quantity, nothing.limit_price, nothing.time_in_force),
        (None, None, None)
    );
    assert_eq!(nothing.client_order_id, ClientOrderId::from(nothing.new_id));
    let some = replacement(&json!({"limit_price": 181.25, "client_order_id": "mine"})).unwrap();
    assert_eq!(some.limit_price.unwrap().to_string(), "181.25");
    assert_eq!(some.client_order_id.as_str(), "mine");
    assert_eq!(
        replacement(&json!({"stop_price": "1"})).unwrap_err().code(),
        Code::PriceNotUsed
    );
    assert_eq!(
        replacement(&json!({"qty": "0"})).unwrap_err().code(),
        Code::InvalidNumber
    );
    assert_eq!(
        replacement(&json!({"time_in_force": "x"})).unwrap_err().code(),
        Code::InvalidTimeInForce
    );
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn an_order() -> Order {
    let submitted_at = at("2026-11-24T15:00:00Z");
    let asset = market::catalog::asset("AAPL").unwrap();
    Order {
        id: OrderId(Uuid::from_u128(1)),
        user_id: UserId(Uuid::from_u128(2)),
        account_id: AccountId(Uuid::from_u128(3)),
        group_id: GroupId(Uuid::from_u128(1)),
        client_order_id: ClientOrderId::new("mine").unwrap(),
        asset_id: asset.id,
        symbol: asset.symbol,
        asset_class: AssetClass::UsEquity,
        terms: read_text(&order_with(&json!({})).to_string()).unwrap().terms,
        reserve_rate: Decimal::ONE,
        exposure_rate: Decimal::ONE,
        trading_date: "2026-11-24".parse().unwrap(),
        replaces: None,
        submitted_at,
        updated_at: submitted_at,
        broker_order_id: None,
        facts: Facts::accepted(None),
    }
}

#[test]
fn an_accepted_order_shows_every_key_of_the_contract() {
    let shown = OrderView::of(&an_order(), MarketHours::Real, &Beside::default()).json();
    let expected = json!({
        "id": "00000000-0000-0000-0000-000000000001",
        "client_order_id": "mine",
        "created_at": "2026-11-24T15:00:00.000000Z",
        "updated_at": "2026-11-24T15:00:00.000000Z",
        "submitted_at": "2026-11-24T15:00:00.000000Z",
        "filled_at": null, "expired_at": null, "expires_at": "2026-11-24T21:00:00.000000Z",
        "canceled_at": null, "failed_at": null, "replaced_at": null, "replaced_by": null, "replaces": null,
        "asset_id": market::catalog::asset("AAPL").unwrap().id.to_string(),
        "symbol": "AAPL", "asset_class": "us_equity",
        "notional": null, "qty": "2", "filled_qty": "0", "filled_avg_price": null,
        "order_class": "", "order_type": "limit", "type": "limit", "side": "buy", "time_in_force": "day",
        "limit_price": "180.5", "stop_price": null, "status": "accepted", "extended_hours": false, "legs": null,
        "trail_percent": null, "trail_price": null, "hwm": null, "position_intent": null, "ratio_qty": null,
        "subtag": null, "source": null, "submission": null, "cause": null, "trigger_id": null,
    });
    assert_eq!(shown, expected);
}

#[test]
fn an_order_shows_how_it_ended_and_what_it_filled() {
    for (how, key) in [
        (How::Filled, "filled_at"),
        (How::Canceled, "canceled_at"),
        (How::Expired, "expired_at"),
        (How::Rejected, "failed_at"),
        (How::Replaced, "replaced_at"),
    ] {
        let mut order = an_order();
        order.facts.closed = Some((how, at("2026-11-24T16:00:00Z")));
        order.facts.filled_quantity = Decimal::ONE;
        order.facts.filled_cost = Decimal::new(18_025, 2);
        let shown = OrderView::of(&order, MarketHours::Real, &Beside::default()).json();
        let ends: Vec<_> = [
            "filled_at",
            "canceled_at",
            "expired_at",
            "failed_at",
            "replaced_at",
        ]
        .into_iter()
        .filter(|key| !shown[key].is_null())
        .collect();
        assert_eq!(ends, [key], "{how:?}");
        assert_eq!(
            (&shown["filled_qty"], &shown["filled_avg_price"]),
            (&json!("1"), &json!("180.25"))
        );
    }
}

#[test]
fn an_exit_names_its_trigger_and_a_sending_order_how_far_it_got() {
    let mut order = an_order();
    order.facts.submission = Submission::Unconfirmed;
    let exit = ExitCause {
        trigger_id: TriggerId(Uuid::from_u128(7)),
        generation: 1,
    };
    let beside = Beside {
        exits: [(order.id, exit)].into(),
        submission: None,
    };
    let shown = OrderView::of(&order, MarketHours::Real, &beside).json();
    assert_eq!(
        (&shown["status"], &shown["cause"]),
        (&json!("pending_new"), &json!("trigger"))
    );
    assert_eq!(shown["trigger_id"], "00000000-0000-0000-0000-000000000007");
    assert_eq!(shown["submission"]["state"], "unconfirmed");
}

#[test]
fn a_cancel_says_why_it_cannot_be() {
    let mut order = an_order();
    order.facts.closed = Some((How::Filled, at("2026-11-24T16:00:00Z")));
    let problem = canceled(CancelAnswer::NotCancelable(order.clone())).unwrap_err();
    assert_eq!(problem.detail(), "order is already in \"filled\" state");
    assert_eq!(
        canceled(CancelAnswer::NotFound).unwrap_err().code(),
        Code::OrderNotFound
    );
    assert_eq!(
        canceled(CancelAnswer::ReplacePending(an_order()))
            .unwrap_err()
            .code(),
        Code::ReplacePending
    );
    assert_eq!(
        canceled(CancelAnswer::Requested(an_order())).unwrap(),
        Some(an_order().id)
    );
    assert_eq!(canceled(CancelAnswer::Canceled(order)).unwrap(), None);
}
