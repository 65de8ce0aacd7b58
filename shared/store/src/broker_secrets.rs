//! What broker connections log in with.
//!
//! [`BrokerSecrets`] is the one port: an adapter gets a secret by it, and whoever connects a broker puts one there. The
//! functions of [`Store`] below it know sealed secrets only.
//!
//! Invariants:
//!
//! 1. A secret is sealed before it comes near the database, for its connection alone.
//! 2. A rotation replaces what it has read, and only if it still stands: who puts a secret meanwhile wins.
//! 3. Each change of a secret is on record with it, both or neither; of a rotation, how many a batch has replaced.
//! 4. A rotation may end at any moment. What it has committed is sealed by the newest key, all else as it was.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::id::ConnectionId;
use platform::vault::{Sealed, VaultError};
use platform::{Clock, Vault};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryResult, SqlErr,
    Statement,
};
use secrecy::SecretString;
use thiserror::Error;
use uuid::Uuid;

use crate::acting::lock_actor;
use crate::entity::broker_secrets;
use crate::{AuditEvent, AuditKind, Store, StoreError};

/// How many secrets a rotation replaces in one transaction.
const ROTATION_BATCH: usize = 100;

/// How often a rotation looks again for what an older key sealed meanwhile, before it reports that.
const ROTATION_PASSES_MAX: usize = 5;

/// The secrets of all connections. Clones share the database and the keys.
#[derive(Debug, Clone)]
pub struct BrokerSecrets {
    store: Store,
    vault: Arc<Vault>,
}

/// Why a secret was not put or not found.
#[derive(Debug, Clone, Error)]
pub enum BrokerSecretsError {
    /// The database did not do its part.
    #[error("cannot reach the secret of connection {connection}")]
    Store {
        /// Whose secret it is.
        connection: ConnectionId,
        /// What went wrong.
        #[source]
        source: StoreError,
    },
    /// It is there, and the vault does not open it.
    #[error("cannot open the secret of connection {connection}")]
    Vault {
        /// Whose secret it is.
        connection: ConnectionId,
        /// Why not.
        #[source]
        source: VaultError,
    },
}

/// What a rotation has done, and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Secrets that the newest key had sealed before.
    pub already_current: u64,
    /// Secrets that were sealed anew.
    pub resealed: u64,
    /// Secrets that stay as they are, because they do not open.
    pub unopened: Vec<(ConnectionId, VaultError)>,
    /// Whether an older key went on sealing until the rotation gave up: a process still has it in the first place.
    pub is_outpaced: bool,
}

impl Rotation {
    /// Whether the newest key seals everything.
    pub fn is_complete(&self) -> bool {
        self.unopened.is_empty() && !self.is_outpaced
    }
}

impl BrokerSecrets {
    /// The secrets that `store` keeps and `vault` opens.
    pub fn new(store: Store, vault: Vault) -> Self {
        Self {
            store,
            vault: Arc::new(vault),
        }
    }

    /// Keeps `secret` for `connection`, in place of the one before, and puts `event` on record.
    ///
    /// The store answers [`StoreError::NotFound`] when there is no such connection, and [`StoreError::Ended`] when whoever
    /// does it, by the event, may no more.
    pub async fn put(
        &self,
        connection: ConnectionId,
        secret: &SecretString,
        event: &AuditEvent,
    ) -> Result<(), BrokerSecretsError> {
        let sealed = self.vault.seal(connection.0, secret);
        let put = self.store.put_broker_secret(connection, &sealed, event).await;
        put.map_err(|source| BrokerSecretsError::Store { connection, source })
    }

    /// The secret of `connection`, if it has one.
    pub async fn get(&self, connection: ConnectionId) -> Result<Option<SecretString>, BrokerSecretsError> {
        let found = self.store.broker_secret(connection).await;
        let sealed = found.map_err(|source| BrokerSecretsError::Store { connection, source })?;
        let opened = sealed.map(|sealed| self.vault.open(connection.0, &sealed));
        opened
            .transpose()
            .map_err(|source| BrokerSecretsError::Vault { connection, source })
    }

    /// Forgets the secret of `connection`; answers whether there was one. If so, it puts `event` on record.
    ///
    /// The store answers [`StoreError::Ended`] when whoever does it, by the event, may no more.
    pub async fn delete(
        &self,
        connection: ConnectionId,
        event: &AuditEvent,
    ) -> Result<bool, BrokerSecretsError> {
        let deleted = self.store.delete_broker_secret(connection, event).await;
        deleted.map_err(|source| BrokerSecretsError::Store { connection, source })
    }

