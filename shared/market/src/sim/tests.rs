use chrono::TimeDelta;
use platform::ManualClock;
use proptest::prelude::*;

use super::*;

/// A Tuesday, 10:00 in New York.
const OPEN: &str = "2026-11-24T15:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn sim(seed: u64) -> Sim {
    Sim::new(seed, ManualClock::new(at(OPEN)).shared())
}

fn id(symbol: &str) -> AssetId {
    catalog::asset(symbol).unwrap().id
}

fn summary(quote: &Quote) -> String {
    let Quote {
        bid,
        bid_size,
        ask,
        ask_size,
        last,
        low,
        high,
        ..
    } = quote;
    format!("{bid} x {bid_size}, {ask} x {ask_size}, last {last}, {low} to {high}")
}

/// Literal quotes, computed by an independent implementation of the same rule in another language: another process,
/// another build and another machine must give the same.
#[test]
fn a_quote_is_the_same_in_every_process() {
    for (seed, symbol, time, expected) in GOLDEN {
        let quote = sim(*seed).quote_at(id(symbol), at(time)).unwrap();
        assert_eq!(summary(&quote), *expected, "seed {seed}, {symbol} at {time}");
        assert_eq!(quote.at, at(time));
    }
}

const GOLDEN: &[(u64, &str, &str, &str)] = &[
    (
        1,
        "AAPL",
        "2026-11-24T15:00:00Z",
        "278.88 x 198, 278.91 x 1068, last 278.9, 278.89 to 278.9",
    ),
    (
        1,
        "AAPL",
        "2026-11-24T15:00:01Z",
        "278.9 x 432, 278.93 x 180, last 278.9, 278.9 to 278.9",
    ),
    (
        1,
        "SPY",
        "2026-11-24T21:00:00Z",
        "637.68 x 2100, 637.71 x 570, last 637.68, 637.68 to 637.7",
    ),
    (
        1,
        "BTC/USD",
        "2026-11-28T03:04:05Z",
        "94983.28 x 1.224, 95007.42 x 0.84, last 95007.42, 95002.27 to 95007.42",
    ),
    (
        42,
        "DOGE/USD",
        "2027-06-15T12:00:00Z",
        "0.13493 x 100800, 0.135 x 55200, last 0.135, 0.13497 to 0.135",
    ),
    (
        u64::MAX,
        "IBM",
        "2030-01-02T20:59:59Z",
        "300.14 x 122, 300.16 x 162, last 300.15, 300.12 to 300.15",
    ),
];

#[tokio::test]
async fn a_restart_and_a_second_instance_change_nothing() {
    let assets = catalog::assets();
    let first = sim(42).quotes(&assets).await.unwrap();
    assert_eq!(first.len(), assets.len());
    assert_eq!(sim(42).quotes(&assets).await.unwrap(), first);
    let other = sim(43).quotes(&assets).await.unwrap();
    assert!(
        first
            .iter()
            .zip(&other)
            .all(|(one, other)| one.last != other.last),
        "the seed matters"
    );
}

#[test]
fn a_quote_steps_at_whole_seconds() {
    let sim = sim(1);
    let quote = |time: &str| sim.quote_at(id("BTC/USD"), at(time)).unwrap();
    assert_eq!(quote("2026-11-24T15:00:00.999999Z"), quote(OPEN));
    let next = quote("2026-11-24T15:00:01Z");
    assert_ne!(next.last, quote(OPEN).last);
    assert_eq!(next.at, at("2026-11-24T15:00:01Z"), "each second is a new quote");
}

#[test]
fn low_and_high_span_the_trades_since_the_second_before() {
    let sim = sim(1);
    for offset in 1..600 {
        let now = at(OPEN) + TimeDelta::seconds(offset);
        let before = sim.quote_at(id("AAPL"), now - TimeDelta::seconds(1)).unwrap();
        let quote = sim.quote_at(id("AAPL"), now).unwrap();
        assert_eq!(quote.low, quote.last.min(before.last));
        assert_eq!(quote.high, quote.last.max(before.last));
    }
}

#[test]
fn a_closed_market_shows_the_closing_quote() {
    let sim = sim(1);
    let quote = |time: &str| sim.quote_at(id("SPY"), at(time)).unwrap();
    let close = quote("2026-11-24T21:00:00Z");
    assert_eq!(close.at, at("2026-11-24T21:00:00Z"));
    assert_eq!(quote("2026-11-24T23:30:00Z"), close, "in the evening");
    assert_eq!(quote("2026-11-25T14:29:59Z"), close, "until the next opening");
    assert_eq!(quote("2026-11-25T14:30:00Z").at, at("2026-11-25T14:30:00Z"));
    assert_ne!(quote("2026-11-24T20:59:59Z"), close);

    // Thanksgiving is on the 26th, and on the 27th the market closes at 13:00.
    assert_eq!(quote("2026-11-26T18:00:00Z").at, at("2026-11-25T21:00:00Z"));
    assert_eq!(quote("2026-11-29T12:00:00Z").at, at("2026-11-27T18:00:00Z"));
}

