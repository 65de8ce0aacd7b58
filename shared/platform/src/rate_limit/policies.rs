//! The classes of requests that are limited, and the checks of each.

use std::time::Duration;

use super::{Check, Policy};
use crate::config::RateLimits;
use crate::email;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The limits of `RATE_LIMIT_*`, by class. An `address` is the form that requests are counted by: an IPv6 client has a
/// whole network of addresses.
#[derive(Debug, Clone, Copy)]
pub struct Policies {
    limits: RateLimits,
}

impl Policies {
    /// The policies that `limits` set.
    pub const fn of(limits: RateLimits) -> Policies {
        Policies { limits }
    }

    /// A request without a credential.
    pub fn anonymous(&self, address: &str) -> Vec<Check> {
        let (hour, day) = (self.limits.anonymous_per_hour, self.limits.anonymous_per_day);
        vec![
            check("anonymous-hour", hour, HOUR, address),
            check("anonymous-day", day, DAY, address),
        ]
    }

    /// A login from `address`.
    pub fn login_from(&self, address: &str) -> Vec<Check> {
        vec![check(
            "login-address",
            self.limits.login_per_minute,
            MINUTE,
            address,
        )]
    }

    /// A login to the account of `email`, whether or not the e-mail is known: an unknown one is counted like any other, so
    /// that the answers tell nothing. Case does not matter.
    pub fn login_to(&self, email: &str) -> Vec<Check> {
        let account = email::normal(email);
        vec![check(
            "login-account",
            self.limits.login_per_minute,
            MINUTE,
            &account,
        )]
    }

    /// A registration.
    pub fn registration(&self, address: &str) -> Vec<Check> {
        vec![check(
            "registration",
            self.limits.registration_per_hour,
            HOUR,
            address,
        )]
    }

    /// A request to the OAuth token, revocation or introspection endpoint from `address`.
    pub fn token_from(&self, address: &str) -> Vec<Check> {
        vec![check(
            "token-address",
            self.limits.token_per_minute,
            MINUTE,
            address,
        )]
    }

    /// The same, of the client id that it names.
    pub fn token_of(&self, client: &str) -> Vec<Check> {
        vec![check(
            "token-client",
            self.limits.token_per_minute,
            MINUTE,
            client,
        )]
    }

    /// A request with the key, token or session `credential`.
    pub fn credential(&self, credential: &str) -> Vec<Check> {
        let limit = self.limits.credential_per_minute;
        vec![check("credential", limit, MINUTE, credential)]
    }
}

fn check(name: &'static str, limit: u64, window: Duration, key: &str) -> Check {
    Check::new(Policy { name, limit, window }, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_limits_and_its_keys() {
        let policies = Policies::of(RateLimits {
            anonymous_per_hour: 1,
            anonymous_per_day: 2,
            login_per_minute: 3,
            registration_per_hour: 4,
            token_per_minute: 5,
            credential_per_minute: 6,
            burst_per_second: 7,
        });
        let told = |checks: Vec<Check>| -> Vec<String> {
            checks
                .iter()
                .map(|check| {
                    let Policy { name, limit, window } = check.policy;
                    format!("{name} {limit}/{}s {}", window.as_secs(), check.key)
                })
                .collect()
        };
        assert_eq!(
            told(policies.anonymous("ip")),
            ["anonymous-hour 1/3600s ip", "anonymous-day 2/86400s ip"]
        );
        assert_eq!(
            told([policies.login_from("ip"), policies.login_to(" Ada@Example.org ")].concat()),
            ["login-address 3/60s ip", "login-account 3/60s ada@example.org"]
        );
        assert_eq!(told(policies.registration("ip")), ["registration 4/3600s ip"]);
        assert_eq!(told(policies.token_from("ip")), ["token-address 5/60s ip"]);
        assert_eq!(
            told([policies.token_from("ip"), policies.token_of("bot")].concat()),
            ["token-address 5/60s ip", "token-client 5/60s bot"]
        );
        assert_eq!(told(policies.credential("id")), ["credential 6/60s id"]);
    }

    #[test]
    fn a_counter_has_a_bounded_name_that_does_not_show_the_key() {
        let policies = Policies::of(crate::Config::from_lookup(|_| None).unwrap().access.rate_limits);
        let secret = "ada@example.org".repeat(10_000);
        for check in policies.login_to(&secret) {
            let counter = check.counter();
            assert!(counter.len() < 64, "{counter}");
            assert!(!counter.contains("ada") && !counter.contains("192"), "{counter}");
        }
    }
}
