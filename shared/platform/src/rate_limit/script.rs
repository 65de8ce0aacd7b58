//! The count in Redis: one script, one round trip.

use fred::error::{Error as FredError, ErrorKind};
use fred::types::scripts::Script;

use super::{Check, Verdict, Window};
use crate::redis::{RedisError, RedisHandle};

/// KEYS: the counters. ARGV: limit and window (ms) of each. Answers whether the request is allowed (1 or 0), then count and
/// time left (ms) of each window.
///
/// A counter without an end, or with one that lies beyond the window, was not written by this script as it is: its window
/// counts as over.
const COUNT: &str = r"
local is_allowed = 1
local counts, lefts, begins = {}, {}, {}
for i, key in ipairs(KEYS) do
    local limit, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local count, left = 0, redis.call('PTTL', key)
    if left > 0 and left <= window then
        count = tonumber(redis.call('GET', key)) or 0
    else
        left = window
        begins[i] = true
    end
    if count >= limit then is_allowed = 0 end
    counts[i], lefts[i] = count, left
end
local answer = {is_allowed}
for i, key in ipairs(KEYS) do
    if is_allowed == 1 then
        if begins[i] then
            redis.call('SET', key, 1, 'PX', ARGV[2 * i])
        else
            redis.call('INCR', key)
        end
        counts[i] = counts[i] + 1
    end
    answer[2 * i] = counts[i]
    answer[2 * i + 1] = lefts[i]
end
return answer
";

/// The script, with its hash.
pub(super) struct CountScript {
    script: Script,
}

impl CountScript {
    pub(super) fn new() -> CountScript {
        CountScript {
            script: Script::from_lua(COUNT),
        }
    }

    /// Decides on `checks`, and counts the request if all of them allow it. A server that has forgotten the script, for
    /// instance after a restart, is told it again.
    pub(super) async fn run(&self, redis: &RedisHandle, checks: &[Check]) -> Result<Verdict, RedisError> {
        let counters: Vec<String> = checks.iter().map(Check::counter).collect();
        let numbers: Vec<String> = checks
            .iter()
            .flat_map(|check| [check.policy.limit.to_string(), check.window_ms().to_string()])
            .collect();
        let answer: Vec<i64> = redis
            .call(async |client| self.script.evalsha_with_reload(&client, counters, numbers).await)
            .await?;
        verdict(checks, &answer).ok_or_else(|| {
            let strange = FredError::new(ErrorKind::Parse, "the script answered something else");
            RedisError::Command(strange)
        })
    }
}

/// Reads the script's answer; `None` if it is not one.
fn verdict(checks: &[Check], answer: &[i64]) -> Option<Verdict> {
    let (is_allowed, numbers) = answer.split_first()?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != checks.len() {
        return None;
    }
    let windows: Option<Vec<Window>> = pairs
        .iter()
        .map(|[count, left_ms]| {
            Some(Window {
                count: u64::try_from(*count).ok()?,
                left_ms: u64::try_from(*left_ms).ok()?,
            })
        })
        .collect();
    Some(Verdict::of(checks, *is_allowed == 1, &windows?))
}
