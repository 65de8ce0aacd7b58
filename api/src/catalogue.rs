//! The instruments, found by every name that clients use.
//!
//! `AAPL`, `aapl`, `AAPL:NASDAQ`, `AAPL:NASDAQ:us_equity`, the asset's id with or without dashes, `BTC/USD`, `BTCUSD`.

use std::collections::HashMap;

use domain::asset::Asset;
use domain::id::AssetId;
use uuid::Uuid;

/// Every instrument that can be asked for, in a fixed order.
#[derive(Debug, Default)]
pub struct Catalogue {
    assets: Vec<Asset>,
    by_name: HashMap<String, usize>,
    by_id: HashMap<AssetId, usize>,
}

impl Catalogue {
    /// A catalogue of `assets`. A symbol wins over the compact form of a pair.
    pub fn new(mut assets: Vec<Asset>) -> Self {
        assets.sort_by(|one, other| one.symbol.cmp(&other.symbol));
        let numbered = || assets.iter().enumerate();
        let mut by_name: HashMap<_, _> = numbered()
            .map(|(at, asset)| (asset.compact_symbol(), at))
            .collect();
        by_name.extend(numbered().map(|(at, asset)| (asset.symbol.clone(), at)));
        let by_id = numbered().map(|(at, asset)| (asset.id, at)).collect();
        Self {
            assets,
            by_name,
            by_id,
        }
    }

    /// All instruments, by symbol.
    pub fn all(&self) -> &[Asset] {
        &self.assets
    }

    /// The instrument with this id.
    pub fn by_id(&self, id: AssetId) -> Option<&Asset> {
        self.by_id.get(&id).and_then(|at| self.assets.get(*at))
    }

    /// The instrument that `key` names in any form.
    pub fn find(&self, key: &str) -> Option<&Asset> {
        if let Ok(id) = Uuid::try_parse(key) {
            return self.by_id(AssetId(id));
        }
        let mut parts = key.split(':');
        let symbol = parts.next().unwrap_or_default().to_ascii_uppercase();
        let asset = self.by_name.get(&symbol).and_then(|at| self.assets.get(*at))?;
        let (exchange, class, rest) = (parts.next(), parts.next(), parts.next());
        let fits = exchange.is_none_or(|exchange| exchange.eq_ignore_ascii_case(&asset.exchange))
            && class.is_none_or(|class| class.eq_ignore_ascii_case(asset.class.as_str()))
            && rest.is_none();
        fits.then_some(asset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::new(market::catalog::assets())
    }

    #[test]
    fn an_instrument_is_found_by_every_name_that_clients_use() {
        let catalogue = catalogue();
        let spy = catalogue.find("SPY").unwrap().id.to_string();
        for (key, symbol) in [
            ("SPY", "SPY"),
            ("spy", "SPY"),
            ("SPY:ARCA", "SPY"),
            ("SPY:ARCA:us_equity", "SPY"),
            (spy.as_str(), "SPY"),
            (spy.replace('-', "").as_str(), "SPY"),
            ("BTC/USD", "BTC/USD"),
            ("BTCUSD", "BTC/USD"),
            ("BTC/USD:CRYPTO:crypto", "BTC/USD"),
        ] {
            assert_eq!(
                catalogue.find(key).map(|asset| asset.symbol.as_str()),
                Some(symbol),
                "{key}"
            );
        }
    }

    #[test]
    fn a_name_that_contradicts_itself_names_nothing() {
        let catalogue = catalogue();
        for key in [
            "",
            ":",
            "NOPE",
            "SPY:NYSE",
            "SPY:ARCA:crypto",
            "SPY:ARCA:us_equity:more",
            "BTC/EUR",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(catalogue.find(key).is_none(), "{key}");
        }
    }
}
