//! Recorded prices, played on today's sessions: a step function of (tape, symbol, whole second).
//!
//! **Speed N > 0** plays N recorded sessions in each real one. The session that was the latest at the *anchor* plays
//! the recorded session of the start row, the next real one the next, and so on. Within a session the places
//! correspond: the real opening plays the recorded opening, the last second the last second. Outside its sessions a
//! quote is the closing one, with the close as its time. After its end the tape stands still and its quotes age, so
//! nothing is decided on them. All processes must be given the same anchor.
//!
//! **Speed 0** stands still on a row, and quotes carry the present second as their time (the closing one while the
//! market is closed). A row is a recorded instant, see [`Tape::rows`]; a bar has four of them. A test moves the tape by
//! [`Replay::seek`] and [`Replay::advance`], or from outside the process through the *row file*: a text file that is
//! read anew at each call if it exists, and says either of
//!
//! ```text
//! 42                          the row 42
//! 2008-09-29                  the first row of that date
//! 42 2026-11-24T15:00:00Z     the row 42, with that instant as the time of its quotes: they age
//! ```
//!
//! Write it under another name and rename it: an empty file, caught in the middle of a write, leaves the row as it is.
//!
//! Invariants:
//! 1. The answer depends on tape, options and the present second alone (at speed 0, on the row as well).
//! 2. A quote is never younger than the second in which it is asked for, and never older than the tape makes it.
//! 3. `low` and `high` span what was recorded after the second before; a tape that stands still has no other trades
//!    than the last one.

mod row_file;
mod schedule;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use domain::asset::{Asset, AssetClass, MarketHours};
use domain::money::{Price, Quantity};
use domain::quote::Quote;
use platform::SharedClock;
use rust_decimal::Decimal;

use crate::tape::{Point, Series, Sides, Tape};
use crate::windows::Spans;
use crate::{MarketData, MarketError, ticks};
use row_file::{Place, RowFile};
use schedule::{Moment, Schedule};

/// Twice the basis points in one: half a spread on each side of the last trade.
const HALVES: Decimal = Decimal::from_parts(20_000, 0, 0, false, 0);

/// How a tape is played.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// Recorded sessions per real one; 0 stands still.
    pub speed: u32,
    /// The row whose session is played at the anchor; at speed 0, the row on which the tape stands.
    pub start_row: usize,
    /// The instant whose latest session plays the session of the start row. Store it, and give it to all processes.
    pub anchor: DateTime<Utc>,
    /// Whether equities keep the exchange's hours; if not, N recorded sessions fill each day (UTC).
    pub hours: MarketHours,
    /// The distance between bid and ask of a bar's prices, in basis points, before both are put on the grid.
    pub spread_bps: Decimal,
    /// The units on each side of a bar's prices.
    pub quoted_size: Quantity,
    /// The file that moves the tape from outside at speed 0.
    pub row_file: Option<PathBuf>,
}

impl ReplayOptions {
    /// Every option but the size of quotes has a usual value: speed 1 from the first row, the exchange's hours, a
    /// spread of two basis points, no row file.
    pub fn new(anchor: DateTime<Utc>, quoted_size: Quantity) -> ReplayOptions {
        ReplayOptions {
            speed: 1,
            start_row: 0,
            anchor,
            hours: MarketHours::Real,
            spread_bps: Decimal::TWO,
            quoted_size,
            row_file: None,
        }
    }
}

/// A provider that plays a [`Tape`]. Clones share the row on which a tape at speed 0 stands.
#[derive(Debug, Clone)]
pub struct Replay {
    tape: Arc<Tape>,
    clock: SharedClock,
    options: Arc<ReplayOptions>,
    row: Arc<AtomicUsize>,
}

impl Replay {
    /// Plays `tape` at the time of `clock`.
    pub fn new(tape: Tape, clock: SharedClock, options: ReplayOptions) -> Replay {
        let row = AtomicUsize::new(options.start_row.min(tape.last_row()));
        Replay {
            tape: Arc::new(tape),
            clock,
            options: Arc::new(options),
            row: Arc::new(row),
        }
    }

    /// The recording.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// The row on which the tape stands at speed 0.
    pub fn position(&self) -> usize {
        self.row.load(Ordering::SeqCst)
    }

