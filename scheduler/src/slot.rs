//! Time in slots: what makes a tick happen once however often it is asked for. Pure.
//!
//! A slot is the number of whole intervals since 1970. Two leaders, or one that was stopped and goes on, name the same
//! slot at the same time, so what they write for it can be unique.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// A tick that is to happen now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The present slot.
    pub slot: i64,
    /// How many slots passed without their tick since the last one: a pause, or a clock that was set forward.
    pub missed: u64,
    /// How many slots the clock went back since the last tick.
    pub back: u64,
}

/// The slot of `now` for ticks that happen `every` so often.
pub fn slot_at(now: DateTime<Utc>, every: Duration) -> i64 {
    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    now.timestamp_millis().div_euclid(every)
}

/// Whether a tick is due at `now`, whose last slot was `last`. Several missed slots give one tick, which makes up for all.
pub fn due(every: Duration, last: Option<i64>, now: DateTime<Utc>) -> Option<Due> {
    let slot = slot_at(now, every);
    let Some(last) = last else {
        return Some(Due {
            slot,
            missed: 0,
            back: 0,
        });
    };
    // Also when the clock was set back: what a slot writes is unique, so repeating one does nothing twice, while
    // waiting for the clock to come round again could be a long time without any tick.
    (slot != last).then(|| Due {
        slot,
        missed: slot.abs_diff(last).saturating_sub(1) * u64::from(slot > last),
        back: slot.abs_diff(last) * u64::from(slot < last),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn slots_are_aligned_to_the_clock_and_equal_in_every_process() {
        let slot = slot_at(at("2026-11-24T15:30:00Z"), MINUTE);
        assert_eq!(slot, 1_795_534_200 / 60);
        assert_eq!(slot_at(at("2026-11-24T15:30:59.999Z"), MINUTE), slot);
        assert_eq!(slot_at(at("2026-11-24T15:31:00Z"), MINUTE), slot + 1);
        assert_eq!(
            slot_at(at("2026-11-24T15:30:00.5Z"), Duration::from_millis(500)),
            1_795_534_200 * 2 + 1
        );
        assert_eq!(slot_at(at("1969-12-31T23:59:59Z"), MINUTE), -1);
    }

    #[test]
    fn a_tick_is_due_once_a_slot() {
        let now = at("2026-11-24T15:30:10Z");
        let first = due(MINUTE, None, now).unwrap();
        assert_eq!((first.missed, first.back), (0, 0));
        assert_eq!(due(MINUTE, Some(first.slot), now), None);
        assert_eq!(due(MINUTE, Some(first.slot), at("2026-11-24T15:30:59Z")), None);
        let next = due(MINUTE, Some(first.slot), at("2026-11-24T15:31:00Z")).unwrap();
        assert_eq!(
            next,
            Due {
                slot: first.slot + 1,
                missed: 0,
                back: 0
            }
        );
    }

    #[test]
    fn a_pause_gives_one_tick_that_counts_the_missed_slots() {
        let last = slot_at(at("2026-11-24T15:30:10Z"), MINUTE);
        let due = due(MINUTE, Some(last), at("2026-11-24T15:34:05Z")).unwrap();
        assert_eq!(
            due,
            Due {
                slot: last + 4,
                missed: 3,
                back: 0
            }
        );
    }

    #[test]
    fn a_clock_that_is_set_back_stops_no_tick_and_is_told() {
        let last = slot_at(at("2026-11-24T15:30:10Z"), MINUTE);
        let due = due(MINUTE, Some(last), at("2026-11-24T14:30:10Z")).unwrap();
        assert_eq!(
            due,
            Due {
                slot: last - 60,
                missed: 0,
                back: 60
            }
        );
    }

    #[test]
    fn an_interval_of_nothing_still_has_slots() {
        assert_eq!(slot_at(at("1970-01-01T00:00:00.007Z"), Duration::ZERO), 7);
    }
}
