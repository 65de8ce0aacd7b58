//! `/v2/positions`: what the account owns, and closing it.
//!
//! Closing is a market order through the same acceptance as any other: what open orders hold is not available (403).

use std::sync::Arc;

use domain::asset::{Asset, AssetClass};
use domain::money::Quantity;
use domain::order::{Amount, OrderKind, OrderTerms, Side, TimeInForce};
use domain::position::Position;
use domain::quote::{Purpose, Quote};
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use rust_decimal::Decimal;

use super::Tag;
use super::orders::{self, Beside, OrderAnswer, OrderView, WantedOrder};
use crate::accept;
use crate::app::App;
use crate::auth::Principal;
use crate::idempotency::{self, NoIdempotencyKey};
use crate::input::Dec;
use crate::input::query::{Flag, Param};
use crate::middleware::RequestContext;
use crate::problem::{Code, FieldError, Problem};
use crate::wire::{AnyJson, ClassName, PositionSideName};

/// The resource.
pub(crate) struct Positions;

/// What the account owns of an instrument. Values are null while nobody knows a price.
#[derive(Object)]
#[oai(rename = "Position")]
pub(crate) struct PositionView {
    /// The instrument's id.
    asset_id: String,
    /// The instrument.
    symbol: String,
    /// The listing exchange.
    exchange: String,
    /// The kind of instrument.
    asset_class: ClassName,
    /// False: accounts trade with their own money.
    asset_marginable: bool,
    /// Units; negative when short.
    qty: Dec,
    /// Units that no open order holds.
    qty_available: Dec,
    /// What a unit cost on average, in USD, without fees.
    avg_entry_price: Dec,
    /// Long or short.
    side: PositionSideName,
    /// What it is worth at `current_price`, in USD.
    market_value: Option<Dec>,
    /// What was paid for it, in USD, without fees.
    cost_basis: Dec,
    /// Worth less cost, in USD.
    unrealized_pl: Option<Dec>,
    /// The same as a share of the cost.
    unrealized_plpc: Option<Dec>,
    /// Null: no day's close is recorded yet.
    unrealized_intraday_pl: Option<Dec>,
    /// Null: no day's close is recorded yet.
    unrealized_intraday_plpc: Option<Dec>,
    /// The last trade, in USD.
    current_price: Option<Dec>,
    /// Null: no day's close is recorded yet.
    lastday_price: Option<Dec>,
    /// Null: no day's close is recorded yet.
    change_today: Option<Dec>,
}

impl PositionView {
    fn of(asset: &Asset, position: &Position, quote: Option<&Quote>) -> Self {
        let price = quote.map(|quote| quote.last.get());
        let worth = price.map(|price| position.market_value(price));
        let earned = worth.map(|worth| worth - position.cost_basis);
        let share = earned.and_then(|earned| earned.checked_div(position.cost_basis.abs()));
        let is_short = position.quantity.is_sign_negative();
        Self {
            asset_id: asset.id.to_string(),
            symbol: asset.symbol.clone(),
            exchange: asset.exchange.clone(),
            asset_class: ClassName(asset.class.as_str()),
            asset_marginable: false,
            qty: Dec(position.quantity),
            qty_available: Dec(position.available()),
            avg_entry_price: Dec(position.average_entry_price()),
            side: PositionSideName(if is_short { "short" } else { "long" }),
            market_value: worth.map(Dec),
            cost_basis: Dec(position.cost_basis),
            unrealized_pl: earned.map(Dec),
            unrealized_plpc: share.map(domain::money::round).map(Dec),
            unrealized_intraday_pl: None,
            unrealized_intraday_plpc: None,
            current_price: price.map(Dec),
            lastday_price: None,
            change_today: None,
        }
    }
}

/// What became of each position.
#[derive(ApiResponse)]
pub(crate) enum ClosedAll {
    /// One entry for each position.
    #[oai(status = 207)]
    Each(Json<Vec<ClosedPosition>>),
}

/// One position's closing.
#[derive(Object)]
pub(crate) struct ClosedPosition {
    /// The instrument.
    symbol: String,
    /// 200, or the status of the problem.
    status: u16,
    /// The order that closes it, or the problem.
    body: AnyJson,
}

