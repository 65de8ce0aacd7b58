//! Guessing is slowed down, and nobody is locked out.
//!
//! 1. The first failures cost nothing: people mistype. From then on the answer to each further failure comes later, twice
//!    as late each time, up to [`DELAY_MAX`].
//! 2. Only the answer to a failure waits. The right password is let in at once, whatever others have tried: nobody can
//!    lock a person out by failing in their name.
//! 3. Failures are counted by account and network of the client, and, ten times as leniently, by account alone, for those
//!    who guess from many places. Accounts that do not exist are counted alike, so the wait tells nothing.
//! 4. It slows down whoever waits for answers. How many questions may be asked at all is for the limits of rate.
//! 5. It is kept in the memory of one process, for at most [`KEYS_MAX`] keys, and forgotten after [`FORGET_AFTER`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::{IpNet, Ipv6Net};

use crate::email;
use crate::secrets::sha256;

/// Failures that cost nothing.
const FREE: u32 = 5;

/// What the first failure beyond costs.
const DELAY_FIRST: Duration = Duration::from_millis(250);

/// The longest wait. A request that waits costs next to nothing, but a person's patience ends.
const DELAY_MAX: Duration = Duration::from_secs(4);

/// Of failures from anywhere, so many count as one.
const ANYWHERE: u32 = 10;

/// How long after the last failure a key is forgotten.
const FORGET_AFTER: TimeDelta = TimeDelta::minutes(15);

/// How many keys are remembered: some megabytes.
const KEYS_MAX: usize = 20_000;

/// An account, and from where; none: from anywhere.
type Key = ([u8; 32], Option<IpNet>);

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: DateTime<Utc>,
}

/// How long the answer to a failure waits that is the `failures`th in a row.
pub fn delay(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(FREE + 1) else {
        return Duration::ZERO;
    };
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    DELAY_FIRST.saturating_mul(factor).min(DELAY_MAX)
}

/// What has failed lately.
#[derive(Debug, Default)]
pub struct LoginDelay {
    failures: Mutex<HashMap<Key, Failures>>,
}

impl LoginDelay {
    /// Notes a failure at `account`, whatever the client called it, and answers how long the answer has to wait.
    pub fn failed(&self, account: &str, client: IpAddr, now: DateTime<Utc>) -> Duration {
        let account = name_of(account);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut failures, now);
        let here = note(&mut failures, (account, Some(network_of(client))), now);
        let anywhere = note(&mut failures, (account, None), now);
        delay(here).max(delay(anywhere / ANYWHERE))
    }

    /// Forgets what has failed at `account` from the client's network. Failures from elsewhere are someone else's.
    pub fn succeeded(&self, account: &str, client: IpAddr) {
        let key = (name_of(account), Some(network_of(client)));
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&key);
    }
}

/// One size, however long a text someone sends.
fn name_of(account: &str) -> [u8; 32] {
    sha256(email::normal(account))
}

/// The network of a client: of IPv6 the 64 bits that one subscriber has.
fn network_of(client: IpAddr) -> IpNet {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Net::new(address, 64).map_or_else(|_| IpAddr::V6(address).into(), |net| net.trunc().into())
        }
        address @ IpAddr::V4(_) => address.into(),
    }
}

fn note(failures: &mut HashMap<Key, Failures>, key: Key, now: DateTime<Utc>) -> u32 {
    let known = failures.entry(key).or_insert(Failures { count: 0, last: now });
    if now - known.last > FORGET_AFTER {
        known.count = 0;
    }
    known.count = known.count.saturating_add(1);
    known.last = now;
    known.count
}

