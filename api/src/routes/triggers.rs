//! `/v2/triggers`: stops that the server fires by itself. Arbion's own: unknown fields are refused.

use std::sync::Arc;

use domain::id::TriggerId;
use domain::money::{Price, Quantity};
use domain::quote::Purpose;
use domain::trigger::{Direction, Reference, Trigger, TriggerState};
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use store::StoreError;
use store::triggers::{NewTrigger, TriggerCancel};
use uuid::Uuid;

use super::Tag;
use super::orders::find_asset;
use crate::app::App;
use crate::auth::Principal;
use crate::catalogue::Catalogue;
use crate::idempotency::NoIdempotencyKey;
use crate::input::query::{PAGE_DEFAULT, Param, Word, Words, page_limit, refuse_unknown};
use crate::input::{Dec, Fields, JsonBody, LooseDec, shown};
use crate::problem::{Code, Problem};
use crate::wire::{ClassName, DirectionName, ReferenceName, Time, TriggerStateName};

/// How many triggers a page has at most.
const PAGE_MAX: u64 = 500;

/// The resource.
pub(crate) struct Triggers;

/// A stop to arm.
#[derive(Object)]
#[oai(rename = "CreateTrigger")]
pub(crate) struct CreateTriggerBody {
    /// The instrument whose position is protected.
    symbol: String,
    /// The price at which it fires, in USD: at or below it the server sells at the market.
    stop_price: LooseDec,
    /// Units to sell; left out, the whole position as it is when it fires.
    qty: Option<LooseDec>,
    /// Which price of a quote is compared; `last` unless given.
    reference: Option<ReferenceName>,
}

/// A stop.
#[derive(Object)]
#[oai(rename = "Trigger")]
pub(crate) struct TriggerView {
    /// Its id.
    id: String,
    /// The instrument's id.
    asset_id: String,
    /// The instrument.
    symbol: String,
    /// The kind of instrument.
    asset_class: ClassName,
    /// Which way the price has to go.
    direction: DirectionName,
    /// Which price of a quote is compared.
    reference: ReferenceName,
    /// The price at which it fires, in USD.
    stop_price: Dec,
    /// Units that it sells; null: the whole position.
    qty: Option<Dec>,
    /// Where it stands.
    state: TriggerStateName,
    /// How often it was armed; 1 unless an exit failed and it was armed anew.
    generation: i32,
    /// The order that sells.
    exit_order_id: Option<String>,
    /// The price that fired it, in USD.
    fired_price: Option<Dec>,
    /// When it fired.
    fired_at: Option<Time>,
    /// When it was made.
    created_at: Time,
    /// When anything about it last changed.
    updated_at: Time,
    /// Why it ended: `exit_filled`, `position_closed`, `canceled`.
    ended_because: Option<String>,
}

impl TriggerView {
    fn of(trigger: &Trigger) -> Self {
        Self {
            id: trigger.id.to_string(),
            asset_id: trigger.asset_id.to_string(),
            symbol: trigger.symbol.clone(),
            asset_class: ClassName(trigger.asset_class.as_str()),
            direction: DirectionName(trigger.direction.as_str()),
            reference: ReferenceName(trigger.reference.as_str()),
            stop_price: Dec(trigger.stop_price.get()),
            qty: trigger.quantity.map(|quantity| Dec(quantity.get())),
            state: TriggerStateName(trigger.state.as_str()),
            generation: trigger.generation,
            exit_order_id: trigger.exit_order_id.map(|id| id.to_string()),
            fired_price: trigger.fired_price.map(Dec),
            fired_at: trigger.fired_at.map(Time),
            created_at: Time(trigger.created_at),
            updated_at: Time(trigger.updated_at),
            ended_because: trigger.ended_because.clone(),
        }
    }
}

/// A trigger was made.
#[derive(ApiResponse)]
pub(crate) enum Created {
    /// The trigger, armed.
    #[oai(status = 201)]
    Trigger(Json<TriggerView>),
}

/// A trigger was taken back.
#[derive(ApiResponse)]
pub(crate) enum Disarmed {
    /// It fires no more.
    #[oai(status = 204)]
    Done,
}

/// Which triggers to list.
pub(crate) struct StateWords;

