//! The words that parameters of `/v2/orders` may be.

use domain::asset::AssetClass;
use domain::order::Side;
use store::orders::StatusFilter;

use crate::input::query::Words;

/// Which orders to list.
pub(crate) struct StatusWords;

impl Words for StatusWords {
    type Value = StatusFilter;
    const WORDS: &'static [(&'static str, StatusFilter)] = &[
        ("open", StatusFilter::Open),
        ("closed", StatusFilter::Closed),
        ("all", StatusFilter::All),
    ];
}

/// The direction of a list; true is ascending.
pub(crate) struct DirectionWords;

impl Words for DirectionWords {
    type Value = bool;
    const WORDS: &'static [(&'static str, bool)] = &[("asc", true), ("desc", false)];
}

/// A side.
pub(crate) struct SideWords;

impl Words for SideWords {
    type Value = Side;
    const WORDS: &'static [(&'static str, Side)] = &[("buy", Side::Buy), ("sell", Side::Sell)];
}

/// A class of instruments; `us_option` is known and has none.
pub(crate) struct ClassWords;

impl Words for ClassWords {
    type Value = Option<AssetClass>;
    const WORDS: &'static [(&'static str, Option<AssetClass>)] = &[
        ("us_equity", Some(AssetClass::UsEquity)),
        ("crypto", Some(AssetClass::Crypto)),
        ("us_option", None),
    ];
}
