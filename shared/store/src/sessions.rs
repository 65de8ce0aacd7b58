//! Sessions: how a person's browser proves who is asking.
//!
//! 1. Of the cookie's secret only its SHA-256 is kept.
//! 2. A session is never revived, and its secret never changes: what is renewed is another session in its place, so an
//!    id that someone has planted or seen before a login is worth nothing after it.
//! 3. A session is begun only on a password that is still the user's: whoever logs in while it is being changed does not
//!    slip in behind the change, which ends all other sessions.
//! 4. Whoever begins or renews a session, or ends all of a user, holds the user's row: otherwise a session that is being
//!    renewed could outlive the end of all.

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, UserId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, FromQueryResult,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Statement,
};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::entity::sessions;
use crate::users::{Role, lock_user, role_of};
use crate::{Store, StoreError};

/// How exact `last_seen_at` is: a session that is used each millisecond is written once in this time.
const TOUCH_EVERY: TimeDelta = TimeDelta::seconds(60);

/// Sessions that are listed at most, and removed at once.
pub const SESSIONS_MAX: u64 = 200;

/// How much of a program's own words is kept.
const USER_AGENT_CHARS_MAX: usize = 256;

/// A session that is to begin.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Whose it is.
    pub user: UserId,
    /// The hash of the password that was found right; none, where the person was let in by something else.
    pub password_hash: Option<SecretString>,
    /// The SHA-256 of the cookie's secret.
    pub hash: [u8; 32],
    /// The client's address.
    pub ip: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// The time of the login.
    pub now: DateTime<Utc>,
    /// From when on it is refused, however much it is used.
    pub expires_at: DateTime<Utc>,
}

/// What takes the place of a session.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    /// The SHA-256 of the new cookie's secret.
    pub hash: [u8; 32],
    /// Whether the person has just given the password.
    pub is_authenticated: bool,
    /// The time of the renewal.
    pub now: DateTime<Utc>,
    /// From when on the new session is refused; none: when the old one would have been.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A session as the database has it, with what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// Its id.
    pub session_id: Uuid,
    /// Whose it is.
    pub user_id: UserId,
    /// The user's email.
    pub email: String,
    /// The user's role.
    pub role: Role,
    /// Whether the user may log in.
    pub user_is_active: bool,
    /// The user's oldest account, which is meant where a request names none; an admin may have made a user without any.
    pub account_id: Option<AccountId>,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When the person last gave the password.
    pub authenticated_at: DateTime<Utc>,
    /// When it was last used, to about a minute.
    pub last_seen_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: DateTime<Utc>,
    /// When it was ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl StoredSession {
    /// Whether whoever has the secret is let in at `now`, where a session may rest for at most `idle`.
    ///
    /// A session is noted as used once a minute, so `idle` is kept to about a minute, too.
    pub fn is_valid_at(&self, now: DateTime<Utc>, idle: TimeDelta) -> bool {
        self.user_is_active
            && self.ended_at.is_none()
            && now < self.expires_at
            && now.signed_duration_since(self.last_seen_at) < idle
    }

    fn of(row: SessionRow) -> Result<Self, StoreError> {
        Ok(Self {
            session_id: row.id,
            user_id: UserId(row.user_id),
            role: role_of(&row.role, row.user_id)?,
            email: row.email,
            user_is_active: row.is_active,
            account_id: row.account_id.map(AccountId),
            created_at: row.created_at,
            authenticated_at: row.authenticated_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
        })
    }
}

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Its id.
    pub id: Uuid,
    /// From where it was begun.
    pub ip: String,
    /// The program that began it, in its own words.
    pub user_agent: String,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When the person last gave the password.
    pub authenticated_at: DateTime<Utc>,
    /// When it was last used, to about a minute.
    pub last_seen_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: DateTime<Utc>,
}