impl Words for StateWords {
    type Value = TriggerState;
    const WORDS: &'static [(&'static str, TriggerState)] = &[
        ("armed", TriggerState::Armed),
        ("firing", TriggerState::Firing),
        ("done", TriggerState::Done),
        ("canceled", TriggerState::Canceled),
    ];
}

#[OpenApi(prefix_path = "/v2", tag = "Tag::Triggers")]
impl Triggers {
    /// Protect a position
    ///
    /// Arms a stop-loss: when the reference price is at or below `stop_price`, the server sells at the market. It does so
    /// whether or not a client is connected, exactly once, and never more than is owned then.
    #[oai(path = "/triggers", method = "post", operation_id = "create_trigger")]
    async fn create_trigger(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        _key: NoIdempotencyKey,
        body: JsonBody<CreateTriggerBody>,
    ) -> poem::Result<Created> {
        let new = read(&mut body.fields()?, &principal, &app.assets)?;
        let quotes = app.quotes(std::slice::from_ref(&new.asset), Purpose::Risk).await;
        let quote = quotes.get(&new.asset.id);
        let (account, id) = (new.account_id, new.id);
        let trigger = match app.store.create_trigger(new.clone(), quote, app.now()).await {
            Ok(answer) => answer.map_err(Problem::from)?,
            Err(StoreError::CommitUnknown(lost)) => {
                // It may be armed: who is told its id can look for it, and does not arm another one.
                let unknown =
                    || Problem::hidden(Code::ServiceUnavailable, lost).with("trigger_id", id.to_string());
                let found = app.store.trigger(account, id).await;
                found.ok().flatten().ok_or_else(unknown)?
            }
            Err(error) => return Err(Problem::from(error).into()),
        };
        Ok(Created::Trigger(Json(TriggerView::of(&trigger))))
    }

    /// List triggers
    ///
    /// By id, which is the order of their making.
    #[oai(path = "/triggers", method = "get", operation_id = "list_triggers")]
    async fn list_triggers(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        request: &Request,
        /// Only those in this state.
        Query(state): Query<Param<Word<StateWords>>>,
        /// Only those after this one: the last id of the page before.
        Query(after): Query<Param<Uuid>>,
        /// How many at most: 50 unless given, 500 at most.
        Query(limit): Query<Param<u64>>,
    ) -> poem::Result<Json<Vec<TriggerView>>> {
        refuse_unknown(request, &["state", "after", "limit"])?;
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        let after = after.get().map(TriggerId);
        let triggers = app
            .store
            .triggers(principal.account, state.meaning(), after, limit)
            .await;
        let triggers = triggers.map_err(Problem::from)?;
        Ok(Json(triggers.iter().map(TriggerView::of).collect()))
    }

    /// Read a trigger
    #[oai(path = "/triggers/:id", method = "get", operation_id = "get_trigger")]
    async fn get_trigger(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        /// The trigger's id.
        id: Path<String>,
    ) -> poem::Result<Json<TriggerView>> {
        let trigger = app
            .store
            .trigger(principal.account, parse_id(&id)?)
            .await
            .map_err(Problem::from)?;
        let trigger = trigger.ok_or_else(not_found)?;
        Ok(Json(TriggerView::of(&trigger)))
    }

    /// Take a trigger back
    ///
    /// Only an armed one: one that has fired has an order, which can be canceled.
    #[oai(path = "/triggers/:id", method = "delete", operation_id = "cancel_trigger")]
    async fn cancel_trigger(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        _key: NoIdempotencyKey,
        /// The trigger's id.
        id: Path<String>,
    ) -> poem::Result<Disarmed> {
        let answer = app
            .store
            .cancel_trigger(principal.account, parse_id(&id)?, app.now())
            .await;
        match answer.map_err(Problem::from)? {
            TriggerCancel::Canceled(_) => Ok(Disarmed::Done),
            TriggerCancel::NotFound => Err(not_found().into()),
            TriggerCancel::NotArmed(trigger) => {
                let state = trigger.state.as_str();
                let detail = format!("the trigger is {state}: only an armed one can be taken back");
                Err(Problem::new(Code::TriggerNotArmed, detail)
                    .with("state", state)
                    .into())
            }
        }
    }
}

fn not_found() -> Problem {
    Problem::new(Code::TriggerNotFound, "trigger not found")
}

/// A trigger's id in a path. What is no id names no trigger.
fn parse_id(text: &str) -> Result<TriggerId, Problem> {
    text.parse().map_err(|_| not_found())
}

