//! Sessions of people: a cookie with a random secret, of which the database keeps the SHA-256.
//!
//! 1. The cookie is `__Host-arbion` wherever the API is reached by HTTPS: a browser takes that name only with `Secure`,
//!    for `/`, from the host itself (RFC 6265bis section 4.1.3), so no other host of the site can plant one.
//! 2. A session has a new secret after each login and each change of what it may do.
//! 3. Of two different cookies under one name neither is believed.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, CredentialId, UserId};
use moka::future::Cache;
use platform::config::{Access, SameSite};
use platform::secrets::sha256;
use poem::http::HeaderMap;
use poem::http::header::COOKIE;
use poem::{FromRequest, Request, RequestBody};
use store::{Role, Store, StoredSession};
use uuid::Uuid;

use super::Principal;
use crate::access::Scope;
use crate::problem::{Code, Problem};

/// How long what the database says of a session is remembered: so long may one that was ended go on.
const REMEMBERED_FOR: Duration = Duration::from_secs(1);

/// How many sessions are remembered at most.
const REMEMBERED_MAX: u64 = 10_000;

/// How long after the password was given a person may administer.
pub(crate) const FRESH_FOR: TimeDelta = TimeDelta::minutes(15);

/// How exact the time of the last request is.
const TOUCH_EVERY: TimeDelta = TimeDelta::seconds(60);

/// A person who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionUser {
    /// The session's id.
    pub session: Uuid,
    /// Who it is.
    pub user: UserId,
    /// The address that they log in with.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// When they last gave their password.
    pub authenticated_at: DateTime<Utc>,
}

impl SessionUser {
    /// Whether the password was given a short while ago.
    pub fn is_fresh_at(&self, now: DateTime<Utc>) -> bool {
        now - self.authenticated_at < FRESH_FOR
    }
}

impl<'a> FromRequest<'a> for SessionUser {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let user = request.data::<Self>().cloned();
        // The gate lets nobody else pass where the rule asks for a session.
        Ok(user.ok_or_else(|| Problem::hidden(Code::InternalError, "the route has no session"))?)
    }
}

/// How cookies are written.
#[derive(Debug, Clone)]
pub(crate) struct Cookies {
    is_secure: bool,
    same_site: SameSite,
    max: Duration,
}

impl Cookies {
    /// Cookies for where the API is reached: in production always by HTTPS.
    pub(crate) fn of(access: &Access, is_production: bool) -> Self {
        let by_https = access.public_url.as_ref().map(|url| url.starts_with("https://"));
        Self {
            is_secure: by_https.unwrap_or(is_production),
            same_site: access.session_same_site,
            max: access.session_max(),
        }
    }

    /// The cookie's name for what `what` is.
    fn name(&self, what: &str) -> String {
        let prefix = if self.is_secure { "__Host-" } else { "" };
        format!("{prefix}{what}")
    }

    /// The value of `Set-Cookie` for a session.
    pub(crate) fn session(&self, secret: &str) -> String {
        self.write(SESSION, secret, self.max.as_secs())
    }

    /// The value of `Set-Cookie` that ends a session in the browser.
    pub(crate) fn no_session(&self) -> String {
        self.write(SESSION, "", 0)
    }

    /// The value of `Set-Cookie` for one who has not logged in.
    pub(crate) fn visitor(&self, id: &str) -> String {
        self.write(VISITOR, id, VISITOR_SECONDS)
    }

    /// The value of `Set-Cookie` for a browser that somebody was let in from.
    pub(crate) fn device(&self, value: &str) -> String {
        self.write(DEVICE, value, DEVICE_SECONDS)
    }

    fn write(&self, what: &str, value: &str, seconds: u64) -> String {
        let (same_site, is_secure) = match self.same_site {
            SameSite::Lax => ("Lax", self.is_secure),
            // Browsers take it only with `Secure`; they count http://localhost as secure.
            SameSite::None => ("None", true),
        };
        let secure = if is_secure { "; Secure" } else { "" };
        let name = self.name(what);
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}")
    }

    /// The secret of the session's cookie.
    pub(crate) fn read_session(&self, headers: &HeaderMap) -> Option<String> {
        read(headers, &self.name(SESSION))
    }

    /// What says that the browser is known.
    pub(crate) fn read_device(&self, headers: &HeaderMap) -> Option<String> {
        read(headers, &self.name(DEVICE))
    }

    /// The id of one who has not logged in.
    pub(crate) fn read_visitor(&self, headers: &HeaderMap) -> Option<String> {
        read(headers, &self.name(VISITOR))
    }
}

const SESSION: &str = "arbion";
const DEVICE: &str = "arbion-device";
const VISITOR: &str = "arbion-visitor";

/// How long a page with a login may stand open.
const VISITOR_SECONDS: u64 = 12 * 3600;

/// How long a browser stays known.
const DEVICE_SECONDS: u64 = 365 * 24 * 3600;

/// All are 43 characters of url-safe base64, or two of these.
const VALUE_BYTES_MAX: usize = 128;

fn read(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(own, _)| *own == name).map(|(_, value)| value);
    let value = values.next()?;
    let is_sound = (1..=VALUE_BYTES_MAX).contains(&value.len()) && values.all(|other| other == value);
    is_sound.then(|| value.to_owned())
}

/// A session as the database has it, and the account that is meant.
#[derive(Debug, Clone)]
pub(crate) struct KnownSession {
    stored: Arc<StoredSession>,
    account: AccountId,
    scopes: Arc<[String]>,
}

