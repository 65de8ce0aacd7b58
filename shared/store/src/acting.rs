//! Whether whoever asks for a change that lasts still may, at the moment at which it is committed.
//!
//! A process remembers for up to a second whom it has let in. What is only read then is read a second too late; what is
//! made, a key or a user, would outlive the credential that was taken back. So these changes look again, in their own
//! transaction: the actor is the user and the credential of the audit event that is recorded with the change.

use domain::id::{CredentialId, UserId};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter};

use crate::entity::{credentials, oauth_grants, sessions};
use crate::users::lock_user;
use crate::{AuditEvent, StoreError};

/// Locks the user who does what `event` tells of, where it names one with a credential; whoever acts without one is the
/// operator, or nobody yet.
///
/// Fails with [`StoreError::Ended`] when the user was deactivated, or the credential taken back.
pub(crate) async fn lock_actor(tx: &DatabaseTransaction, event: &AuditEvent) -> Result<(), StoreError> {
    let (Some(user), Some(credential)) = (event.user_id, event.credential_id) else {
        return Ok(());
    };
    let is_active = lock_user(tx, user).await?.is_active;
    require_standing(tx, is_active, user, credential).await
}

/// As [`lock_actor`], where the caller holds the user's row, which says whether the user `is_active`.
pub(crate) async fn require_standing(
    tx: &DatabaseTransaction,
    is_active: bool,
    user: UserId,
    credential: CredentialId,
) -> Result<(), StoreError> {
    if is_active && stands(tx, user, credential).await? {
        Ok(())
    } else {
        Err(StoreError::Ended)
    }
}

/// A credential is a session, a key, or what an app was given.
async fn stands(
    tx: &DatabaseTransaction,
    user: UserId,
    credential: CredentialId,
) -> Result<bool, StoreError> {
    let session = sessions::Entity::find_by_id(credential.0)
        .filter(sessions::Column::UserId.eq(user.0))
        .filter(sessions::Column::EndedAt.is_null());
    let key = credentials::Entity::find_by_id(credential.0)
        .filter(credentials::Column::UserId.eq(user.0))
        .filter(credentials::Column::RevokedAt.is_null());
    let grant = oauth_grants::Entity::find_by_id(credential.0)
        .filter(oauth_grants::Column::UserId.eq(user.0))
        .filter(oauth_grants::Column::RevokedAt.is_null());
    Ok(session.count(tx).await? + key.count(tx).await? + grant.count(tx).await? > 0)
}