/// How much of a position to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Units(Quantity),
    /// Above 0, at most 100.
    Percent(Decimal),
}

#[OpenApi(prefix_path = "/v2", tag = "Tag::Positions")]
impl Positions {
    /// List positions
    #[oai(path = "/positions", method = "get", operation_id = "list_positions")]
    async fn list_positions(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
    ) -> poem::Result<Json<Vec<PositionView>>> {
        let held = held(app, &principal).await?;
        let assets: Vec<Asset> = held.iter().map(|(asset, _)| (*asset).clone()).collect();
        let quotes = app.quotes(&assets, Purpose::Display).await;
        let views = held
            .iter()
            .map(|(asset, position)| PositionView::of(asset, position, quotes.get(&asset.id)));
        Ok(Json(views.collect()))
    }

    /// Read a position
    #[oai(path = "/positions/:key", method = "get", operation_id = "get_position")]
    async fn get_position(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        /// The symbol, a pair with its slash (also as `%2F`), or the asset's id.
        key: Path<String>,
    ) -> poem::Result<Json<PositionView>> {
        let (asset, position) = find(app, &principal, &key).await?;
        let quotes = app.quotes(std::slice::from_ref(asset), Purpose::Display).await;
        Ok(Json(PositionView::of(asset, &position, quotes.get(&asset.id))))
    }

    /// Close all positions
    ///
    /// One market order for each position. What open orders hold is not available; `cancel_orders=true` asks for their
    /// end first, and those that the venue has still hold their units until it has decided.
    #[oai(path = "/positions", method = "delete", operation_id = "close_all_positions")]
    async fn close_all_positions(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        _key: NoIdempotencyKey,
        context: RequestContext,
        /// Whether all open orders are canceled first.
        Query(cancel_orders): Query<Param<Flag>>,
    ) -> poem::Result<ClosedAll> {
        if cancel_orders.is_set() {
            orders::cancel_all(app, &principal, &context).await?;
        }
        let closed = close_all(app, &principal, &context).await?;
        Ok(ClosedAll::Each(Json(closed)))
    }

    /// Close a position
    ///
    /// Places a market order for all of it, or for `qty` or `percentage` of it; the answer is that order. Send an
    /// `Idempotency-Key` to repeat a request safely: the answer is then given again, with `Idempotency-Replayed: true`.
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument a parameter of the contract"
    )]
    #[oai(path = "/positions/:key", method = "delete", operation_id = "close_position")]
    async fn close_position(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        context: RequestContext,
        request: &Request,
        /// The symbol, a pair with its slash (also as `%2F`), or the asset's id.
        key: Path<String>,
        /// Units to close; not together with `percentage`.
        Query(qty): Query<Param<Dec>>,
        /// Percent of the position to close, above 0 and at most 100; not together with `qty`.
        Query(percentage): Query<Param<Dec>>,
    ) -> poem::Result<OrderAnswer> {
        // There is no body: what is asked for stands in the query.
        let query = request.uri().query().unwrap_or_default();
        let once = idempotency::key_of(request, &principal, query.as_bytes())?;
        if let Some(answer) = OrderAnswer::given_before(app, &principal, once.as_ref()).await? {
            return Ok(answer);
        }
        let part = read_part(qty.get(), percentage.get())?;
        let wanted = match closing_of(app, &principal, &key, part).await {
            Ok(wanted) => wanted,
            // The same request may have closed the position just now.
            Err(problem) => {
                let answer = OrderAnswer::given_before(app, &principal, once.as_ref()).await?;
                return Ok(answer.ok_or(problem)?);
            }
        };
        let asked = accept::request_for(wanted, once, &principal, &context, app);
        context.record_order(asked.order.id);
        let accepted = accept::accept_one(app, asked).await?;
        Ok(OrderAnswer::of(&accepted, app))
    }
}

/// Everything that the account owns, by symbol.
pub(crate) async fn held<'a>(
    app: &'a App,
    principal: &Principal,
) -> Result<Vec<(&'a Asset, Position)>, Problem> {
    let rows = app.store.positions(principal.account).await?;
    let mut held: Vec<_> = rows
        .into_iter()
        .filter_map(|row| app.assets.by_id(row.asset_id).map(|asset| (asset, row.position)))
        .collect();
    held.sort_by(|(one, _), (other, _)| one.symbol.cmp(&other.symbol));
    Ok(held)
}

