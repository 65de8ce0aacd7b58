//! Rate limits as clients see them.
//!
//! | header | what |
//! |---|---|
//! | `RateLimit-Policy: "anonymous-hour";q=50;w=3600, …` | every policy: requests, seconds of a window |
//! | `RateLimit: "anonymous-hour";r=49;t=3600, …` | every policy: requests left, seconds until its window ends |
//! | `X-RateLimit-Limit`, `-Remaining`, `-Reset` | the policy with the fewest requests left; `Reset` is the time at which its window ends, in Unix seconds, as Alpaca tells it |
//! | `Retry-After` | on a 429: seconds until the request can succeed |
//!
//! The first two are the structured fields of draft-ietf-httpapi-ratelimit-headers. `Reset` is our clock's time plus the
//! seconds that Redis says are left.

use std::cmp::Reverse;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use platform::rate_limit::{PolicyState, Verdict};
use poem::http::{HeaderMap, HeaderName, HeaderValue};

use crate::problem::{Code, Problem};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The headers that [`write`] sets.
pub(crate) const HEADERS: [HeaderName; 5] = [POLICY, STATE, LIMIT, REMAINING, RESET];

/// Tells how the policies stand, as `verdict` said `at` that time.
pub fn write(headers: &mut HeaderMap, verdict: &Verdict, at: DateTime<Utc>) {
    let tightest = verdict
        .states
        .iter()
        .min_by_key(|state| (state.remaining, Reverse(state.reset_seconds)));
    let Some(tightest) = tightest else {
        return;
    };
    let list = |item: fn(&PolicyState) -> String| {
        let items: Vec<String> = verdict.states.iter().map(item).collect();
        HeaderValue::from_str(&items.join(", ")).ok()
    };
    let policies = list(|state| format!("\"{}\";q={};w={}", state.name, state.limit, state.window_seconds));
    let states = list(|state| {
        format!(
            "\"{}\";r={};t={}",
            state.name, state.remaining, state.reset_seconds
        )
    });
    for (name, value) in [(POLICY, policies), (STATE, states)] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    let reset = at.timestamp().saturating_add_unsigned(tightest.reset_seconds);
    headers.insert(LIMIT, tightest.limit.into());
    headers.insert(REMAINING, tightest.remaining.into());
    headers.insert(RESET, reset.into());
}

/// The refusal of a request that `verdict` does not allow.
pub fn refusal(verdict: &Verdict) -> Problem {
    let seconds = verdict.retry_after_seconds.unwrap_or(1);
    let mut detail = String::from("too many requests: ");
    let used_up = verdict.states.iter().filter(|state| state.remaining == 0);
    for (number, state) in used_up.enumerate() {
        let separator = if number == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(
            detail,
            "{separator}{} allows {} in {} s",
            state.name, state.limit, state.window_seconds
        );
    }
    Problem::new(Code::RateLimited, detail).retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(
        name: &'static str,
        limit: u64,
        window_seconds: u64,
        remaining: u64,
        reset_seconds: u64,
    ) -> PolicyState {
        PolicyState {
            name,
            limit,
            window_seconds,
            remaining,
            reset_seconds,
        }
    }

    fn written(verdict: &Verdict) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        write(
            &mut headers,
            verdict,
            DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        );
        HEADERS
            .iter()
            .filter_map(|name| Some((name.to_string(), headers.get(name)?.to_str().unwrap().to_owned())))
            .collect()
    }

    #[test]
    fn all_policies_are_listed_and_the_tightest_stands_alone() {
        let verdict = Verdict {
            is_allowed: true,
            states: vec![
                state("anonymous-hour", 50, 3_600, 49, 3_600),
                state("anonymous-day", 200, 86_400, 12, 4_711),
            ],
            retry_after_seconds: None,
        };
        let expected = [
            (
                "ratelimit-policy",
                "\"anonymous-hour\";q=50;w=3600, \"anonymous-day\";q=200;w=86400",
            ),
            (
                "ratelimit",
                "\"anonymous-hour\";r=49;t=3600, \"anonymous-day\";r=12;t=4711",
            ),
            ("x-ratelimit-limit", "200"),
            ("x-ratelimit-remaining", "12"),
            ("x-ratelimit-reset", "1800004711"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(written(&verdict), expected);
    }

    #[test]
    fn of_two_policies_that_are_used_up_the_longer_wait_is_told() {
        let verdict = Verdict {
            is_allowed: false,
            states: vec![
                state("a", 5, 60, 0, 10),
                state("b", 9, 3_600, 0, 100),
                state("c", 9, 60, 3, 60),
            ],
            retry_after_seconds: Some(100),
        };
        let reset = ("x-ratelimit-reset".to_owned(), "1800000100".to_owned());
        assert!(written(&verdict).contains(&reset));
        let problem = refusal(&verdict);
        assert_eq!(
            problem.detail(),
            "too many requests: a allows 5 in 60 s, b allows 9 in 3600 s"
        );
        let answer = problem.response("/v2/orders", "r");
        assert_eq!(
            (answer.status().as_u16(), answer.header("retry-after")),
            (429, Some("100"))
        );
    }

    #[test]
    fn a_request_that_nothing_limits_tells_no_limits() {
        let verdict = Verdict {
            is_allowed: true,
            states: vec![],
            retry_after_seconds: None,
        };
        assert_eq!(written(&verdict), []);
    }
}
