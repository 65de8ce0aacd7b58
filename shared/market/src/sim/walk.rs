//! A random walk that can be evaluated at any second without walking there, in whole numbers.
//!
//! The deviation at a second is the sum of [`OCTAVES`] layers of value noise. Layer *k* has a random value at every
//! 2^*k*-th second, and straight lines between them. The values come from a hash of (seed, symbol, layer, place), so
//! they are the same in every process and after every restart; nothing is stored, and one evaluation costs two hashes
//! a layer.
//!
//! With values whose variance grows like the length of the layer's step, the difference over *t* seconds has a variance
//! of about six times that of the layer of length *t*: like a random walk, but bounded by the sum of the amplitudes.

use domain::asset::AssetClass;
use sha2::{Digest, Sha256};

/// The longest layer steps every 2^22 seconds, about seven weeks.
pub(crate) const OCTAVES: u32 = 23;

/// Deviations are counted in parts of this.
pub(crate) const UNIT: i64 = 1_000_000_000;

/// Random values lie in ±this.
const NOISE_LIMIT: i64 = 1 << 31;

const SECONDS_PER_DAY: i64 = 86_400;
const SECONDS_PER_SESSION: i64 = 23_400;
const SECONDS_PER_YEAR: i64 = 365 * SECONDS_PER_DAY;
const TRADING_SECONDS_PER_YEAR: i64 = 252 * SECONDS_PER_SESSION;

/// What else is random about a quote; a separate stream of numbers for each.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    /// The width of the spread.
    Spread,
    /// The size at the bid.
    BidSize,
    /// The size at the ask.
    AskSize,
    /// Where the last trade happened.
    Last,
}

/// The walk of one instrument under one seed.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    key: u64,
    octaves: Vec<Octave>,
}

#[derive(Debug, Clone)]
struct Octave {
    length: i64,
    /// Keeps the layers' corners from falling on the same seconds.
    offset: i64,
    amplitude: i64,
}

impl Walk {
    /// The walk of `symbol` under `seed`, scaled to the volatility of the instrument.
    pub(crate) fn new(seed: u64, symbol: &str, class: AssetClass, annual_volatility_percent: u32) -> Walk {
        let key = key(seed, symbol);
        let octaves = (0..OCTAVES)
            .map(|level| {
                let length = 1_i64 << level;
                let offset = positive(mix(key ^ u64::from(level))) % length;
                Octave {
                    length,
                    offset,
                    amplitude: amplitude(class, annual_volatility_percent, length),
                }
            })
            .collect();
        Walk { key, octaves }
    }

    /// The deviation from the starting price at `second` (Unix time), in [`UNIT`]s.
    pub(crate) fn deviation(&self, second: i64) -> i64 {
        (0_u64..)
            .zip(&self.octaves)
            .map(|(level, octave)| self.layer(level, octave, second))
            .sum()
    }

    /// No deviation is greater than this, in [`UNIT`]s.
    #[cfg(test)]
    pub(crate) fn bound(&self) -> i64 {
        self.octaves.iter().map(|octave| octave.amplitude).sum()
    }

    /// A number of `stream` for `second`, evenly distributed from `low` to `high`, both included.
    pub(crate) fn pick(&self, stream: Stream, second: i64, low: i64, high: i64) -> i64 {
        let channel = match stream {
            Stream::Spread => 1_000,
            Stream::BidSize => 1_001,
            Stream::AskSize => 1_002,
            Stream::Last => 1_003,
        };
        low + positive(self.hash(channel, second)) % (high - low + 1)
    }

    fn layer(&self, level: u64, octave: &Octave, second: i64) -> i64 {
        let place = second.saturating_add(octave.offset);
        let cell = place.div_euclid(octave.length);
        let (from, to) = (self.noise(level, cell), self.noise(level, cell + 1));
        // At most 2^32 · 2^22, then 2^31 · 2^30: both fit.
        let value = from + (to - from) * place.rem_euclid(octave.length) / octave.length;
        value * octave.amplitude / NOISE_LIMIT
    }

    /// Evenly distributed in ±[`NOISE_LIMIT`].
    fn noise(&self, level: u64, cell: i64) -> i64 {
        (self.hash(level, cell) >> 32).cast_signed() - NOISE_LIMIT
    }

    fn hash(&self, channel: u64, place: i64) -> u64 {
        mix(mix(self.key.wrapping_add(channel)) ^ place.cast_unsigned())
    }
}

/// The greatest deviation that a layer adds, in [`UNIT`]s: √3 times the standard deviation of its values.
fn amplitude(class: AssetClass, annual_volatility_percent: u32, length: i64) -> i64 {
    let year = match class {
        AssetClass::UsEquity => TRADING_SECONDS_PER_YEAR,
        AssetClass::Crypto => SECONDS_PER_YEAR,
    };
    let sigma = i128::from(annual_volatility_percent) * i128::from(UNIT) / 100;
    let squared = sigma * sigma * i128::from(moving_seconds(class, length)) / i128::from(2 * year);
    i64::try_from(squared.isqrt()).unwrap_or(0)
}

/// The seconds of trading within `length` seconds on the clock.
///
/// A share moves through the night, too, so that it opens with a gap, but a whole night moves it no more than the
/// rest of its session would.
fn moving_seconds(class: AssetClass, length: i64) -> i64 {
    match class {
        AssetClass::Crypto => length,
        AssetClass::UsEquity if length <= SECONDS_PER_DAY => length.min(SECONDS_PER_SESSION),
        AssetClass::UsEquity => length * TRADING_SECONDS_PER_YEAR / SECONDS_PER_YEAR,
    }
}

/// The first 64 bits of SHA-256 over seed and symbol.
fn key(seed: u64, symbol: &str) -> u64 {
    let digest = Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(symbol.as_bytes())
        .finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |key, byte| (key << 8) | u64::from(*byte))
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The upper 63 bits as a number that is not negative.
fn positive(hash: u64) -> i64 {
    (hash >> 1).cast_signed()
}