async fn find<'a>(app: &'a App, principal: &Principal, key: &str) -> Result<(&'a Asset, Position), Problem> {
    let not_found = || Problem::new(Code::PositionNotFound, "position does not exist");
    let asset = app.assets.find(key).ok_or_else(not_found)?;
    let position = app.store.position(principal.account, asset.id).await?;
    Ok((asset, position.ok_or_else(not_found)?))
}

/// The order that closes `part` of the position that `key` names.
async fn closing_of(app: &App, principal: &Principal, key: &str, part: Part) -> Result<WantedOrder, Problem> {
    let (asset, position) = find(app, principal, key).await?;
    closing(asset, &position, part)
}

async fn close_all(
    app: &App,
    principal: &Principal,
    context: &RequestContext,
) -> Result<Vec<ClosedPosition>, Problem> {
    let (mut symbols, mut requests, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for (asset, position) in held(app, principal).await? {
        match closing(asset, &position, Part::All) {
            Ok(wanted) => {
                symbols.push(asset.symbol.clone());
                requests.push(accept::request_for(wanted, None, principal, context, app));
            }
            Err(problem) => entries.push(refused(asset.symbol.clone(), &problem, context)),
        }
    }
    if requests.is_empty() {
        return Ok(entries);
    }
    for (symbol, answer) in symbols.into_iter().zip(accept::accept(app, requests).await?) {
        entries.push(match answer {
            Ok(accepted) => ClosedPosition {
                symbol,
                status: 200,
                body: AnyJson(OrderView::of(&accepted.order, app.rules.hours, &Beside::default()).json()),
            },
            Err(problem) => refused(symbol, &problem, context),
        });
    }
    Ok(entries)
}

fn refused(symbol: String, problem: &Problem, context: &RequestContext) -> ClosedPosition {
    ClosedPosition {
        symbol,
        status: problem.code().status().as_u16(),
        body: AnyJson(problem.body(context.path(), context.id())),
    }
}

fn read_part(quantity: Option<Dec>, percentage: Option<Dec>) -> Result<Part, Problem> {
    let wrong = |code, name: &str, detail: String| {
        let error = FieldError::at_parameter(name, detail.clone());
        Problem::new(code, detail).with_error(error)
    };
    match (quantity, percentage) {
        (None, None) => Ok(Part::All),
        (Some(Dec(units)), None) => Quantity::new(units)
            .map(Part::Units)
            .map_err(|error| wrong(Code::InvalidNumber, "qty", format!("qty {error}"))),
        (None, Some(Dec(percent))) if percent > Decimal::ZERO && percent <= Decimal::ONE_HUNDRED => {
            Ok(Part::Percent(percent))
        }
        (None, Some(_)) => {
            let detail = "percentage must be above 0 and at most 100".to_owned();
            Err(wrong(Code::InvalidNumber, "percentage", detail))
        }
        (Some(_), Some(_)) => {
            let detail = "only one of qty or percentage is accepted".to_owned();
            Err(wrong(Code::AmountAmbiguous, "percentage", detail))
        }
    }
}

/// The market order that closes `part` of `position`.
fn closing(asset: &Asset, position: &Position, part: Part) -> Result<WantedOrder, Problem> {
    let owned = position.quantity.abs();
    let units = match part {
        Part::All => owned,
        Part::Units(quantity) => quantity.get(),
        Part::Percent(percent) => share(asset, owned, percent),
    };
    let quantity = Quantity::new(units).map_err(|_| {
        let detail = format!(
            "the part is smaller than the smallest step of {}",
            asset.min_trade_increment
        );
        Problem::new(Code::NothingToClose, detail)
    })?;
    let side = if position.quantity.is_sign_negative() {
        Side::Buy
    } else {
        Side::Sell
    };
    if side == Side::Buy && units > owned {
        // Risk guards only what is sold: a short position is closed here, and never turned into a long one.
        return Err(Problem::new(Code::InvalidNumber, "qty exceeds the position")
            .with("existing_qty", Dec(owned).canonical()));
    }
    let terms = OrderTerms {
        side,
        amount: Amount::Quantity(quantity),
        kind: OrderKind::Market,
        time_in_force: match asset.class {
            AssetClass::UsEquity => TimeInForce::Day,
            AssetClass::Crypto => TimeInForce::Gtc,
        },
        extended_hours: false,
        position_intent: None,
    };
    terms.check(asset)?;
    Ok(WantedOrder {
        asset: asset.clone(),
        terms,
        client_order_id: None,
    })
}

/// `percent` of `owned`, rounded down to a step that the instrument trades in.
fn share(asset: &Asset, owned: Decimal, percent: Decimal) -> Decimal {
    let wanted = owned * percent / Decimal::ONE_HUNDRED;
    let step = if asset.fractionable {
        asset.min_trade_increment
    } else {
        Decimal::ONE
    };
    let steps = wanted
        .checked_div(step)
        .map_or(Decimal::ZERO, |steps| steps.floor());
    (steps * step).min(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn long(quantity: &str, cost_basis: &str) -> Position {
        Position {
            quantity: decimal(quantity),
            cost_basis: decimal(cost_basis),
            ..Position::default()
        }
    }

    fn asset(symbol: &str) -> Asset {
        market::catalog::asset(symbol).unwrap()
    }

    #[test]
    fn a_part_is_a_quantity_or_a_percentage_and_never_both() {
        let dec = |text: &str| Some(Dec(decimal(text)));
        assert_eq!(read_part(None, None).unwrap(), Part::All);
        assert_eq!(
            read_part(None, dec("100")).unwrap(),
            Part::Percent(decimal("100"))
        );
        for (quantity, percentage, code) in [
            (dec("1"), dec("1"), Code::AmountAmbiguous),
            (dec("0"), None, Code::InvalidNumber),
            (dec("-1"), None, Code::InvalidNumber),
            (None, dec("0"), Code::InvalidNumber),
            (None, dec("100.1"), Code::InvalidNumber),
        ] {
            assert_eq!(read_part(quantity, percentage).unwrap_err().code(), code);
        }
    }

    #[test]
    fn closing_is_a_market_order_on_the_other_side() {
        let units = |wanted: &WantedOrder| wanted.terms.amount.get().to_string();
        let whole = closing(&asset("AAPL"), &long("10", "1000"), Part::All).unwrap();
        assert_eq!(
            (
                whole.terms.side,
                whole.terms.time_in_force,
                units(&whole).as_str()
            ),
            (Side::Sell, TimeInForce::Day, "10")
        );
        let third = closing(
            &asset("BTC/USD"),
            &long("1", "90000"),
            Part::Percent(decimal("33.3333333333")),
        )
        .unwrap();
        assert_eq!(
            (third.terms.time_in_force, units(&third).as_str()),
            (TimeInForce::Gtc, "0.333333333")
        );
        let short = closing(&asset("AAPL"), &long("-5", "-500"), Part::All).unwrap();
        assert_eq!((short.terms.side, units(&short).as_str()), (Side::Buy, "5"));
    }

    #[test]
    fn a_part_below_the_smallest_step_and_more_than_a_short_position_are_refused() {
        let dust = closing(
            &asset("BTC/USD"),
            &long("0.000000001", "1"),
            Part::Percent(decimal("1")),
        );
        assert_eq!(dust.unwrap_err().code(), Code::NothingToClose);
        let six = Part::Units(Quantity::new(decimal("6")).unwrap());
        assert_eq!(
            closing(&asset("AAPL"), &long("-5", "-500"), six)
                .unwrap_err()
                .code(),
            Code::InvalidNumber
        );
    }

    #[test]
    fn a_position_without_a_quote_shows_its_cost_and_no_worth() {
        let view = PositionView::of(&asset("AAPL"), &long("3", "100"), None);
        assert_eq!(view.avg_entry_price.canonical(), "33.333333333");
        assert!(view.market_value.is_none() && view.unrealized_pl.is_none() && view.current_price.is_none());
    }
}