/// Reads a trigger of `principal` from the members of its body.
pub(crate) fn read(
    fields: &mut Fields,
    principal: &Principal,
    catalogue: &Catalogue,
) -> Result<NewTrigger, Problem> {
    let symbol = fields.text("symbol");
    if symbol.is_none() && !fields.has_fault_at("symbol") {
        fields.refuse(Code::InvalidRequest, "symbol", "symbol is required");
    }
    let stop_price = fields.amount("stop_price", Price::new);
    if stop_price.is_none() && !fields.has_fault_at("stop_price") {
        fields.refuse(Code::InvalidRequest, "stop_price", "stop_price is required");
    }
    let quantity = fields.amount("qty", Quantity::new);
    let reference = read_reference(fields);
    fields.refuse_unknown();
    fields.finish()?;
    let (Some(symbol), Some(stop_price)) = (symbol, stop_price) else {
        // Each reader that answers nothing has noted why.
        return Err(Problem::new(Code::InvalidRequest, "the trigger is incomplete"));
    };
    Ok(NewTrigger {
        id: TriggerId(Uuid::now_v7()),
        user_id: principal.user,
        account_id: principal.account,
        asset: find_asset(catalogue, &symbol)?.clone(),
        direction: Direction::Falling,
        reference,
        stop_price,
        quantity,
    })
}

fn read_reference(fields: &mut Fields) -> Reference {
    let Some(text) = fields.text("reference") else {
        return Reference::Last;
    };
    let known = Reference::ALL
        .into_iter()
        .find(|reference| reference.as_str() == text);
    known.unwrap_or_else(|| {
        let detail = format!("reference {} must be last, bid, ask or mid", shown(&text));
        fields.refuse(Code::InvalidRequest, "reference", detail);
        Reference::Last
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read_json(body: Value) -> Result<NewTrigger, Problem> {
        let Value::Object(members) = body else {
            panic!("not an object")
        };
        read(
            &mut Fields::new(members),
            &Principal::example(),
            &Catalogue::new(market::catalog::assets()),
        )
    }

    #[test]
    fn a_stop_needs_a_symbol_and_a_price_and_nothing_else() {
        let new = read_json(json!({"symbol": "BTCUSD", "stop_price": 60000.5})).unwrap();
        assert_eq!(
            (new.asset.symbol.as_str(), new.stop_price.to_string().as_str()),
            ("BTC/USD", "60000.5")
        );
        assert_eq!(
            (new.quantity, new.reference, new.direction),
            (None, Reference::Last, Direction::Falling)
        );
        let full = json!({"symbol": "AAPL", "stop_price": "170", "qty": "5", "reference": "bid"});
        let new = read_json(full).unwrap();
        assert_eq!(
            (
                new.quantity.map(|quantity| quantity.to_string()).as_deref(),
                new.reference
            ),
            (Some("5"), Reference::Bid)
        );
    }

    #[test]
    fn what_a_stop_cannot_be_is_refused_with_its_place() {
        for (body, code, place) in [
            (json!({"stop_price": "1"}), Code::InvalidRequest, "/symbol"),
            (json!({"symbol": "AAPL"}), Code::InvalidRequest, "/stop_price"),
            (
                json!({"symbol": "AAPL", "stop_price": "0"}),
                Code::InvalidNumber,
                "/stop_price",
            ),
            (
                json!({"symbol": "AAPL", "stop_price": "1e2"}),
                Code::InvalidNumber,
                "/stop_price",
            ),
            (
                json!({"symbol": "AAPL", "stop_price": "1", "qty": -1}),
                Code::InvalidNumber,
                "/qty",
            ),
            (
                json!({"symbol": "AAPL", "stop_price": "1", "reference": "open"}),
                Code::InvalidRequest,
                "/reference",
            ),
            (
                json!({"symbol": "AAPL", "stop_price": "1", "trail": "1"}),
                Code::UnknownField,
                "/trail",
            ),
            (
                json!({"symbol": "NOPE", "stop_price": "1"}),
                Code::UnknownSymbol,
                "/symbol",
            ),
        ] {
            let problem = read_json(body.clone()).unwrap_err();
            assert_eq!(
                (problem.code(), problem.errors()[0].place()),
                (code, place),
                "{body}"
            );
        }
    }
}