    /// Seals by the newest key what another one has sealed. It may run beside everything else, and again after it was
    /// ended: what is done stays done.
    pub async fn rotate(&self, clock: &dyn Clock) -> Result<Rotation, StoreError> {
        let newest = self.vault.key_fingerprint();
        let mut rotation = Rotation {
            already_current: self.store.count_broker_secrets_sealed_by(newest).await?,
            ..Rotation::default()
        };
        // A process whose newest key is an older one may seal behind the place that a pass has reached.
        for _ in 0..ROTATION_PASSES_MAX {
            let mut found = 0;
            rotation.unopened.clear();
            let mut after = None;
            loop {
                let batch = self.others_after(after.as_ref()).await?;
                let Some(last) = batch.last() else {
                    break;
                };
                after = Some(last.clone());
                found += batch.len();
                rotation.resealed += self.reseal(&batch, clock.now(), &mut rotation.unopened).await?;
            }
            if found == rotation.unopened.len() {
                return Ok(rotation);
            }
        }
        rotation.is_outpaced = true;
        Ok(rotation)
    }

    async fn others_after(&self, after: Option<&KeptSecret>) -> Result<Vec<KeptSecret>, StoreError> {
        let newest = self.vault.key_fingerprint();
        self.store
            .broker_secrets_sealed_by_another(newest, after, ROTATION_BATCH)
            .await
    }

    /// Seals a batch anew; answers how many of it still stood as they had been read.
    async fn reseal(
        &self,
        batch: &[KeptSecret],
        now: DateTime<Utc>,
        unopened: &mut Vec<(ConnectionId, VaultError)>,
    ) -> Result<u64, StoreError> {
        let mut resealed = Vec::with_capacity(batch.len());
        for kept in batch {
            match self.vault.open(kept.connection.0, &kept.sealed) {
                Ok(secret) => resealed.push(Resealed {
                    connection: kept.connection,
                    before: kept.sealed.clone(),
                    after: self.vault.seal(kept.connection.0, &secret),
                }),
                Err(error) => unopened.push((kept.connection, error)),
            }
        }
        self.store.replace_broker_secrets(&resealed, now).await
    }
}

/// A sealed secret and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSecret {
    /// The connection.
    pub connection: ConnectionId,
    /// Its secret.
    pub sealed: Sealed,
}

/// A secret that another key has sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// Whose it is.
    pub connection: ConnectionId,
    /// What was read.
    pub before: Sealed,
    /// What is to stand in its place.
    pub after: Sealed,
}

/// What others than `$1` have sealed: those below it in the index behind `($2, $3)`, and those behind `($4, $5)`, where
/// those above it begin. What `$1` has sealed stands between the two and is not walked through, however much it is.
const SEALED_BY_ANOTHER: &str = "
SELECT connection_id, sealed, key_fingerprint FROM (
    SELECT * FROM (
        SELECT connection_id, sealed, key_fingerprint FROM broker_secrets
        WHERE key_fingerprint < $1 AND (key_fingerprint, connection_id) > ($2, $3)
        ORDER BY key_fingerprint, connection_id LIMIT $6
    ) AS lower
    UNION ALL
    SELECT * FROM (
        SELECT connection_id, sealed, key_fingerprint FROM broker_secrets
        WHERE (key_fingerprint, connection_id) > ($4, $5)
        ORDER BY key_fingerprint, connection_id LIMIT $6
    ) AS higher
) AS others
ORDER BY key_fingerprint, connection_id LIMIT $6";

impl Store {
    /// Keeps a sealed secret for `connection`, in place of the one before, and puts `event` on record.
    ///
    /// Fails with [`StoreError::NotFound`] when there is no such connection, and with [`StoreError::Ended`] when whoever does
    /// it, by the event, may no more.
    pub async fn put_broker_secret(
        &self,
        connection: ConnectionId,
        sealed: &Sealed,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let row = broker_secrets::ActiveModel {
            connection_id: ActiveValue::Set(connection.0),
            sealed: ActiveValue::Set(sealed.token().to_owned()),
            key_fingerprint: ActiveValue::Set(sealed.key_fingerprint().to_owned()),
            updated_at: ActiveValue::Set(event.at),
        };
        let replaced = [
            broker_secrets::Column::Sealed,
            broker_secrets::Column::KeyFingerprint,
            broker_secrets::Column::UpdatedAt,
        ];
        let on_conflict = OnConflict::column(broker_secrets::Column::ConnectionId)
            .update_columns(replaced)
            .to_owned();
        self.transaction("put_broker_secret", async |tx| {
            lock_actor(&tx, event).await?;
            let put = broker_secrets::Entity::insert(row.clone()).on_conflict(on_conflict.clone());
            let put = put.exec_without_returning(&*tx).await;
            put.map_err(|error| match error.sql_err() {
                Some(SqlErr::ForeignKeyConstraintViolation(_)) => StoreError::NotFound {
                    table: "broker_connections",
                },
                _ => error.into(),
            })?;
            self.audit_within(&tx, &changed(connection, "stored", event))
                .await?;
            Ok(())
        })
        .await
    }

