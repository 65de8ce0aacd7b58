//! The count in this process alone, with the script's meaning.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Check, Verdict, Window};

/// So many windows are kept: some ten megabytes.
const WINDOWS_MAX: usize = 100_000;

/// A counter, and when it ends.
#[derive(Debug, Clone, Copy)]
struct Counter {
    count: u64,
    ends_at: DateTime<Utc>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Memory {
    counters: Mutex<HashMap<String, Counter>>,
    counters_max: usize,
}

impl Memory {
    pub(super) fn new() -> Memory {
        Memory::with_room_for(WINDOWS_MAX)
    }

    fn with_room_for(counters_max: usize) -> Memory {
        Memory {
            counters: Mutex::new(HashMap::new()),
            counters_max,
        }
    }

    /// Decides on `checks` at `now`, and counts the request if all of them allow it.
    pub(super) fn decide(&self, checks: &[Check], now: DateTime<Utc>) -> Verdict {
        let names: Vec<String> = checks.iter().map(Check::counter).collect();
        let mut counters = self.lock();
        let mut windows: Vec<Window> = checks
            .iter()
            .zip(&names)
            .map(|(check, name)| {
                let running = counters.get(name).and_then(|counter| {
                    let left = (counter.ends_at - now).num_milliseconds();
                    let left_ms = u64::try_from(left).ok()?;
                    // Beyond the window: the clock was set back.
                    (1..=check.window_ms()).contains(&left_ms).then_some(Window {
                        count: counter.count,
                        left_ms,
                    })
                });
                running.unwrap_or(Window {
                    count: 0,
                    left_ms: check.window_ms(),
                })
            })
            .collect();
        let is_allowed = checks
            .iter()
            .zip(&windows)
            .all(|(check, window)| window.count < check.policy.limit);
        if is_allowed {
            for (name, window) in names.into_iter().zip(&mut windows) {
                window.count += 1;
                let left = TimeDelta::milliseconds(i64::try_from(window.left_ms).unwrap_or(i64::MAX));
                let counter = Counter {
                    count: window.count,
                    ends_at: now.checked_add_signed(left).unwrap_or(now),
                };
                counters.insert(name, counter);
            }
            if counters.len() > self.counters_max {
                make_room(&mut counters, self.counters_max, now);
            }
        }
        Verdict::of(checks, is_allowed, &windows)
    }

    /// Forgets all counters.
    pub(super) fn forget(&self) {
        *self.lock() = HashMap::new();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Counter>> {
        // Each counter is replaced as a whole, so a panic elsewhere cannot leave half of one.
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what is over and, if that is not enough, the half that would end first: it has the least left to guard. At least
/// half of the room is free afterwards, so the effort for each request stays small.
fn make_room(counters: &mut HashMap<String, Counter>, counters_max: usize, now: DateTime<Utc>) {
    counters.retain(|_, counter| counter.ends_at > now);
    let kept = counters_max / 2;
    if counters.len() <= kept {
        return;
    }
    let mut ends: Vec<DateTime<Utc>> = counters.values().map(|counter| counter.ends_at).collect();
    let dropped = ends.len() - kept;
    let (_, last_dropped, _) = ends.select_nth_unstable(dropped - 1);
    let last_dropped = *last_dropped;
    // Many may end with the last one that has to go: only so many of them go, too.
    let mut room = dropped;
    counters.retain(|_, counter| {
        let goes = counter.ends_at <= last_dropped && room > 0;
        room -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_limit::Policy;

    const SHORT: Policy = Policy {
        name: "short",
        limit: 2,
        window: Duration::from_secs(10),
    };
    const LONG: Policy = Policy {
        name: "long",
        limit: 3,
        window: Duration::from_secs(100),
    };

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn a_window_begins_with_its_first_request_and_ends_by_itself() {
        let memory = Memory::new();
        let check = [Check::new(SHORT, "a")];
        let mut answers = Vec::new();
        for milliseconds in [0, 4_000, 9_999, 10_000, 19_999, 20_000] {
            let verdict = memory.decide(&check, at(milliseconds));
            let state = verdict.states[0];
            answers.push((
                verdict.is_allowed,
                state.remaining,
                state.reset_seconds,
                verdict.retry_after_seconds,
            ));
        }
        assert_eq!(
            answers,
            [
                (true, 1, 10, None),
                (true, 0, 6, None),
                (false, 0, 1, Some(1)),
                (true, 1, 10, None),
                (true, 0, 1, None),
                (true, 1, 10, None),
            ]
        );
    }

    #[test]
    fn a_refused_request_uses_up_no_other_limit() {
        let memory = Memory::new();
        let checks = [Check::new(SHORT, "a"), Check::new(LONG, "a")];
        let verdicts: Vec<Verdict> = (0..9).map(|_| memory.decide(&checks, at(0))).collect();
        let remaining: Vec<u64> = verdicts
            .iter()
            .map(|verdict| verdict.states[1].remaining)
            .collect();
        assert_eq!(remaining, [2, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(verdicts[8].retry_after_seconds, Some(10));
        assert!(memory.decide(&checks, at(10_000)).is_allowed);
        assert_eq!(memory.decide(&checks, at(10_000)).retry_after_seconds, Some(90));
    }

    #[test]
    fn keys_count_apart_and_a_clock_that_is_set_back_locks_nobody_out() {
        let memory = Memory::new();
        for key in ["a", "b"] {
            let check = [Check::new(SHORT, key)];
            let allowed = (0..5).filter(|_| memory.decide(&check, at(0)).is_allowed).count();
            assert_eq!(allowed, 2, "{key}");
            assert!(memory.decide(&check, at(-3_600_000)).is_allowed, "{key}");
        }
    }

    #[test]
    fn the_table_stays_bounded_and_keeps_what_lasts_longest() {
        let memory = Memory::with_room_for(100);
        let guarded = [Check::new(LONG, "guarded")];
        memory.decide(&guarded, at(0));
        for number in 0..1_000 {
            memory.decide(&[Check::new(SHORT, number.to_string())], at(0));
            assert!(memory.lock().len() <= 100);
        }
        assert_eq!(memory.decide(&guarded, at(0)).states[0].remaining, 1);
        memory.forget();
        assert_eq!(memory.decide(&guarded, at(0)).states[0].remaining, 2);
    }
}