impl KnownSession {
    /// Who has it.
    pub(crate) fn user(&self) -> SessionUser {
        SessionUser {
            session: self.stored.session_id,
            user: self.stored.user_id,
            email: self.stored.email.clone(),
            role: self.stored.role,
            authenticated_at: self.stored.authenticated_at,
        }
    }

    /// What they may do: everything, on one of their accounts.
    pub(crate) fn principal(&self) -> Principal {
        Principal {
            user: self.stored.user_id,
            account: self.account,
            credential: CredentialId(self.stored.session_id),
            scopes: Arc::clone(&self.scopes),
            role: self.stored.role,
        }
    }
}

/// Finds sessions by their cookies.
#[derive(Debug)]
pub(crate) struct Sessions {
    known: Cache<([u8; 32], Option<AccountId>), KnownSession>,
    idle: TimeDelta,
    scopes: Arc<[String]>,
}

impl Sessions {
    /// Sessions that end as `access` says.
    pub(crate) fn new(access: &Access) -> Self {
        let known = Cache::builder()
            .max_capacity(REMEMBERED_MAX)
            .time_to_live(REMEMBERED_FOR)
            .build();
        Self {
            known,
            idle: TimeDelta::from_std(access.session_idle()).unwrap_or(TimeDelta::MAX),
            scopes: Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect(),
        }
    }

    /// How long a session may rest.
    pub(crate) const fn idle(&self) -> TimeDelta {
        self.idle
    }

    /// Has every session looked up anew: one of them was ended or changed by this process.
    pub(crate) fn forget(&self) {
        self.known.invalidate_all();
    }

    /// The session with this secret, if it holds at `now`. `account` is the account that the request names, else the
    /// user's first.
    pub(crate) async fn find(
        &self,
        store: &Store,
        secret: &str,
        account: Option<AccountId>,
        now: DateTime<Utc>,
    ) -> Result<Option<KnownSession>, Problem> {
        let hash = sha256(secret);
        let key = (hash, account);
        let known = match self.known.get(&key).await {
            Some(known) => known,
            None => match self.look_up(store, hash, account).await? {
                // Kept once for each look-up: another insertion would begin the time anew.
                Some(known) => {
                    self.known.insert(key, known.clone()).await;
                    known
                }
                None => return Ok(None),
            },
        };
        if !known.stored.is_valid_at(now, self.idle) {
            return Ok(None);
        }
        if now - known.stored.last_seen_at > TOUCH_EVERY {
            self.touch(store, &known, now).await;
            self.known.invalidate(&key).await;
        }
        Ok(Some(known))
    }

    async fn look_up(
        &self,
        store: &Store,
        hash: [u8; 32],
        account: Option<AccountId>,
    ) -> Result<Option<KnownSession>, Problem> {
        let Some(stored) = store.find_session(&hash).await? else {
            return Ok(None);
        };
        let own = match account {
            None => stored.account_id,
            Some(account) => store
                .account_of_user(stored.user_id, account)
                .await?
                .then_some(account),
        };
        let account = own.ok_or_else(|| Problem::new(Code::AccountNotFound, "account not found"))?;
        Ok(Some(KnownSession {
            stored: Arc::new(stored),
            account,
            scopes: Arc::clone(&self.scopes),
        }))
    }

    /// A session that is in use must not end for the database's sake: that it was not noted is only logged.
    async fn touch(&self, store: &Store, known: &KnownSession, now: DateTime<Utc>) {
        let id = known.stored.session_id;
        if let Err(error) = store.touch_session(id, now).await {
            tracing::warn!(%error, session.id = %id, "its last use was not noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use platform::Config;

    use super::*;

    fn cookies(pairs: &[(&str, &str)], is_production: bool) -> Cookies {
        let find = |name: &str| pairs.iter().find(|(key, _)| *key == name);
        let config = Config::from_lookup(|name| find(name).map(|(_, value)| (*value).to_owned()));
        Cookies::of(&config.unwrap().access, is_production)
    }

    #[test]
    fn a_cookie_is_for_its_host_alone_wherever_there_is_https() {
        let secure = "__Host-arbion=s; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure";
        let plain = "arbion=s; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax";
        assert_eq!(cookies(&[], true).session("s"), secure);
        assert_eq!(
            cookies(&[("PUBLIC_URL", "https://a.example")], false).session("s"),
            secure
        );
        assert_eq!(
            cookies(&[("PUBLIC_URL", "http://localhost:5000")], true).session("s"),
            plain
        );
        assert_eq!(cookies(&[], false).session("s"), plain);
        let other_site = [
            ("SESSION_SAMESITE", "none"),
            ("CORS_ORIGINS", "https://app.example"),
        ];
        assert_eq!(
            cookies(&other_site, true).session("s"),
            "__Host-arbion=s; Path=/; Max-Age=43200; HttpOnly; SameSite=None; Secure"
        );
        assert_eq!(
            cookies(&[], false).no_session(),
            "arbion=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn a_cookie_is_read_by_its_exact_name_and_never_out_of_two() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        for (lines, expected) in [
            (&["arbion=s"][..], Some("s")),
            (&["a=1; arbion=s;b=2"], Some("s")),
            (&["a=1", "arbion=s"], Some("s")),
            (&["arbion=s; arbion=s"], Some("s")),
            (&["arbion=s; arbion=t"], None),
            (&["arbion=s", "arbion=t"], None),
            (&["__Host-arbion=s"], None),
            (&["Arbion=s"], None),
            (&["arbion-visitor=s"], None),
            (&["arbion="], None),
            (&[&format!("arbion={long}")], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, line.parse().unwrap());
            }
            assert_eq!(
                cookies(&[], false).read_session(&headers).as_deref(),
                expected,
                "{lines:?}"
            );
        }
    }
}
