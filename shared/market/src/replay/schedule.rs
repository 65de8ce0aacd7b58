//! Which recorded instant plays at a real one.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::asset::AssetClass;

use super::ReplayOptions;
use crate::tape::{Tape, recorded_window};
use crate::windows::{Spans, Window};

/// A recorded instant that plays now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// All that was recorded up to this instant is known.
    pub(super) recorded: DateTime<Utc>,
    /// What was recorded up to this instant was known in the second before.
    pub(super) before: DateTime<Utc>,
    /// The time of the quotes.
    pub(super) at: DateTime<Utc>,
}

/// The way of a tape over real sessions, for one asset class.
pub(super) struct Schedule<'a> {
    /// The recorded dates, ascending.
    dates: &'a [NaiveDate],
    class: AssetClass,
    /// The real spans.
    spans: Spans,
    /// The place in `dates` that plays first in the anchor's span.
    first: i64,
    anchor: DateTime<Utc>,
    /// Recorded spans per real one, at least one.
    speed: i64,
}

impl<'a> Schedule<'a> {
    /// Plays `tape` from the date `start` on.
    pub(super) fn new(
        tape: &'a Tape,
        class: AssetClass,
        start: NaiveDate,
        options: &ReplayOptions,
    ) -> Schedule<'a> {
        let dates = tape.dates(class);
        let first = dates.partition_point(|date| *date < start);
        Schedule {
            dates,
            class,
            spans: Spans::of(class, options.hours),
            first: i64::try_from(first).unwrap_or(i64::MAX),
            anchor: options.anchor,
            speed: i64::from(options.speed.max(1)),
        }
    }

    /// What plays at `now`; `None` before the tape's begin.
    pub(super) fn moment(&self, now: DateTime<Utc>) -> Option<Moment> {
        let window = self.spans.latest(now)?;
        let anchor = self.spans.latest(self.anchor)?;
        let played = self
            .spans
            .distance(anchor.date, window.date)
            .checked_mul(self.speed)?;
        let first = self.first.checked_add(played)?;
        let at = now.min(window.close);
        let elapsed = (at - window.open).num_seconds();
        let recorded = match self.place(first, elapsed, window.seconds())? {
            Place::Begun(recorded) => recorded,
            Place::NotBegun => return None,
            Place::Ended => return self.end(anchor),
        };
        let before = match self.place(first, elapsed - 1, window.seconds())? {
            Place::Begun(before) if elapsed > 0 => before,
            // Nothing of this span was known before it began.
            Place::Begun(_) | Place::NotBegun | Place::Ended => self
                .recorded(first.max(0))?
                .open
                .checked_sub_signed(TimeDelta::seconds(1))?,
        };
        Some(Moment { recorded, before, at })
    }

    /// What is known at the end of the second `elapsed` of a real span of `length` seconds in which the recorded span
    /// `first` plays first.
    fn place(&self, first: i64, elapsed: i64, length: i64) -> Option<Place> {
        let is_over = elapsed >= length;
        let progress = if is_over {
            length * self.speed - 1
        } else {
            ((elapsed + 1) * self.speed - 1).max(0)
        };
        let index = first.checked_add(progress / length)?;
        if index < 0 {
            return Some(Place::NotBegun);
        }
        let Some(window) = self.recorded(index) else {
            return Some(Place::Ended);
        };
        if is_over {
            return Some(Place::Begun(window.close));
        }
        // The last second of the real span is the last one of the recorded span, however long both are. Rounded up:
        // the offset is that of the recorded second in which this real one ends.
        let ends_at = (progress % length + 1) * window.seconds();
        let offset = (ends_at - 1) / length;
        Some(Place::Begun(window.open + TimeDelta::seconds(offset)))
    }

    /// What plays once the tape is over: its last second, at the real time at which that was over.
    fn end(&self, anchor: Window) -> Option<Moment> {
        let count = i64::try_from(self.dates.len()).ok()?;
        let left = count - self.first;
        let window = self.spans.after(
            anchor.date,
            u32::try_from((left - 1).div_euclid(self.speed)).ok()?,
        )?;
        let played_in_it = (left - 1).rem_euclid(self.speed) + 1;
        let recorded = self.recorded(count - 1)?.close;
        let at = window.open + TimeDelta::seconds(played_in_it * window.seconds() / self.speed);
        Some(Moment {
            recorded,
            before: recorded,
            at,
        })
    }

    /// The recorded span at a place of `dates`.
    fn recorded(&self, index: i64) -> Option<Window> {
        recorded_window(self.class, *self.dates.get(usize::try_from(index).ok()?)?)
    }
}

/// Where a tape is.
enum Place {
    /// Before its first span.
    NotBegun,
    /// At an instant of the recording.
    Begun(DateTime<Utc>),
    /// After its last span.
    Ended,
}