#[derive(Debug, FromQueryResult)]
struct SessionRow {
    id: Uuid,
    user_id: Uuid,
    email: String,
    role: String,
    is_active: bool,
    account_id: Option<Uuid>,
    created_at: DateTime<Utc>,
    authenticated_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

const FIND: &str = "
SELECT s.id, s.user_id, u.email, u.role, u.is_active,
       (SELECT a.id FROM accounts a WHERE a.user_id = s.user_id ORDER BY a.created_at, a.id LIMIT 1) AS account_id,
       s.created_at, s.authenticated_at, s.last_seen_at, s.expires_at, s.ended_at
FROM sessions s
JOIN users u ON u.id = s.user_id
WHERE s.hash = $1";

impl Store {
    /// Begins a session and answers its id.
    ///
    /// Fails with [`StoreError::Stale`] when the user was deactivated, or given another password, since it was looked at.
    pub async fn create_session(&self, new: &NewSession) -> Result<Uuid, StoreError> {
        self.transaction("create_session", async |tx| {
            let user = lock_user(&tx, new.user).await?;
            let verified = new.password_hash.as_ref().map(ExposeSecret::expose_secret);
            if !user.is_active || (verified.is_some() && verified != user.password_hash.as_deref()) {
                return Err(StoreError::Stale { what: "the user" });
            }
            let row = sessions::ActiveModel {
                id: ActiveValue::Set(Uuid::now_v7()),
                user_id: ActiveValue::Set(new.user.0),
                hash: ActiveValue::Set(new.hash.to_vec()),
                ip: ActiveValue::Set(new.ip.clone()),
                user_agent: ActiveValue::Set(new.user_agent.chars().take(USER_AGENT_CHARS_MAX).collect()),
                created_at: ActiveValue::Set(new.now),
                authenticated_at: ActiveValue::Set(new.now),
                last_seen_at: ActiveValue::Set(new.now),
                expires_at: ActiveValue::Set(new.expires_at),
                ended_at: ActiveValue::Set(None),
            };
            Ok(row.insert(&*tx).await?.id)
        })
        .await
    }

