//! `/admin`: users, their roles and limits, and what was done. Only for people with a fresh session; never for a bot.
//!
//! | role | sees | changes |
//! |---|---|---|
//! | admin | all users, all audit events | standard users |
//! | superadmin | the same | everybody, but never so that no active superadmin is left |

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use rust_decimal::Decimal;
use secrecy::SecretString;
use store::audit_log::{AuditEvent, AuditKind};
use store::{LimitChange, NewUser, Role, USERS_PAGE_MAX, UserChange, UserChangeError, UserFilter};
use uuid::Uuid;

use super::Tag;
use super::auth::{hash_of, is_email, parse_id, taken};
use crate::app::App;
use crate::auth::SessionUser;
use crate::idempotency::NoIdempotencyKey;
use crate::input::query::{PAGE_DEFAULT, Param, page_limit, refuse_unknown};
use crate::input::{Dec, Fields, JsonBody, LooseDec, shown};
use crate::problem::{Code, Problem, or_absent};
use crate::record::Record;
use crate::wire::{RoleName, Time};

/// The largest limit, in USD: sums of money stay far below what the databases keep.
const LIMIT_MAX: Decimal = Decimal::from_parts(0xA4C6_8000, 0x0003_8D7E, 0, false, 0);

/// The resource.
pub(crate) struct Admin;

/// A user to make.
#[derive(Object)]
#[oai(rename = "CreateUser")]
pub(crate) struct CreateUserBody {
    /// The e-mail address.
    email: String,
    /// The first password: 12 to 256 characters, and none that is often used.
    password: String,
    /// What they may do; `standard` unless given.
    role: Option<RoleName>,
}

/// What to change of a user. What is left out stays.
#[derive(Object)]
#[oai(rename = "UpdateUser")]
pub(crate) struct UpdateUserBody {
    /// What they may do. Their sessions end.
    role: Option<RoleName>,
    /// Whether they may log in and trade. `false` ends their sessions, and refuses their keys and connected apps.
    is_active: Option<bool>,
    /// Largest value of one order, in USD; `"role"`: the role's.
    order_notional: Option<LooseDec>,
    /// Largest value of the orders of one trading day, in USD; `"role"`: the role's.
    day_notional: Option<LooseDec>,
}

/// A user.
#[derive(Object)]
#[oai(rename = "User")]
pub(crate) struct UserView {
    /// Its id.
    id: String,
    /// The e-mail address.
    email: String,
    /// What they may do.
    role: RoleName,
    /// Whether they may log in and trade.
    is_active: bool,
    /// Largest value of one order, in USD; null: the role's.
    order_notional: Option<Dec>,
    /// Largest value of the orders of one trading day, in USD; null: the role's.
    day_notional: Option<Dec>,
    /// When the user was made.
    created_at: Time,
}

impl UserView {
    fn of(row: store::UserView) -> Self {
        Self {
            id: row.id.to_string(),
            email: row.email,
            role: RoleName(row.role.as_str()),
            is_active: row.is_active,
            order_notional: row.limits.order_notional.map(Dec),
            day_notional: row.limits.day_notional.map(Dec),
            created_at: Time(row.created_at),
        }
    }
}

/// A user was made.
#[derive(ApiResponse)]
pub(crate) enum Created {
    /// The user.
    #[oai(status = 201)]
    User(Json<UserView>),
}

#[OpenApi(prefix_path = "/admin", tag = "Tag::Administration")]
impl Admin {
    /// List users
    ///
    /// The oldest first.
    #[oai(path = "/users", method = "get", operation_id = "list_users")]
    async fn list_users(
        &self,
        Data(app): Data<&Arc<App>>,
        _user: SessionUser,
        request: &Request,
        /// Only those whose e-mail address begins so.
        Query(email): Query<Param<String>>,
        /// Only those after this one: the last id of the page before.
        Query(after): Query<Param<Uuid>>,
        /// How many at most: 50 unless given, 100 at most.
        Query(limit): Query<Param<u64>>,
    ) -> poem::Result<Json<Vec<UserView>>> {
        refuse_unknown(request, &["email", "after", "limit"])?;
        let filter = UserFilter {
            email_prefix: email.get(),
            ..UserFilter::default()
        };
        let limit = page_limit(limit, PAGE_DEFAULT, USERS_PAGE_MAX)?;
        let after = after.get().map(UserId);
        let users = app
            .store
            .users_page(&filter, after, limit)
            .await
            .map_err(Problem::from)?;
        Ok(Json(users.into_iter().map(UserView::of).collect()))
    }

