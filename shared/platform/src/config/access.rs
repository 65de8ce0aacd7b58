//! Who may come in, from where, how often: the variables of the API's doors.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::Fault;
use super::reader::Reader;

/// Which sites may send a session's cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// The API's own site, and links to it.
    Lax,
    /// Every site of `CORS_ORIGINS`.
    None,
}

/// Whether people may make accounts for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Whoever asks.
    Open,
    /// Nobody: admins make users.
    Closed,
}

/// What happens to a request that did not come by HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// It is answered: development.
    Allow,
    /// Reads are sent to the same place under `https://`; all else is refused.
    Redirect,
    /// It is refused.
    Refuse,
}

/// How many requests are answered, by class. Each class counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// `RATE_LIMIT_ANONYMOUS_PER_HOUR`, by client address.
    pub anonymous_per_hour: u64,
    /// `RATE_LIMIT_ANONYMOUS_PER_DAY`, by client address.
    pub anonymous_per_day: u64,
    /// `RATE_LIMIT_LOGIN_PER_MINUTE`, by client address and by account.
    pub login_per_minute: u64,
    /// `RATE_LIMIT_REGISTRATION_PER_HOUR`, by client address.
    pub registration_per_hour: u64,
    /// `RATE_LIMIT_TOKEN_PER_MINUTE`, by client address and by OAuth client.
    pub token_per_minute: u64,
    /// `RATE_LIMIT_CREDENTIAL_PER_MINUTE`, by credential.
    pub credential_per_minute: u64,
    /// `RATE_LIMIT_BURST_PER_SECOND`, by client address, within each process.
    pub burst_per_second: u32,
}

/// The API's doors. Each field names its variable; [`super::table`] says what it means, in which unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `PUBLIC_URL`, without a slash at its end.
    pub public_url: Option<String>,
    /// `CORS_ORIGINS`.
    pub cors_origins: Vec<String>,
    /// `TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
    /// `PLAIN_HTTP`.
    pub plain_http: PlainHttp,
    /// `REGISTRATION`.
    pub registration: Registration,
    /// `SESSION_SAMESITE`.
    pub session_same_site: SameSite,
    /// `SESSION_IDLE_MINUTES`.
    pub session_idle_minutes: u64,
    /// `SESSION_MAX_HOURS`.
    pub session_max_hours: u64,
    /// `RATE_LIMIT_*`.
    pub rate_limits: RateLimits,
}

impl Access {
    /// Whether `address` is a proxy whose `X-Forwarded-*` fields are believed.
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|network| network.contains(&address))
    }

    /// [`Access::session_idle_minutes`] as a duration.
    pub fn session_idle(&self) -> Duration {
        Duration::from_secs(self.session_idle_minutes.saturating_mul(60))
    }

    /// [`Access::session_max_hours`] as a duration.
    pub fn session_max(&self) -> Duration {
        Duration::from_secs(self.session_max_hours.saturating_mul(3600))
    }

    pub(super) fn read(reader: &mut Reader<'_>, is_production: bool) -> Self {
        let unless_set = if is_production {
            PlainHttp::Refuse
        } else {
            PlainHttp::Allow
        };
        let access = Self {
            public_url: reader.origin("PUBLIC_URL"),
            cors_origins: reader.origins("CORS_ORIGINS"),
            trusted_proxies: reader.networks("TRUSTED_PROXIES"),
            plain_http: reader.choice(
                "PLAIN_HTTP",
                [
                    ("auto", unless_set),
                    ("allow", PlainHttp::Allow),
                    ("redirect", PlainHttp::Redirect),
                    ("refuse", PlainHttp::Refuse),
                ],
            ),
            registration: reader.choice(
                "REGISTRATION",
                [("open", Registration::Open), ("closed", Registration::Closed)],
            ),
            session_same_site: reader.choice(
                "SESSION_SAMESITE",
                [("lax", SameSite::Lax), ("none", SameSite::None)],
            ),
            // The last use is known to a minute: sessions that end sooner would end in use.
            session_idle_minutes: reader.whole("SESSION_IDLE_MINUTES", 2, 43_200),
            session_max_hours: reader.whole("SESSION_MAX_HOURS", 1, 8_760),
            rate_limits: RateLimits::read(reader),
        };
        let is_plain = access
            .public_url
            .as_ref()
            .is_some_and(|url| !url.starts_with("https://"));
        if is_production && is_plain && access.plain_http != PlainHttp::Allow {
            reader.refuse("PUBLIC_URL", Fault::NotHttps);
        }
        if access.session_same_site == SameSite::None && access.cors_origins.is_empty() {
            reader.refuse(
                "SESSION_SAMESITE",
                Fault::Needs {
                    other: "CORS_ORIGINS",
                },
            );
        }
        access
    }
}

impl RateLimits {
    fn read(reader: &mut Reader<'_>) -> Self {
        let mut limit = |name| reader.whole(name, 1, RATE_MAX);
        Self {
            anonymous_per_hour: limit("RATE_LIMIT_ANONYMOUS_PER_HOUR"),
            anonymous_per_day: limit("RATE_LIMIT_ANONYMOUS_PER_DAY"),
            login_per_minute: limit("RATE_LIMIT_LOGIN_PER_MINUTE"),
            registration_per_hour: limit("RATE_LIMIT_REGISTRATION_PER_HOUR"),
            token_per_minute: limit("RATE_LIMIT_TOKEN_PER_MINUTE"),
            credential_per_minute: limit("RATE_LIMIT_CREDENTIAL_PER_MINUTE"),
            burst_per_second: reader.whole("RATE_LIMIT_BURST_PER_SECOND", 1, RATE_MAX),
        }
    }
}

/// As good as no limit: more than a process answers in a day.
const RATE_MAX: u64 = 1_000_000_000;
