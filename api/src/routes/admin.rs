//! `/admin`: users, their roles and limits, and what was done. Only for people with a fresh session; never for a bot.
//!
//! | role | sees | changes |
//! |---|---|---|
//! | admin | all users, all audit events | standard users |
//! | superadmin | the same | everybody, but never so that no active superadmin is left |

use std::sync::Arc;

use domain::id::UserId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use rust_decimal::Decimal;
use secrecy::SecretString;
use store::audit_log::AuditKind;
use store::{NewUser, Role, UserChangeError, UserFilter, UserLimits};
use uuid::Uuid;

use super::Tag;
use super::auth::{hash_of, is_email, parse_id, taken};
use crate::app::App;
use crate::auth::SessionUser;
use crate::idempotency::NoIdempotencyKey;
use crate::input::query::{Param, page_limit, refuse_unknown};
use crate::input::{Dec, Fields, JsonBody, LooseDec, shown};
use crate::problem::{Code, Problem};
use crate::record::Record;
use crate::wire::{RoleName, Time};

/// How many entries a page has at most.
const PAGE_MAX: u64 = 200;

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
        /// How many at most: 50 unless given, 200 at most.
        Query(limit): Query<Param<u64>>,
    ) -> poem::Result<Json<Vec<UserView>>> {
        refuse_unknown(request, &["email", "after", "limit"])?;
        let filter = UserFilter {
            email_prefix: email.get(),
            ..UserFilter::default()
        };
        let limit = page_limit(limit, PAGE_MAX)?;
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
        may_change(&user, wanted.role)?;
        let password_hash = hash_of(app, &wanted.email, &wanted.password, "password").await?;
        let new = NewUser {
            email: wanted.email,
            password_hash,
            role: wanted.role,
            starting_cash: app.rules.starting_cash,
            now: app.now(),
        };
        let (id, account) = app.store.register_user(&new).await.map_err(taken)?;
        let record = record.at_account(account);
        app.audit(&record.about(&id), AuditKind::Registered).await?;
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
        let wanted = read_change(&mut body.fields()?)?;
        let row = row(app, id).await?;
        may_change(&user, row.role)?;
        may_change(&user, wanted.role.unwrap_or(row.role))?;
        let record = record.off_account().about(&id);
        change(app, id, &row, &wanted, &record).await?;
        app.forget_credentials();
        Ok(Json(find(app, id).await?))
    }
}

/// Admins change standard users; superadmins change everybody.
fn may_change(by: &SessionUser, whose: Role) -> Result<(), Problem> {
    if by.role == Role::Superadmin || whose == Role::Standard {
        return Ok(());
    }
    Err(Problem::new(
        Code::RoleNotAllowed,
        "only a superadmin changes admins and superadmins",
    ))
}

async fn change(
    app: &App,
    id: UserId,
    row: &store::UserView,
    wanted: &Change,
    record: &Record,
) -> Result<(), Problem> {
    let now = app.now();
    if let Some(is_active) = wanted.is_active.filter(|is_active| *is_active != row.is_active) {
        app.store.set_user_active(id, is_active, now).await?;
        let kind = if is_active {
            AuditKind::UserReactivated
        } else {
            AuditKind::UserDeactivated
        };
        app.audit(record, kind).await?;
    }
    if let Some(role) = wanted.role.filter(|role| *role != row.role) {
        app.store.set_role(id, role, now).await?;
        app.audit(&record.with("role", role.as_str()), AuditKind::RoleChanged)
            .await?;
    }
    let limits = UserLimits {
        order_notional: wanted
            .order_notional
            .map_or(row.limits.order_notional, Limit::own),
        day_notional: wanted.day_notional.map_or(row.limits.day_notional, Limit::own),
    };
    if limits != row.limits {
        app.store.set_user_limits(id, limits).await?;
        let text =
            |limit: Option<Decimal>| limit.map_or_else(|| "role".to_owned(), |limit| limit.to_string());
        let record = record
            .with("order_notional", &text(limits.order_notional))
            .with("day_notional", &text(limits.day_notional));
        app.audit(&record, AuditKind::LimitsChanged).await?;
    }
    Ok(())
}

async fn row(app: &App, id: UserId) -> Result<store::UserView, Problem> {
    app.store.user_view(id).await?.ok_or_else(not_found)
}

async fn find(app: &App, id: UserId) -> Result<UserView, Problem> {
    Ok(UserView::of(row(app, id).await?))
}

fn not_found() -> Problem {
    Problem::new(Code::UserNotFound, "user not found")
}

impl From<UserChangeError> for Problem {
    fn from(error: UserChangeError) -> Self {
        match error {
            UserChangeError::LastSuperadmin => Self::new(Code::LastSuperadmin, error.to_string()),
            UserChangeError::Store(error) => error.into(),
        }
    }
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

/// What is wanted of a user.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    role: Option<Role>,
    is_active: Option<bool>,
    order_notional: Option<Limit>,
    day_notional: Option<Limit>,
}

/// A limit that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// The role's.
    OfRole,
    /// The user's own, in USD.
    Own(Decimal),
}

impl Limit {
    const fn own(self) -> Option<Decimal> {
        match self {
            Self::OfRole => None,
            Self::Own(limit) => Some(limit),
        }
    }
}

fn read_change(fields: &mut Fields) -> Result<Change, Problem> {
    let change = Change {
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

fn read_limit(fields: &mut Fields, name: &'static str) -> Option<Limit> {
    if fields.is_word(name, "role") {
        return Some(Limit::OfRole);
    }
    let limit = fields.decimal(name)?;
    let is_sound = !limit.is_sign_negative() && limit <= LIMIT_MAX && limit.scale() <= 9;
    if !is_sound {
        let detail = format!("{name} must be a limit in USD with at most 9 decimals, or \"role\"");
        fields.refuse(Code::InvalidNumber, name, detail);
    }
    is_sound.then_some(Limit::Own(limit))
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
        assert_eq!(change(json!({})), Change::default());
        let full =
            json!({"role": "admin", "is_active": false, "order_notional": "role", "day_notional": "10.5"});
        let expected = Change {
            role: Some(Role::Admin),
            is_active: Some(false),
            order_notional: Some(Limit::OfRole),
            day_notional: Some(Limit::Own("10.5".parse().unwrap())),
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
        let by = |role| SessionUser {
            session: Uuid::nil(),
            user: UserId(Uuid::nil()),
            email: String::new(),
            role,
            authenticated_at: chrono::DateTime::UNIX_EPOCH,
        };
        for (role, whose, expected) in [
            (Role::Admin, Role::Standard, true),
            (Role::Admin, Role::Admin, false),
            (Role::Admin, Role::Superadmin, false),
            (Role::Superadmin, Role::Standard, true),
            (Role::Superadmin, Role::Admin, true),
            (Role::Superadmin, Role::Superadmin, true),
        ] {
            assert_eq!(may_change(&by(role), whose).is_ok(), expected, "{role} {whose}");
        }
    }
}
