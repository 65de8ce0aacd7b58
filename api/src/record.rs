//! What is written into the audit log about a request: who, from where, to what.

use chrono::{DateTime, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use poem::{FromRequest, Request, RequestBody};
use serde_json::{Map, Value};
use store::audit_log::{AuditEvent, AuditKind};

use crate::auth::Principal;
use crate::middleware::{ClientAddress, RequestContext};

/// The circumstances of a request, as the audit log keeps them.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    client: ClientAddress,
    context: RequestContext,
    user: Option<UserId>,
    credential: Option<CredentialId>,
    account: Option<AccountId>,
    subject: Option<String>,
    data: Map<String, Value>,
}

impl<'a> FromRequest<'a> for Record {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let client = ClientAddress::from_request(request, body).await?;
        let context = RequestContext::from_request(request, body).await?;
        let record = Self::of(client, context);
        let principal = request.data::<Principal>();
        Ok(principal.map_or_else(|| record.clone(), |principal| record.of_principal(principal)))
    }
}

impl Record {
    /// A request of nobody that is known.
    pub(crate) fn of(client: ClientAddress, context: RequestContext) -> Self {
        Self {
            client,
            context,
            user: None,
            credential: None,
            account: None,
            subject: None,
            data: Map::new(),
        }
    }

    /// The same, of this principal on its account.
    pub(crate) fn of_principal(&self, principal: &Principal) -> Self {
        Self {
            user: Some(principal.user),
            credential: Some(principal.credential),
            account: Some(principal.account),
            ..self.clone()
        }
    }

    /// Where the request came from.
    pub(crate) const fn client(&self) -> ClientAddress {
        self.client
    }

    /// What is known of the request.
    pub(crate) const fn context(&self) -> &RequestContext {
        &self.context
    }

    /// The same, of this user.
    pub(crate) fn of_user(&self, user: UserId) -> Self {
        Self {
            user: Some(user),
            ..self.clone()
        }
    }

    /// The same, about this account.
    pub(crate) fn at_account(&self, account: AccountId) -> Self {
        Self {
            account: Some(account),
            ..self.clone()
        }
    }

    /// The same, about no account: what administrators do concerns others than their own.
    pub(crate) fn off_account(&self) -> Self {
        Self {
            account: None,
            ..self.clone()
        }
    }

    /// The same, done to `subject`: an id, or an address.
    pub(crate) fn about(&self, subject: &(impl ToString + ?Sized)) -> Self {
        Self {
            subject: Some(subject.to_string()),
            ..self.clone()
        }
    }

    /// The same, with one thing more that is worth knowing. Never a secret.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut more = self.clone();
        more.data.insert(name.to_owned(), value.into());
        more
    }

    /// The entry, of something that happened at `at`.
    pub(crate) fn event(&self, kind: AuditKind, at: DateTime<Utc>) -> AuditEvent {
        AuditEvent {
            at,
            kind,
            user_id: self.user,
            credential_id: self.credential,
            account_id: self.account,
            subject: self.subject.clone(),
            ip: Some(self.client.ip),
            request_id: Some(self.context.id().to_owned()),
            data: Value::Object(self.data.clone()),
        }
    }
}