/// Forgets what is old, and, where that is not enough, the older half.
fn make_room(failures: &mut HashMap<Key, Failures>, now: DateTime<Utc>) {
    if failures.len() + 2 <= KEYS_MAX {
        return;
    }
    failures.retain(|_, known| now - known.last <= FORGET_AFTER);
    if failures.len() + 2 <= KEYS_MAX {
        return;
    }
    let mut times: Vec<DateTime<Utc>> = failures.values().map(|known| known.last).collect();
    let half = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(half);
    let median = *median;
    let mut spared = half;
    failures.retain(|_, known| {
        // Of equal times, some go as well.
        let stays = known.last > median || (known.last == median && spared > 0);
        spared = spared.saturating_sub(usize::from(stays));
        stays
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_failure_beyond_the_first_five_waits_twice_as_long_up_to_four_seconds() {
        let table = [
            (0, 0),
            (1, 0),
            (5, 0),
            (6, 250),
            (7, 500),
            (8, 1_000),
            (9, 2_000),
            (10, 4_000),
            (11, 4_000),
            (36, 4_000),
            (37, 4_000),
            (38, 4_000),
            (1_000, 4_000),
            (u32::MAX, 4_000),
        ];
        for (failures, expected) in table {
            assert_eq!(delay(failures), Duration::from_millis(expected), "{failures}");
        }
    }

    #[test]
    fn failures_count_by_account_and_network() {
        let delays = LoginDelay::default();
        let mine = address("192.0.2.1");
        for _ in 0..5 {
            assert_eq!(delays.failed("a@example.com", mine, at(0)), Duration::ZERO);
        }
        assert_eq!(
            delays.failed(" A@Example.com ", mine, at(1)),
            Duration::from_millis(250)
        );
        let mapped = address("::ffff:192.0.2.1");
        assert_eq!(
            delays.failed("a@example.com", mapped, at(2)),
            Duration::from_millis(500)
        );
        assert_eq!(delays.failed("b@example.com", mine, at(3)), Duration::ZERO);
        assert_eq!(
            delays.failed("a@example.com", address("192.0.2.2"), at(3)),
            Duration::ZERO
        );
        delays.succeeded("a@example.com", mine);
        assert_eq!(delays.failed("a@example.com", mine, at(4)), Duration::ZERO);
    }

    #[test]
    fn an_ipv6_client_is_its_network_of_64_bits() {
        let delays = LoginDelay::default();
        for n in 0..5 {
            delays.failed("a", address(&format!("2001:db8::{n}")), at(0));
        }
        assert!(delays.failed("a", address("2001:db8::ffff"), at(0)) > Duration::ZERO);
        assert_eq!(
            delays.failed("a", address("2001:db8:0:1::1"), at(0)),
            Duration::ZERO
        );
    }

    #[test]
    fn guessing_from_many_places_is_slowed_down_later() {
        let delays = LoginDelay::default();
        let mut waits = (0..=255_u8).map(|n| delays.failed("a", address(&format!("192.0.2.{n}")), at(0)));
        assert!(waits.by_ref().take(59).all(|wait| wait == Duration::ZERO));
        assert_eq!(waits.next(), Some(Duration::from_millis(250)));
        assert_eq!(waits.last(), Some(DELAY_MAX));
    }

    #[test]
    fn failures_are_forgotten_after_a_while() {
        let delays = LoginDelay::default();
        let mine = address("192.0.2.1");
        for _ in 0..6 {
            delays.failed("a", mine, at(0));
        }
        assert!(
            delays.failed("a", mine, at(900)) > Duration::ZERO,
            "the last failure counts, not the first"
        );
        assert_eq!(delays.failed("a", mine, at(900 + 901)), Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let delays = LoginDelay::default();
        let count = || delays.failures.lock().unwrap().len();
        for n in 0..KEYS_MAX {
            delays.failed(
                &n.to_string(),
                address("192.0.2.1"),
                at(i64::try_from(n).unwrap() / 100),
            );
            assert!(count() <= KEYS_MAX);
        }
        assert!(count() > KEYS_MAX / 3);
        let last = (KEYS_MAX - 1).to_string();
        for _ in 0..4 {
            delays.failed(&last, address("192.0.2.1"), at(200));
        }
        assert!(delays.failed(&last, address("192.0.2.1"), at(200)) > Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded_when_all_fails_at_once() {
        let delays = LoginDelay::default();
        for n in 0..KEYS_MAX {
            delays.failed(&n.to_string(), address("192.0.2.1"), at(0));
        }
        let count = delays.failures.lock().unwrap().len();
        assert!(count <= KEYS_MAX && count > KEYS_MAX / 3, "{count}");
    }
}