    /// Puts a tape at speed 0 on `row`, or on its last row when there are not so many.
    pub fn seek(&self, row: usize) {
        self.row.store(row.min(self.tape.last_row()), Ordering::SeqCst);
    }

    /// Moves a tape at speed 0 forward by `rows`, at most to its end.
    pub fn advance(&self, rows: usize) {
        let step = |row: usize| Some(row.saturating_add(rows).min(self.tape.last_row()));
        // The closure always answers, so the update always happens.
        let _ = self.row.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
    }

    /// The recorded instant that `class` plays at `now`, for a tape that stands still on a row.
    fn standing(&self, class: AssetClass, now: DateTime<Utc>, at: Option<DateTime<Utc>>) -> Option<Moment> {
        let window = Spans::of(class, self.options.hours).latest(now)?;
        let recorded = self.tape.instant(self.position())?;
        Some(Moment {
            recorded,
            before: recorded,
            at: at.unwrap_or_else(|| now.min(window.close)),
        })
    }

    /// The recorded instant that `class` plays at `now`, for a tape that moves.
    fn moving(&self, class: AssetClass, now: DateTime<Utc>) -> Option<Moment> {
        let start = self.tape.instant(self.options.start_row)?.date_naive();
        Schedule::new(&self.tape, class, start, &self.options).moment(now)
    }

    /// What the row file says, if it says anything; moves the row accordingly.
    async fn follow_row_file(&self) -> Result<Option<DateTime<Utc>>, MarketError> {
        let Some(path) = &self.options.row_file else {
            return Ok(None);
        };
        let Some(RowFile { place, at }) = row_file::read(path).await? else {
            return Ok(None);
        };
        match place {
            Place::Row(row) => self.seek(row),
            Place::Date(date) => self.seek(self.tape.row_of(date)),
        }
        Ok(at)
    }

    fn quote(&self, asset: &Asset, moment: &Moment) -> Option<Quote> {
        let series = self.tape.series(asset.id)?;
        let point = series.at(moment.recorded)?;
        let Sides {
            bid,
            bid_size,
            ask,
            ask_size,
        } = self.sides(asset, point)?;
        let (low, high) = range(series, moment, point.last);
        Some(Quote {
            asset_id: asset.id,
            bid,
            bid_size,
            ask,
            ask_size,
            last: point.last,
            low,
            high,
            at: moment.at,
        })
    }

    /// Bid and ask as recorded, or around the price of a bar.
    fn sides(&self, asset: &Asset, point: &Point) -> Option<Sides> {
        if let Some(sides) = point.sides {
            return Some(sides);
        }
        let last = point.last.get();
        let half = last.checked_mul(self.options.spread_bps)?.checked_div(HALVES)?;
        Some(Sides {
            bid: ticks::floor(asset, last.checked_sub(half)?)?,
            bid_size: self.options.quoted_size,
            ask: ticks::ceil(asset, last.checked_add(half)?)?,
            ask_size: self.options.quoted_size,
        })
    }
}

#[async_trait]
impl MarketData for Replay {
    fn name(&self) -> &'static str {
        "replay"
    }

    async fn quotes(&self, assets: &[Asset]) -> Result<Vec<Quote>, MarketError> {
        let now = self.clock.now().trunc_subsecs(0);
        let moment: Box<dyn Fn(AssetClass) -> Option<Moment> + Send + Sync> = if self.options.speed == 0 {
            let at = self.follow_row_file().await?;
            Box::new(move |class| self.standing(class, now, at))
        } else {
            Box::new(|class| self.moving(class, now))
        };
        let (equities, pairs) = (moment(AssetClass::UsEquity), moment(AssetClass::Crypto));
        let of = |class| match class {
            AssetClass::UsEquity => equities.as_ref(),
            AssetClass::Crypto => pairs.as_ref(),
        };
        Ok(assets
            .iter()
            .filter_map(|asset| self.quote(asset, of(asset.class)?))
            .collect())
    }
}

/// The lowest and the highest trade that became known in the second of `moment`.
fn range(series: &Series, moment: &Moment, last: Price) -> (Price, Price) {
    let trades = series
        .between(moment.before, moment.recorded)
        .iter()
        .map(|point| point.last);
    trades.fold((last, last), |(low, high), trade| {
        (low.min(trade), high.max(trade))
    })
}
