//! How many requests each caller has: the policy limits, which all processes share.

use chrono::{DateTime, Utc};
use domain::id::CredentialId;
use platform::rate_limit::{Check, Policies, RateLimiter, Verdict};
use poem::Request;

use super::rules::Class;
use crate::limits;
use crate::middleware::{RequestContext, client_of};
use crate::problem::Problem;

/// Counts requests against the limits of their class.
pub(crate) struct Budgets {
    limiter: RateLimiter,
    policies: Policies,
}

impl Budgets {
    /// The budgets that `policies` give, as `limiter` counts them.
    pub(crate) const fn new(limiter: RateLimiter, policies: Policies) -> Self {
        Self { limiter, policies }
    }

    /// Counts a request of `class`, of the holder of `credential` or else of the address. Its answer will tell what is left.
    pub(crate) async fn count(
        &self,
        request: &Request,
        class: Class,
        credential: Option<CredentialId>,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let address = client_of(request).rate_key.to_string();
        let checks = match (class, credential) {
            (Class::Unlimited, _) => return Ok(()),
            (Class::Ordinary, Some(credential)) => self.policies.credential(&credential.to_string()),
            (Class::Ordinary, None) => self.policies.anonymous(&address),
            (Class::Login, _) => self.policies.login_from(&address),
            (Class::Registration, _) => self.policies.registration(&address),
            (Class::Token, _) => self.policies.token_from(&address),
        };
        let verdict = self.limiter.check(&checks).await;
        decide(request.data::<RequestContext>(), verdict, now)
    }

    /// Counts an attempt to prove by a password who one is: of a browser that is known, else to an account, whether or not
    /// there is one.
    pub(crate) async fn count_login(
        &self,
        context: &RequestContext,
        attempt: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        self.count_further(context, self.policies.login_to(attempt), now)
            .await
    }

    /// Counts a request of the OAuth client `client_id`.
    pub(crate) async fn count_client(
        &self,
        context: &RequestContext,
        client_id: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        self.count_further(context, self.policies.token_of(client_id), now)
            .await
    }

    async fn count_further(
        &self,
        context: &RequestContext,
        checks: Vec<Check>,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        decide(Some(context), self.limiter.check(&checks).await, now)
    }
}

fn decide(context: Option<&RequestContext>, verdict: Verdict, now: DateTime<Utc>) -> Result<(), Problem> {
    let refusal = (!verdict.is_allowed).then(|| limits::refusal(&verdict));
    if let Some(context) = context {
        context.record_limits(verdict, now);
    }
    refusal.map_or(Ok(()), Err)
}

impl std::fmt::Debug for Budgets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budgets").finish_non_exhaustive()
    }
}