    /// The sealed secret of `connection`, if it has one.
    pub async fn broker_secret(&self, connection: ConnectionId) -> Result<Option<Sealed>, StoreError> {
        let row = broker_secrets::Entity::find_by_id(connection.0)
            .one(self.read())
            .await?;
        Ok(row.map(|row| Sealed::from_kept(row.sealed, row.key_fingerprint)))
    }

    /// Forgets the secret of `connection`; answers whether there was one.
    pub async fn delete_broker_secret(
        &self,
        connection: ConnectionId,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        self.transaction("delete_broker_secret", async |tx| {
            lock_actor(&tx, event).await?;
            let deleted = broker_secrets::Entity::delete_by_id(connection.0)
                .exec(&*tx)
                .await?;
            let has_deleted = deleted.rows_affected > 0;
            if has_deleted {
                self.audit_within(&tx, &changed(connection, "removed", event))
                    .await?;
            }
            Ok(has_deleted)
        })
        .await
    }

    /// How many secrets the key with this fingerprint has sealed.
    pub async fn count_broker_secrets_sealed_by(&self, fingerprint: &str) -> Result<u64, StoreError> {
        Ok(broker_secrets::Entity::find()
            .filter(broker_secrets::Column::KeyFingerprint.eq(fingerprint))
            .count(self.read())
            .await?)
    }

    /// Secrets that other keys than the one with this fingerprint have sealed: at most `limit`, in an order of their own,
    /// those behind `after`.
    pub async fn broker_secrets_sealed_by_another(
        &self,
        fingerprint: &str,
        after: Option<&KeptSecret>,
        limit: usize,
    ) -> Result<Vec<KeptSecret>, StoreError> {
        let lower = after.map_or(("", Uuid::nil()), |kept| {
            (kept.sealed.key_fingerprint(), kept.connection.0)
        });
        // Fingerprints are hexadecimal digits, which every collation puts into the same order.
        let higher = lower.max((fingerprint, Uuid::max()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [
            fingerprint.into(),
            lower.0.into(),
            lower.1.into(),
            higher.0.into(),
            higher.1.into(),
            limit.into(),
        ];
        let statement = Statement::from_sql_and_values(self.backend(), SEALED_BY_ANOTHER, values);
        let rows = self.read().query_all_raw(statement).await?;
        rows.iter().map(KeptSecret::of).collect()
    }

    /// Replaces, all in one transaction, the secrets that still stand as they were read; answers how many did.
    pub async fn replace_broker_secrets(
        &self,
        resealed: &[Resealed],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        if resealed.is_empty() {
            return Ok(0);
        }
        self.transaction("replace_broker_secrets", async |tx| {
            let mut replaced = 0;
            for Resealed {
                connection,
                before,
                after,
            } in resealed
            {
                let result = broker_secrets::Entity::update_many()
                    .col_expr(broker_secrets::Column::Sealed, Expr::value(after.token()))
                    .col_expr(
                        broker_secrets::Column::KeyFingerprint,
                        Expr::value(after.key_fingerprint()),
                    )
                    .col_expr(broker_secrets::Column::UpdatedAt, Expr::value(now))
                    .filter(broker_secrets::Column::ConnectionId.eq(connection.0))
                    .filter(broker_secrets::Column::Sealed.eq(before.token()))
                    .exec(&*tx)
                    .await?;
                replaced += result.rows_affected;
            }
            if replaced > 0 {
                let event = AuditEvent {
                    data: serde_json::json!({ "secrets": replaced }),
                    ..AuditEvent::new(AuditKind::KeysRotated, now)
                };
                self.audit_within(&tx, &event).await?;
            }
            Ok(replaced)
        })
        .await
    }
}

/// What is put on record of a change to the secret of `connection`.
fn changed(connection: ConnectionId, what: &str, event: &AuditEvent) -> AuditEvent {
    AuditEvent {
        kind: AuditKind::BrokerSecretChanged,
        subject: Some(connection.to_string()),
        data: serde_json::json!({ "change": what }),
        ..event.clone()
    }
}

impl KeptSecret {
    fn of(row: &QueryResult) -> Result<Self, StoreError> {
        Ok(Self {
            connection: ConnectionId(row.try_get("", "connection_id")?),
            sealed: Sealed::from_kept(row.try_get("", "sealed")?, row.try_get("", "key_fingerprint")?),
        })
    }
}