    /// Make a user
    ///
    /// With a paper account. A role above `standard` needs a superadmin.
    #[oai(path = "/users", method = "post", operation_id = "create_user")]
    async fn create_user(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        user: SessionUser,
        _key: NoIdempotencyKey,
        body: JsonBody<CreateUserBody>,
    ) -> poem::Result<Created> {
        let wanted = read_new(&mut body.fields()?)?;
        if !is_allowed(user.role, wanted.role) {
            return Err(role_not_allowed().into());
        }
        let password_hash = hash_of(app, &wanted.email, &wanted.password, "password").await?;
        let new = NewUser {
            email: wanted.email,
            password_hash,
            role: wanted.role,
            starting_cash: app.rules.starting_cash,
            now: app.now(),
        };
        let event = |id: UserId, account: AccountId| {
            let record = record.at_account(account).about(&id);
            record
                .with("role", new.role.as_str())
                .event(AuditKind::Registered, new.now)
        };
        let made = app.store.register_user_on_record(&new, event).await;
        let (id, _) = made.map_err(taken)?;
        Ok(Created::User(Json(find(app, id).await?)))
    }

    /// Read a user
    #[oai(path = "/users/:id", method = "get", operation_id = "get_user")]
    async fn get_user(
        &self,
        Data(app): Data<&Arc<App>>,
        _user: SessionUser,
        /// The user's id.
        id: Path<String>,
    ) -> poem::Result<Json<UserView>> {
        let id = UserId(parse_id(&id, not_found)?);
        Ok(Json(find(app, id).await?))
    }

    /// Change a user
    ///
    /// Role, state and limits. A lower limit holds for the next order of every process.
    #[oai(path = "/users/:id", method = "patch", operation_id = "update_user")]
    async fn update_user(
        &self,
        Data(app): Data<&Arc<App>>,
        record: Record,
        user: SessionUser,
        _key: NoIdempotencyKey,
        /// The user's id.
        id: Path<String>,
        body: JsonBody<UpdateUserBody>,
    ) -> poem::Result<Json<UserView>> {
        let id = UserId(parse_id(&id, not_found)?);
        let change = read_change(&mut body.fields()?)?;
        let (now, record) = (app.now(), record.off_account().about(&id));
        let may_change = |whose: &store::UserView| {
            let role = change.role.unwrap_or(whose.role);
            is_allowed(user.role, whose.role) && is_allowed(user.role, role)
        };
        let events = |before: &store::UserView, after: &store::UserView| events(&record, before, after, now);
        let by = Some((user.user, CredentialId(user.session)));
        let changed = app
            .store
            .change_user(id, &change, by, may_change, events, now)
            .await;
        let changed = changed.map_err(|error| match error {
            UserChangeError::Store(error) => or_absent(error, not_found),
            UserChangeError::LastSuperadmin => Problem::new(Code::LastSuperadmin, error.to_string()),
            UserChangeError::NotAllowed => role_not_allowed(),
        })?;
        app.forget_credentials();
        Ok(Json(UserView::of(changed)))
    }
}

/// Admins change standard users; superadmins change everybody.
fn is_allowed(by: Role, whose: Role) -> bool {
    by == Role::Superadmin || whose == Role::Standard
}

fn role_not_allowed() -> Problem {
    let detail = "only a superadmin changes admins and superadmins";
    Problem::new(Code::RoleNotAllowed, detail)
}

/// What a change is on record as.
fn events(
    record: &Record,
    before: &store::UserView,
    after: &store::UserView,
    now: DateTime<Utc>,
) -> Vec<AuditEvent> {
    let mut events = Vec::new();
    if before.is_active != after.is_active {
        let kind = if after.is_active {
            AuditKind::UserReactivated
        } else {
            AuditKind::UserDeactivated
        };
        events.push(record.event(kind, now));
    }
    if before.role != after.role {
        let record = record.with("role", after.role.as_str());
        events.push(record.event(AuditKind::RoleChanged, now));
    }
    if before.limits != after.limits {
        let text =
            |limit: Option<Decimal>| limit.map_or_else(|| "role".to_owned(), |limit| limit.to_string());
        let record = record
            .with("order_notional", &text(after.limits.order_notional))
            .with("day_notional", &text(after.limits.day_notional));
        events.push(record.event(AuditKind::LimitsChanged, now));
    }
    events
}

