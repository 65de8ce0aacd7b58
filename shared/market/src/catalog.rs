//! The instruments that ship with the product: thirty US shares and funds, and five pairs of a coin and the dollar.
//!
//! They stand in `data/assets.csv`, one a line, with what the simulation starts from. The file is compiled in and read
//! once; a test reads every line, so the binary never meets one that it cannot read.

use std::sync::LazyLock;

use domain::asset::{Asset, AssetClass};
use domain::money::{Price, Quantity};
use rust_decimal::Decimal;
use serde::Deserialize;

const ASSETS_CSV: &str = include_str!("../data/assets.csv");

/// The exchange of all pairs, by Alpaca's name.
const CRYPTO_EXCHANGE: &str = "CRYPTO";

static LISTINGS: LazyLock<Vec<Listing>> = LazyLock::new(read_listings);

/// An instrument with what the simulation starts from.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The instrument.
    pub asset: Asset,
    /// The price around which the simulation wanders, in quote currency.
    pub start_price: Price,
    /// The standard deviation of a year's return, in percent.
    pub annual_volatility_percent: u32,
    /// The usual distance between bid and ask, in basis points of the price.
    pub spread_bps: Decimal,
    /// The usual number of units on each side.
    pub quoted_size: Quantity,
}

/// One line of the file.
#[derive(Debug, Deserialize)]
struct Line {
    symbol: String,
    exchange: String,
    name: String,
    fractionable: bool,
    min_order_size: Decimal,
    min_trade_increment: Decimal,
    price_increment: Decimal,
    start_price: Price,
    annual_volatility_percent: u32,
    spread_bps: Decimal,
    quoted_size: Quantity,
}

impl From<Line> for Listing {
    fn from(line: Line) -> Self {
        let class = if line.exchange == CRYPTO_EXCHANGE {
            AssetClass::Crypto
        } else {
            AssetClass::UsEquity
        };
        Listing {
            asset: Asset {
                id: Asset::id_of(class, &line.symbol),
                symbol: line.symbol,
                class,
                exchange: line.exchange,
                name: line.name,
                tradable: true,
                fractionable: line.fractionable,
                min_order_size: line.min_order_size,
                min_trade_increment: line.min_trade_increment,
                price_increment: line.price_increment,
            },
            start_price: line.start_price,
            annual_volatility_percent: line.annual_volatility_percent,
            spread_bps: line.spread_bps,
            quoted_size: line.quoted_size,
        }
    }
}

/// All instruments with what the simulation starts from, in the file's order.
pub fn listings() -> &'static [Listing] {
    &LISTINGS
}

/// All instruments, in the file's order.
pub fn assets() -> Vec<Asset> {
    listings().iter().map(|listing| listing.asset.clone()).collect()
}

/// The instrument `symbol` (`AAPL`, `BTC/USD`), if it ships.
pub fn asset(symbol: &str) -> Option<Asset> {
    listings()
        .iter()
        .map(|listing| &listing.asset)
        .find(|asset| asset.symbol == symbol)
        .cloned()
}

#[expect(
    clippy::expect_used,
    reason = "the file is compiled in, and a test reads all of it"
)]
fn read_listings() -> Vec<Listing> {
    parse(ASSETS_CSV).expect("Invariant: the catalogue that is compiled in can be read")
}

fn parse(text: &str) -> Result<Vec<Listing>, csv::Error> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize::<Line>()
        .map(|line| line.map(Listing::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn every_line_of_the_catalogue_is_read() {
        let listings = parse(ASSETS_CSV).unwrap();
        assert_eq!(listings.len(), ASSETS_CSV.trim().lines().count() - 1);
        let symbols: BTreeSet<_> = listings
            .iter()
            .map(|listing| listing.asset.symbol.as_str())
            .collect();
        assert_eq!(symbols.len(), listings.len(), "no symbol twice");
    }

    #[test]
    fn thirty_equities_and_five_pairs_ship() {
        let of = |class| assets().iter().filter(|asset| asset.class == class).count();
        assert_eq!((of(AssetClass::UsEquity), of(AssetClass::Crypto)), (30, 5));
    }

    #[test]
    fn every_instrument_is_well_formed() {
        for listing in listings() {
            let asset = &listing.asset;
            let symbol = &asset.symbol;
            assert_eq!(asset.id, Asset::id_of(asset.class, symbol));
            assert_eq!(
                asset.class == AssetClass::Crypto,
                symbol.ends_with("/USD"),
                "{symbol}"
            );
            let exchanges: &[&str] = match asset.class {
                AssetClass::Crypto => &["CRYPTO"],
                AssetClass::UsEquity => &["NASDAQ", "NYSE", "ARCA"],
            };
            assert!(
                exchanges.contains(&asset.exchange.as_str()),
                "{symbol} is listed on {}",
                asset.exchange
            );
            assert_eq!(asset.min_trade_increment, decimal("0.000000001"), "{symbol}");
            assert!(asset.min_order_size >= asset.min_trade_increment, "{symbol}");
            assert!(asset.name.len() > symbol.len(), "{symbol} has a full name");
            let increment = asset.price_increment_at(listing.start_price.get());
            assert_eq!(
                listing.start_price.get() % increment,
                Decimal::ZERO,
                "{symbol} starts on a tick"
            );
            assert!(
                listing.start_price.get() > increment * decimal("1000"),
                "{symbol} has room to move"
            );
            assert!((5..=100).contains(&listing.annual_volatility_percent), "{symbol}");
            assert!(
                listing.spread_bps > Decimal::ZERO && listing.spread_bps < decimal("10"),
                "{symbol}"
            );
        }
    }

    #[test]
    fn an_instrument_is_found_by_its_symbol() {
        assert_eq!(asset("SPY").unwrap().exchange, "ARCA");
        assert_eq!(asset("IBM").unwrap().exchange, "NYSE");
        assert_eq!(asset("BTC/USD").unwrap().class, AssetClass::Crypto);
        assert!(asset("NOPE").is_none());
    }
}