    /// The session with this hash of its secret, valid or not, by one query.
    pub async fn find_session(&self, hash: &[u8; 32]) -> Result<Option<StoredSession>, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend(), FIND, [hash.to_vec().into()]);
        let row = SessionRow::find_by_statement(statement).one(self.read()).await?;
        row.map(StoredSession::of).transpose()
    }

    /// Notes that a session was used, at most once a minute; answers whether it was noted.
    pub async fn touch_session(&self, session: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let noted = sessions::Entity::update_many()
            .col_expr(sessions::Column::LastSeenAt, Expr::value(now))
            .filter(sessions::Column::Id.eq(session))
            .filter(sessions::Column::EndedAt.is_null())
            .filter(sessions::Column::LastSeenAt.lt(now - TOUCH_EVERY))
            .exec(self.write())
            .await?;
        Ok(noted.rows_affected > 0)
    }

    /// The sessions of `user` that let somebody in at `now`, where one may rest for at most `idle`: the newest first, at most
    /// [`SESSIONS_MAX`].
    pub async fn sessions_of(
        &self,
        user: UserId,
        now: DateTime<Utc>,
        idle: TimeDelta,
    ) -> Result<Vec<SessionView>, StoreError> {
        let rows = sessions::Entity::find()
            .filter(sessions::Column::UserId.eq(user.0))
            .filter(sessions::Column::EndedAt.is_null())
            .filter(sessions::Column::ExpiresAt.gt(now))
            .filter(sessions::Column::LastSeenAt.gt(now - idle))
            .order_by_desc(sessions::Column::CreatedAt)
            .order_by_desc(sessions::Column::Id)
            .limit(SESSIONS_MAX)
            .all(self.read())
            .await?;
        let view = |row: sessions::Model| SessionView {
            id: row.id,
            ip: row.ip,
            user_agent: row.user_agent,
            created_at: row.created_at,
            authenticated_at: row.authenticated_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Ends a session of `user`. The first time counts.
    pub async fn end_session(
        &self,
        user: UserId,
        session: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let is_it = Condition::all()
            .add(sessions::Column::Id.eq(session))
            .add(sessions::Column::UserId.eq(user.0));
        let ended = sessions::Entity::update_many()
            .col_expr(
                sessions::Column::EndedAt,
                Expr::col(sessions::Column::EndedAt).if_null(now),
            )
            .filter(is_it)
            .exec(self.write())
            .await?;
        if ended.rows_affected == 0 {
            return Err(StoreError::NotFound { table: "sessions" });
        }
        Ok(())
    }

    /// Ends the sessions of `user`, but for `except`. Answers how many.
    pub async fn end_sessions(
        &self,
        user: UserId,
        except: Option<Uuid>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.transaction("end_sessions", async |tx| {
            lock_user(&tx, user).await?;
            end_all(&tx, user, except, now).await
        })
        .await
    }

    /// Puts a new session in the place of `old`, which ends: one of two who ask for it at once gets it. Answers its id.
    ///
    /// Fails with [`StoreError::NotFound`] when the old one has ended.
    pub async fn renew_session(
        &self,
        user: UserId,
        old: Uuid,
        renewal: &Renewal,
    ) -> Result<Uuid, StoreError> {
        let now = renewal.now;
        self.transaction("renew_session", async |tx| {
            lock_user(&tx, user).await?;
            let ended = sessions::Entity::update_many()
                .col_expr(sessions::Column::EndedAt, Expr::value(now))
                .filter(sessions::Column::Id.eq(old))
                .filter(sessions::Column::UserId.eq(user.0))
                .filter(sessions::Column::EndedAt.is_null())
                .filter(sessions::Column::ExpiresAt.gt(now))
                .exec_with_returning(&*tx)
                .await?;
            let row = ended.into_iter().next();
            let old = row.ok_or(StoreError::NotFound { table: "sessions" })?;
            let authenticated_at = if renewal.is_authenticated {
                now
            } else {
                old.authenticated_at
            };
            let row = sessions::ActiveModel {
                id: ActiveValue::Set(Uuid::now_v7()),
                user_id: ActiveValue::Set(old.user_id),
                hash: ActiveValue::Set(renewal.hash.to_vec()),
                ip: ActiveValue::Set(old.ip),
                user_agent: ActiveValue::Set(old.user_agent),
                created_at: ActiveValue::Set(now),
                authenticated_at: ActiveValue::Set(authenticated_at),
                last_seen_at: ActiveValue::Set(now),
                expires_at: ActiveValue::Set(renewal.expires_at.unwrap_or(old.expires_at)),
                ended_at: ActiveValue::Set(None),
            };
            Ok(row.insert(&*tx).await?.id)
        })
        .await
    }

    /// Removes at most [`SESSIONS_MAX`] sessions that were over before `before`; answers how many. Those that were ended
    /// early go when they would have ended by themselves.
    pub async fn prune_sessions(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let old = sessions::Entity::find()
            .select_only()
            .column(sessions::Column::Id)
            .filter(sessions::Column::ExpiresAt.lt(before))
            .order_by_asc(sessions::Column::ExpiresAt)
            .limit(SESSIONS_MAX);
        let removed = sessions::Entity::delete_many()
            .filter(sessions::Column::Id.in_subquery(old.into_query()))
            .exec(self.write())
            .await?;
        Ok(removed.rows_affected)
    }
}

/// Whether `user` has no such session, or it was ended. The caller holds the user's row.
pub(crate) async fn has_ended(
    tx: &DatabaseTransaction,
    user: UserId,
    session: Uuid,
) -> Result<bool, StoreError> {
    let row = sessions::Entity::find_by_id(session).one(tx).await?;
    Ok(row.is_none_or(|row| row.user_id != user.0 || row.ended_at.is_some()))
}

/// Ends the sessions of `user`, but for `except`. The caller holds the user's row.
pub(crate) async fn end_all(
    tx: &DatabaseTransaction,
    user: UserId,
    except: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let others = Condition::all().add_option(except.map(|except| sessions::Column::Id.ne(except)));
    let ended = sessions::Entity::update_many()
        .col_expr(sessions::Column::EndedAt, Expr::value(now))
        .filter(sessions::Column::UserId.eq(user.0))
        .filter(sessions::Column::EndedAt.is_null())
        .filter(others)
        .exec(tx)
        .await?;
    Ok(ended.rows_affected)
}
