//! `GET /v2/account`: money of the account.

use std::sync::Arc;

use domain::asset::Asset;
use domain::position::Position;
use domain::quote::{Purpose, Quote};
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use rust_decimal::Decimal;

use super::Tag;
use super::positions::held;
use crate::app::App;
use crate::auth::Principal;
use crate::input::Dec;
use crate::problem::{Code, Problem};
use crate::wire::Time;

/// The resource.
pub(crate) struct Account;

/// Money of the account, in USD. It is a cash account: it trades with its own money.
#[derive(Object)]
#[oai(rename = "Account")]
#[expect(clippy::struct_excessive_bools, reason = "the contract's own fields")]
pub(crate) struct AccountView {
    /// Its id.
    id: String,
    /// Its number.
    account_number: String,
    /// `ACTIVE`.
    status: String,
    /// `ACTIVE`.
    crypto_status: String,
    /// `USD`.
    currency: String,
    /// All the money there is, reserved or not.
    cash: Dec,
    /// The same as `equity`.
    portfolio_value: Dec,
    /// Cash and what the positions are worth; a position without a quote counts at its cost.
    equity: Dec,
    /// No day's close is recorded yet: the present equity.
    last_equity: Dec,
    /// What all positions are worth.
    position_market_value: Dec,
    /// Money that a new order may use: cash less what open orders reserve.
    buying_power: Dec,
    /// The same as `buying_power`.
    effective_buying_power: Dec,
    /// The same as `buying_power`.
    regt_buying_power: Dec,
    /// The same as `buying_power`.
    daytrading_buying_power: Dec,
    /// The same as `buying_power`.
    non_marginable_buying_power: Dec,
    /// What the long positions are worth.
    long_market_value: Dec,
    /// What the short positions are worth; zero or negative.
    short_market_value: Dec,
    /// A cash account holds all that its positions are worth.
    initial_margin: Dec,
    /// A cash account holds all that its positions are worth.
    maintenance_margin: Dec,
    /// No day's close is recorded yet: the present margin.
    last_maintenance_margin: Dec,
    /// Zero: no margin account.
    sma: Dec,
    /// `1`: no leverage.
    multiplier: String,
    /// Zero: day trades are not counted.
    daytrade_count: u32,
    /// False.
    pattern_day_trader: bool,
    /// 1.
    crypto_tier: u32,
    /// Whether orders are refused.
    trading_blocked: bool,
    /// False.
    transfers_blocked: bool,
    /// Whether orders are refused.
    account_blocked: bool,
    /// False.
    trade_suspended_by_user: bool,
    /// False: no short sales.
    shorting_enabled: bool,
    /// Zero: fees are taken with each fill.
    accrued_fees: Dec,
    /// Zero.
    pending_transfer_in: Dec,
    /// Zero.
    pending_transfer_out: Dec,
    /// When the account was made.
    created_at: Time,
    /// The date of the balance, in New York.
    balance_asof: String,
}

/// What the positions of one side are worth.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Worth {
    long: Decimal,
    short: Decimal,
}

impl Worth {
    fn add(&mut self, position: &Position, quote: Option<&Quote>) {
        let worth = quote.map_or(position.cost_basis, |quote| {
            position.market_value(quote.last.get())
        });
        if position.quantity.is_sign_negative() {
            self.short += worth;
        } else {
            self.long += worth;
        }
    }

    fn total(self) -> Decimal {
        self.long + self.short
    }
}

#[OpenApi(prefix_path = "/v2", tag = "Tag::Account")]
impl Account {
    /// Read the account
    #[oai(path = "/account", method = "get", operation_id = "get_account")]
    async fn get_account(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
    ) -> poem::Result<Json<AccountView>> {
        let account = app
            .store
            .account_view(principal.account)
            .await
            .map_err(Problem::from)?;
        let account =
            account.ok_or_else(|| Problem::new(Code::AccountClosed, "the account does not exist"))?;
        let held = held(app, &principal).await?;
        let assets: Vec<Asset> = held.iter().map(|(asset, _)| (*asset).clone()).collect();
        let quotes = app.quotes(&assets, Purpose::Display).await;
        let mut worth = Worth::default();
        for (asset, position) in &held {
            worth.add(position, quotes.get(&asset.id));
        }
        let today = domain::calendar::trading_date(app.now());
        Ok(Json(view(&account, worth, today.to_string())))
    }
}

fn view(account: &store::AccountView, worth: Worth, balance_asof: String) -> AccountView {
    let balance = account.balance;
    let equity = Dec(balance.cash + worth.total());
    let buying_power = Dec(balance.buying_power());
    let margin = Dec(worth.long - worth.short);
    let zero = Dec(Decimal::ZERO);
    AccountView {
        id: account.id.to_string(),
        account_number: account.number.clone(),
        status: "ACTIVE".to_owned(),
        crypto_status: "ACTIVE".to_owned(),
        currency: account.currency.clone(),
        cash: Dec(balance.cash),
        portfolio_value: equity,
        equity,
        last_equity: equity,
        position_market_value: Dec(worth.total()),
        buying_power,
        effective_buying_power: buying_power,
        regt_buying_power: buying_power,
        daytrading_buying_power: buying_power,
        non_marginable_buying_power: buying_power,
        long_market_value: Dec(worth.long),
        short_market_value: Dec(worth.short),
        initial_margin: margin,
        maintenance_margin: margin,
        last_maintenance_margin: margin,
        sma: zero,
        multiplier: "1".to_owned(),
        daytrade_count: 0,
        pattern_day_trader: false,
        crypto_tier: 1,
        trading_blocked: !account.user_is_active,
        transfers_blocked: false,
        account_blocked: !account.user_is_active,
        trade_suspended_by_user: false,
        shorting_enabled: false,
        accrued_fees: zero,
        pending_transfer_in: zero,
        pending_transfer_out: zero,
        created_at: Time(account.created_at),
        balance_asof,
    }
}
