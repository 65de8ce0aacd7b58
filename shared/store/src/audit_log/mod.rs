//! The audit log: who did what that concerns security, from where; and the seals of the logs.
//!
//! Reading order: [`kind`] (what there is to record), this file (recording it), `words` (what text may hold), [`page`]
//! (reading it), [`seal`] (making sure that nobody rewrites it).
//!
//! 1. With [`Store::audit_within`] an event is recorded in the transaction of what it tells of: both happen or neither.
//!    [`Store::audit`] records by itself what changes nothing else (a failed login), or has happened already.
//! 2. Rows are added, never changed, never deleted; numbers within a chain have no gaps.
//! 3. The row of the chain is locked until the transaction ends. It is the last lock that a transaction takes: record when
//!    everything else is done.
//! 4. No text of an event can break a line or hide a part of it, and none is longer than [`TEXT_MAX`].

pub mod kind;
pub mod page;
mod row;
pub mod seal;
mod words;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use platform::clock::to_microseconds;
use sea_orm::{ActiveValue, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, Statement};
use serde_json::Value as Json;
use uuid::Uuid;

pub use self::kind::AuditKind;
pub use self::page::{AuditCursor, AuditFilter, AuditPage};
pub use self::seal::{Anchor, Gap, Sealed, Sealer, Source};
pub use self::words::{DATA_MAX, TEXT_MAX};
use crate::entity::audit_events;
use crate::{Store, StoreError};

/// The chain of what concerns no account and no known user.
pub const INSTALLATION: Uuid = Uuid::nil();

/// Something that concerns security.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// What happened.
    pub kind: AuditKind,
    /// Who did it; nobody knows at a failed login.
    pub user_id: Option<UserId>,
    /// With which credential or session.
    pub credential_id: Option<CredentialId>,
    /// On which account.
    pub account_id: Option<AccountId>,
    /// What it was done to: an id or an e-mail.
    pub subject: Option<String>,
    /// From where.
    pub ip: Option<IpAddr>,
    /// By which request.
    pub request_id: Option<String>,
    /// What else there is to know; never a secret.
    pub data: Json,
}

impl AuditEvent {
    /// An event that nothing else is known of yet.
    pub fn new(kind: AuditKind, at: DateTime<Utc>) -> Self {
        Self {
            at,
            kind,
            user_id: None,
            credential_id: None,
            account_id: None,
            subject: None,
            ip: None,
            request_id: None,
            data: Json::Object(serde_json::Map::new()),
        }
    }

    /// The chain that it belongs to: of its account; else of its user; else of the installation.
    pub fn chain_id(&self) -> Uuid {
        let account = self.account_id.map(|account| account.0);
        account
            .or(self.user_id.map(|user| user.0))
            .unwrap_or(INSTALLATION)
    }
}

const NEXT: &str = "
INSERT INTO audit_chains AS chain (chain_id, last_seq) VALUES ($1, 1)
ON CONFLICT (chain_id) DO UPDATE SET last_seq = chain.last_seq + 1
RETURNING last_seq";

impl Store {
    /// Records `event` by itself: of what changes nothing else, or has happened already. Answers its number within its chain.
    pub async fn audit(&self, event: &AuditEvent) -> Result<i64, StoreError> {
        self.transaction("audit", async |tx| self.audit_within(&tx, event).await)
            .await
    }

    /// Records `event` together with what `transaction` does; the last thing that it does. Answers its number within its
    /// chain.
    pub async fn audit_within(
        &self,
        transaction: &DatabaseTransaction,
        event: &AuditEvent,
    ) -> Result<i64, StoreError> {
        let chain_id = event.chain_id();
        let backend = transaction.get_database_backend();
        let next = Statement::from_sql_and_values(backend, NEXT, [chain_id.into()]);
        let row = transaction.query_one_raw(next).await?;
        let row = row.ok_or(StoreError::Inconsistent {
            table: "audit_chains",
            id: chain_id.to_string(),
        })?;
        let seq = row.try_get("", "last_seq")?;
        let model = audit_events::ActiveModel {
            chain_id: ActiveValue::Set(chain_id),
            seq: ActiveValue::Set(seq),
            at: ActiveValue::Set(to_microseconds(event.at)),
            kind: ActiveValue::Set(event.kind.as_str().to_owned()),
            user_id: ActiveValue::Set(event.user_id.map(|user| user.0)),
            credential_id: ActiveValue::Set(event.credential_id.map(|credential| credential.0)),
            account_id: ActiveValue::Set(event.account_id.map(|account| account.0)),
            subject: ActiveValue::Set(event.subject.as_deref().map(words::bounded)),
            ip: ActiveValue::Set(event.ip.map(|ip| ip.to_canonical().to_string())),
            request_id: ActiveValue::Set(event.request_id.as_deref().map(words::bounded)),
            data: ActiveValue::Set(words::bounded_data(&event.data)),
        };
        audit_events::Entity::insert(model)
            .exec_without_returning(transaction)
            .await?;
        Ok(seq)
    }
}
