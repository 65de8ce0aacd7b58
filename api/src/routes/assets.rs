//! `/v2/assets`: the instruments that can be asked for.

use std::sync::Arc;

use domain::asset::Asset;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::orders::ClassWords;
use crate::app::App;
use crate::auth::Principal;
use crate::input::Dec;
use crate::input::query::{List, Param, Word, Words};
use crate::problem::{Code, Problem};
use crate::wire::ClassName;

/// The resource.
pub(crate) struct Assets;

/// An instrument.
#[derive(Object)]
#[oai(rename = "Asset")]
#[expect(clippy::struct_excessive_bools, reason = "the contract's own fields")]
pub(crate) struct AssetView {
    /// Its id.
    id: String,
    /// Its kind.
    #[oai(rename = "class")]
    class: ClassName,
    /// The listing exchange.
    exchange: String,
    /// `AAPL`, `BTC/USD`.
    symbol: String,
    /// The issuer's or the pair's full name.
    name: String,
    /// `active`.
    status: String,
    /// Whether orders are accepted.
    tradable: bool,
    /// False: accounts trade with their own money.
    marginable: bool,
    /// False: no short sales.
    shortable: bool,
    /// False: no short sales.
    easy_to_borrow: bool,
    /// Whether parts of a unit can be traded.
    fractionable: bool,
    /// The share of a position's worth that has to be held, in percent.
    maintenance_margin_requirement: u32,
    /// The smallest quantity of one order.
    min_order_size: Dec,
    /// Quantities are multiples of this.
    min_trade_increment: Dec,
    /// Prices are multiples of this; equities below one dollar have four decimals.
    price_increment: Dec,
    /// Further traits.
    attributes: Vec<String>,
}

/// The share of a position's worth that a cash account has to hold: all of it.
const CASH_ACCOUNT_MARGIN_PERCENT: u32 = 100;

impl AssetView {
    fn of(asset: &Asset) -> Self {
        Self {
            id: asset.id.to_string(),
            class: ClassName(asset.class.as_str()),
            exchange: asset.exchange.clone(),
            symbol: asset.symbol.clone(),
            name: asset.name.clone(),
            status: "active".to_owned(),
            tradable: asset.tradable,
            marginable: false,
            shortable: false,
            easy_to_borrow: false,
            fractionable: asset.fractionable,
            maintenance_margin_requirement: CASH_ACCOUNT_MARGIN_PERCENT,
            min_order_size: Dec(asset.min_order_size),
            min_trade_increment: Dec(asset.min_trade_increment),
            price_increment: Dec(asset.price_increment),
            attributes: Vec::new(),
        }
    }
}

/// Which assets to list; true is active.
pub(crate) struct AssetStatusWords;

impl Words for AssetStatusWords {
    type Value = bool;
    const WORDS: &'static [(&'static str, bool)] = &[("active", true), ("inactive", false)];
}

#[OpenApi(prefix_path = "/v2", tag = "Tag::Market")]
impl Assets {
    /// List instruments
    ///
    /// By symbol.
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    #[oai(path = "/assets", method = "get", operation_id = "list_assets")]
    async fn list_assets(
        &self,
        Data(app): Data<&Arc<App>>,
        _principal: Principal,
        /// Active instruments (all are), or inactive ones.
        Query(status): Query<Param<Word<AssetStatusWords>>>,
        /// Only this class.
        Query(asset_class): Query<Param<Word<ClassWords>>>,
        /// Only those listed on this exchange.
        Query(exchange): Query<Param<String>>,
        /// Only those with all these traits, separated by commas; none has any.
        Query(attributes): Query<Param<List>>,
    ) -> Json<Vec<AssetView>> {
        let wants_traits = !attributes.values().is_empty();
        if status.meaning() == Some(false) || wants_traits {
            return Json(Vec::new());
        }
        let (class, exchange) = (asset_class.meaning(), exchange.get());
        let fits = |asset: &&Asset| {
            class.is_none_or(|class| class == Some(asset.class))
                && exchange
                    .as_ref()
                    .is_none_or(|exchange| exchange.eq_ignore_ascii_case(&asset.exchange))
        };
        Json(app.assets.all().iter().filter(fits).map(AssetView::of).collect())
    }

    /// Read an instrument
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    #[oai(path = "/assets/:key", method = "get", operation_id = "get_asset")]
    async fn get_asset(
        &self,
        Data(app): Data<&Arc<App>>,
        _principal: Principal,
        /// The symbol, a pair with its slash (also as `%2F`), or the asset's id.
        key: Path<String>,
    ) -> poem::Result<Json<AssetView>> {
        let asset = app.assets.find(&key);
        let asset = asset.ok_or_else(|| Problem::new(Code::AssetNotFound, "symbol not found"))?;
        Ok(Json(AssetView::of(asset)))
    }
}
