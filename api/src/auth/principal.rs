//! The one who is asking.

use std::sync::Arc;

use domain::id::{AccountId, CredentialId, UserId};
use poem::{FromRequest, Request, RequestBody};
use store::{Cause, Role};

use crate::access::Scope;
use crate::middleware::RequestContext;
use crate::problem::{Code, Problem};

/// The ids of a principal, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrincipalIds {
    /// The user.
    pub user: UserId,
    /// The account that the credential belongs to.
    pub account: AccountId,
    /// The credential.
    pub credential: CredentialId,
}

/// Who is asking, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose limits count.
    pub user: UserId,
    /// Whose orders, positions and money are meant.
    pub account: AccountId,
    /// How they proved who they are.
    pub credential: CredentialId,
    /// What the credential may do.
    pub scopes: Arc<[String]>,
    /// The user's role.
    pub role: Role,
}

impl Principal {
    /// The ids, for the log.
    pub const fn ids(&self) -> PrincipalIds {
        PrincipalIds {
            user: self.user,
            account: self.account,
            credential: self.credential,
        }
    }

    /// Refuses what needs a scope that the credential lacks.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.iter().any(|own| own == scope.as_str()) {
            return Ok(());
        }
        let detail = format!("the credential lacks the scope {scope}");
        Err(Problem::new(Code::InsufficientScope, detail).with("scope", scope.as_str()))
    }

    /// Refuses to pass on what this one could not use itself. Reading is implied, so everybody may pass it on.
    pub fn require_all(&self, scopes: &[Scope]) -> Result<(), Problem> {
        let mut given = scopes.iter().filter(|scope| **scope != Scope::Data);
        given.try_for_each(|scope| self.require(*scope))
    }

    /// Why something happens at this principal's request.
    pub fn cause(&self, context: &RequestContext) -> Cause {
        Cause::Request {
            request_id: context.id().to_owned(),
            credential_id: Some(self.credential),
        }
    }
}

#[cfg(test)]
impl Principal {
    /// One who may trade.
    pub(crate) fn example() -> Self {
        use uuid::Uuid;
        Self {
            user: UserId(Uuid::from_u128(1)),
            account: AccountId(Uuid::from_u128(2)),
            credential: CredentialId(Uuid::from_u128(3)),
            scopes: ["trading".into()].into(),
            role: Role::Standard,
        }
    }
}

impl<'a> FromRequest<'a> for Principal {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let principal = request.data::<Self>().cloned();
        // The gate lets nobody else pass where the rule asks for a credential.
        Ok(principal.ok_or_else(|| Problem::hidden(Code::InternalError, "the route has no principal"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_scope_is_named() {
        let principal = Principal {
            scopes: ["data".into()].into(),
            ..Principal::example()
        };
        assert!(principal.require(Scope::Data).is_ok());
        let problem = principal.require(Scope::Trading).unwrap_err();
        assert_eq!(problem.code(), Code::InsufficientScope);
        assert_eq!(problem.body("/", "id")["scope"], "trading");
    }
}