#[test]
fn a_session_begins_without_the_trades_of_the_night() {
    let quote = sim(1).quote_at(id("AAPL"), at("2026-11-24T14:30:00Z")).unwrap();
    assert_eq!((quote.low, quote.high), (quote.last, quote.last));
}

#[test]
fn pairs_always_move_and_equities_do_when_hours_are_ignored() {
    let sunday = at("2026-11-29T12:00:00Z");
    let quote = sim(1).quote_at(id("ETH/USD"), sunday).unwrap();
    assert_eq!(quote.at, sunday);
    let ignoring = sim(1).with_hours(MarketHours::Ignore);
    let quote = ignoring.quote_at(id("AAPL"), sunday).unwrap();
    assert_eq!(quote.at, sunday);
    assert_ne!(
        quote.last,
        ignoring
            .quote_at(id("AAPL"), sunday + TimeDelta::seconds(60))
            .unwrap()
            .last
    );
}

#[tokio::test]
async fn unknown_assets_are_absent() {
    let mut unknown = catalog::asset("AAPL").unwrap();
    unknown.id = Asset::id_of(AssetClass::UsEquity, "NOPE");
    let known = catalog::asset("IBM").unwrap();
    let quotes = sim(1).quotes(&[unknown, known.clone()]).await.unwrap();
    assert_eq!(
        quotes.iter().map(|quote| quote.asset_id).collect::<Vec<_>>(),
        [known.id]
    );
    assert!(
        sim(1).quote_at(known.id, at("1999-06-01T15:00:00Z")).is_none(),
        "before the calendar begins"
    );
}

#[test]
fn no_walk_can_halve_or_double_a_price() {
    for seed in 0..20 {
        for Instrument { listing, walk } in sim(seed).instruments.values() {
            assert!(walk.bound() < UNIT, "{} under seed {seed}", listing.asset.symbol);
        }
    }
}

/// Moves are as large as the volatility says: over a second, and over a day.
#[test]
fn prices_move_as_much_as_their_volatility_says() {
    let sim = sim(3);
    for (symbol, second_ppm, day_bps) in [("AAPL", 20..=200, 60..=250), ("BTC/USD", 20..=200, 90..=400)] {
        let instrument = &sim.instruments[&id(symbol)];
        let start = at(OPEN).timestamp();
        let mean = |step: i64, count: i64| {
            let moved = |index: i64| {
                let from = start + index * step;
                (instrument.walk.deviation(from + step) - instrument.walk.deviation(from)).abs()
            };
            (0..count).map(moved).sum::<i64>() / count
        };
        let (second, day) = (mean(1, 5_000), mean(86_400, 500));
        assert!(
            second_ppm.contains(&(second / 1_000)),
            "{symbol} moves {second} ppb a second"
        );
        assert!(
            day_bps.contains(&(day / 100_000)),
            "{symbol} moves {day} ppb a day"
        );
    }
}

proptest! {
    #[test]
    fn every_quote_is_plausible(
        seed in any::<u64>(),
        index in 0_usize..35,
        second in 946_800_000_i64..4_000_000_000,
    ) {
        let sim = sim(seed).with_hours(MarketHours::Ignore);
        let listing = &catalog::listings()[index];
        let asset = &listing.asset;
        let time = DateTime::from_timestamp(second, 0).unwrap();
        let quote = sim.quote_at(asset.id, time).unwrap();
        let start = listing.start_price.get();

        prop_assert!(quote.bid < quote.ask);
        prop_assert!(quote.bid <= quote.last && quote.last <= quote.ask);
        prop_assert!(quote.low <= quote.last && quote.last <= quote.high);
        for price in [quote.bid, quote.ask, quote.last, quote.low, quote.high] {
            let price = price.get();
            prop_assert!(price * Decimal::TWO > start && price < start * Decimal::TWO, "{price}");
            prop_assert_eq!(price % asset.price_increment_at(price), Decimal::ZERO);
        }
        let tick = asset.price_increment_at(start);
        let usual = quote.mid() * listing.spread_bps / Decimal::from(10_000);
        let spread = quote.ask.get() - quote.bid.get();
        prop_assert!(spread <= usual * Decimal::new(15, 1) + tick * Decimal::TWO, "spread {}", spread);
        for size in [quote.bid_size, quote.ask_size] {
            prop_assert!(size.get() <= listing.quoted_size.get() * Decimal::TWO);
            if asset.class == AssetClass::UsEquity {
                prop_assert!(size.get().is_integer());
            }
        }
    }
}
