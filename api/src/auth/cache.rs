//! Credentials that were looked up a moment ago.
//!
//! 1. Only what exists is remembered, and for at most [`REMEMBERED_FOR`]: so long may a revoked key go on.
//! 2. What is remembered is the row, not the verdict: the secret is compared each time.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use moka::future::Cache;
use store::{Store, StoreError, StoredCredential};

use super::Principal;

/// How long a credential is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(1);

/// How many credentials are remembered at most.
const REMEMBERED_MAX: u64 = 10_000;

/// How exact the time of the last use is.
const TOUCH_EVERY: TimeDelta = TimeDelta::seconds(60);

/// A credential as the database has it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    stored: Arc<StoredCredential>,
    scopes: Arc<[String]>,
    is_touched: Arc<AtomicBool>,
    is_token: bool,
}

impl Known {
    fn of(stored: StoredCredential, is_token: bool) -> Self {
        Self {
            scopes: stored.scopes.as_slice().into(),
            stored: Arc::new(stored),
            is_touched: Arc::default(),
            is_token,
        }
    }

    /// The SHA-256 of the secret.
    pub(super) fn hash(&self) -> [u8; 32] {
        self.stored.hash
    }

    /// Whether whoever has the secret is let in.
    pub(super) fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.stored.is_valid_at(now)
    }

    /// Whether it works from the address `from`.
    pub(super) fn is_allowed_from(&self, from: IpAddr) -> bool {
        self.stored.is_allowed_from(from)
    }

    /// Who it proves to be asking.
    pub(super) fn principal(&self) -> Principal {
        Principal {
            user: self.stored.user_id,
            account: self.stored.account_id,
            credential: self.stored.credential_id,
            scopes: Arc::clone(&self.scopes),
            role: self.stored.role,
        }
    }

    /// Has it noted in the database that it was used, about once a minute. No request waits for that, or fails by it.
    pub(super) fn touch(&self, store: &Store, now: DateTime<Utc>) {
        let is_due = self
            .stored
            .last_used_at
            .is_none_or(|last| now - last > TOUCH_EVERY);
        if !is_due || self.is_touched.swap(true, Ordering::Relaxed) {
            return;
        }
        let (store, id, is_token) = (store.clone(), self.stored.credential_id, self.is_token);
        tokio::spawn(async move {
            let noted = if is_token {
                store.touch_oauth_grant(id, now).await
            } else {
                store.touch_credential(id, now).await
            };
            if let Err(error) = noted {
                tracing::warn!(%error, credential.id = %id, "its last use was not noted");
            }
        });
    }
}

/// See the module.
#[derive(Debug)]
pub struct CredentialCache {
    keys: Cache<String, Known>,
    tokens: Cache<[u8; 32], Known>,
}

impl Default for CredentialCache {
    fn default() -> Self {
        Self {
            keys: Cache::builder()
                .max_capacity(REMEMBERED_MAX)
                .time_to_live(REMEMBERED_FOR)
                .build(),
            tokens: Cache::builder()
                .max_capacity(REMEMBERED_MAX)
                .time_to_live(REMEMBERED_FOR)
                .build(),
        }
    }
}

impl CredentialCache {
    /// Has every credential looked up anew: one of them was revoked by this process.
    pub(crate) fn forget(&self) {
        self.keys.invalidate_all();
        self.tokens.invalidate_all();
    }

    /// The credential with this public part, valid or not.
    pub(super) async fn get(&self, store: &Store, key_id: &str) -> Result<Option<Known>, StoreError> {
        if let Some(known) = self.keys.get(key_id).await {
            return Ok(Some(known));
        }
        // Boxed: it is needed about once a second, and the future of every request would have room for it.
        let Some(stored) = Box::pin(store.find_credential(key_id)).await? else {
            return Ok(None);
        };
        let known = Known::of(stored, false);
        Box::pin(self.keys.insert(key_id.to_owned(), known.clone())).await;
        Ok(Some(known))
    }

    /// The credential that the access token with this SHA-256 is, valid or not.
    pub(super) async fn of_token(&self, store: &Store, hash: [u8; 32]) -> Result<Option<Known>, StoreError> {
        if let Some(known) = self.tokens.get(&hash).await {
            return Ok(Some(known));
        }
        let Some(stored) = Box::pin(store.find_access_token(hash)).await? else {
            return Ok(None);
        };
        let known = Known::of(stored, true);
        Box::pin(self.tokens.insert(hash, known.clone())).await;
        Ok(Some(known))
    }
}