async fn find(app: &App, id: UserId) -> Result<UserView, Problem> {
    let found = app.store.user_view(id).await?;
    found.map(UserView::of).ok_or_else(not_found)
}

fn not_found() -> Problem {
    Problem::new(Code::UserNotFound, "user not found")
}

struct New {
    email: String,
    password: SecretString,
    role: Role,
}

fn read_new(fields: &mut Fields) -> Result<New, Problem> {
    let email = fields.text("email").unwrap_or_default();
    if !is_email(&email) && !fields.has_fault_at("email") {
        fields.refuse(Code::InvalidRequest, "email", "email must be an e-mail address");
    }
    let password = fields.text("password");
    if password.is_none() && !fields.has_fault_at("password") {
        fields.refuse(Code::InvalidRequest, "password", "password is required");
    }
    let role = read_role(fields).unwrap_or(Role::Standard);
    fields.refuse_unknown();
    fields.finish()?;
    Ok(New {
        email,
        password: password.unwrap_or_default().into(),
        role,
    })
}

fn read_change(fields: &mut Fields) -> Result<UserChange, Problem> {
    let change = UserChange {
        role: read_role(fields),
        is_active: fields.boolean("is_active"),
        order_notional: read_limit(fields, "order_notional"),
        day_notional: read_limit(fields, "day_notional"),
    };
    fields.refuse_unknown();
    fields.finish()?;
    Ok(change)
}

fn read_role(fields: &mut Fields) -> Option<Role> {
    let text = fields.text("role")?;
    let role = text.parse().ok();
    if role.is_none() {
        let detail = format!("role {} must be standard, admin or superadmin", shown(&text));
        fields.refuse(Code::InvalidRequest, "role", detail);
    }
    role
}

fn read_limit(fields: &mut Fields, name: &'static str) -> Option<LimitChange> {
    if fields.is_word(name, "role") {
        return Some(LimitChange::OfRole);
    }
    let limit = fields.decimal(name)?;
    let is_sound = !limit.is_sign_negative() && limit <= LIMIT_MAX && limit.scale() <= 9;
    if !is_sound {
        let detail = format!("{name} must be a limit in USD with at most 9 decimals, or \"role\"");
        fields.refuse(Code::InvalidNumber, name, detail);
    }
    is_sound.then_some(LimitChange::Own(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn fields(body: Value) -> Fields {
        let Value::Object(members) = body else {
            panic!("not an object")
        };
        Fields::new(members)
    }

    #[test]
    fn a_change_names_what_changes_and_nothing_else() {
        let change = |body: Value| read_change(&mut fields(body)).unwrap();
        assert_eq!(change(json!({})), UserChange::default());
        let full =
            json!({"role": "admin", "is_active": false, "order_notional": "role", "day_notional": "10.5"});
        let expected = UserChange {
            role: Some(Role::Admin),
            is_active: Some(false),
            order_notional: Some(LimitChange::OfRole),
            day_notional: Some(LimitChange::Own("10.5".parse().unwrap())),
        };
        assert_eq!(change(full), expected);
        for (body, place) in [
            (json!({"role": "owner"}), "/role"),
            (json!({"day_notional": "-1"}), "/day_notional"),
            (json!({"day_notional": "none"}), "/day_notional"),
            (json!({"email": "a@b"}), "/email"),
            (json!({"password_hash": "x"}), "/password_hash"),
        ] {
            let problem = read_change(&mut fields(body.clone())).unwrap_err();
            assert_eq!(problem.errors()[0].place(), place, "{body}");
        }
    }

    #[test]
    fn admins_change_standard_users_and_superadmins_everybody() {
        for (by, whose, expected) in [
            (Role::Admin, Role::Standard, true),
            (Role::Admin, Role::Admin, false),
            (Role::Admin, Role::Superadmin, false),
            (Role::Superadmin, Role::Standard, true),
            (Role::Superadmin, Role::Admin, true),
            (Role::Superadmin, Role::Superadmin, true),
        ] {
            assert_eq!(is_allowed(by, whose), expected, "{by} {whose}");
        }
    }
}
