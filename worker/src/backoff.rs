//! How long to wait before the next try, and whether there is time for one at all. Pure.

use std::time::Duration;

/// The first pause before an order is sent again that certainly did not leave.
const RESEND_FIRST: Duration = Duration::from_millis(250);

/// The longest such pause.
const RESEND_MAX: Duration = Duration::from_secs(30);

/// The first pause before an unknown outcome is looked up, and looked up again.
const LOOK_UP_FIRST: Duration = Duration::from_secs(1);

/// The longest such pause.
const LOOK_UP_MAX: Duration = Duration::from_mins(1);

/// The longest that recording an answer is expected to take.
const RECORD_TIME: Duration = Duration::from_millis(500);

/// The pause before the next send, after `attempts` that did not leave: 250 ms, doubling up to 30 s.
pub(crate) fn resend(attempts: u32) -> Duration {
    doubled(RESEND_FIRST, attempts, RESEND_MAX)
}

/// The pause before the next look-up, after `attempts` without a decision: 1 s, doubling up to 60 s.
pub(crate) fn look_up(attempts: u32) -> Duration {
    doubled(LOOK_UP_FIRST, attempts, LOOK_UP_MAX)
}

/// What a claim must still last for when a call begins: the call's own limit, and the time to record its answer.
///
/// The margin shrinks with the rest of the lease, so that a short lease still lets a call begin right after the claim.
pub(crate) fn time_needed(lease: Duration, call_limit: Duration) -> Duration {
    let rest = lease.saturating_sub(call_limit);
    call_limit.saturating_add((rest / 2).min(RECORD_TIME))
}

fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    2_u32
        .checked_pow(times)
        .map_or(max, |factor| first.saturating_mul(factor).min(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_leave_is_sent_again_after_250_ms_doubling_to_30_s() {
        let millis = |attempts| resend(attempts).as_millis();
        assert_eq!(
            [0, 1, 2, 6, 7, 8, 200].map(millis),
            [250, 500, 1_000, 16_000, 30_000, 30_000, 30_000]
        );
    }

    #[test]
    fn an_unknown_outcome_is_looked_up_after_1_s_doubling_to_60_s() {
        let seconds = |attempts| look_up(attempts).as_secs();
        assert_eq!([0, 1, 2, 5, 6, u32::MAX].map(seconds), [1, 2, 4, 32, 60, 60]);
    }

    #[test]
    fn a_call_needs_its_limit_and_half_a_second_of_a_long_lease() {
        let needed = time_needed(Duration::from_secs(30), Duration::from_secs(5));
        assert_eq!(needed, Duration::from_millis(5_500));
    }

    #[test]
    fn a_fresh_claim_always_has_time_for_a_call_that_is_shorter_than_its_lease() {
        for (lease, limit) in [(1_000, 999), (1_000, 500), (3_600_000, 600_000), (2, 1)] {
            let (lease, limit) = (Duration::from_millis(lease), Duration::from_millis(limit));
            let needed = time_needed(lease, limit);
            assert!(
                limit <= needed && needed < lease,
                "{lease:?} {limit:?} {needed:?}"
            );
        }
    }
}
