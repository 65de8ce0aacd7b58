//! The variables of the API's doors: who may come in, from where, how often.

use super::Process::Api;
use super::{Variable, optional, plain};

pub(super) const ACCESS: &[Variable] = &[
    optional(
        "PUBLIC_URL",
        &[Api],
        "https://trade.example.com",
        "origin under which browsers and bots reach the API, the issuer of its tokens, https in production unless PLAIN_HTTP is allow; not set: http://localhost with the port",
    ),
    optional(
        "CORS_ORIGINS",
        &[Api],
        "https://app.example.com,http://localhost:3000",
        "origins of single-page applications that may call the API with a session, separated by commas; not set: only its own",
    ),
    plain(
        "SESSION_SAMESITE",
        "lax",
        &[Api],
        "lax",
        "`lax`, or `none` for applications on another site, which `CORS_ORIGINS` must list",
    ),
    plain(
        "SESSION_IDLE_MINUTES",
        "60",
        &[Api],
        "60",
        "minutes without a request after which a session ends",
    ),
    plain(
        "SESSION_MAX_HOURS",
        "12",
        &[Api],
        "12",
        "hours after which a session ends in any case",
    ),
    plain(
        "REGISTRATION",
        "open",
        &[Api],
        "closed",
        "`open`, or `closed`: then only admins make users",
    ),
    plain(
        "PLAIN_HTTP",
        "auto",
        &[Api],
        "redirect",
        "requests without TLS: `allow`, `redirect` (reads; all else is refused), `refuse`, or `auto`: refuse in production, \
         else allow; `/health` and `/metrics` are always answered",
    ),
    optional(
        "TRUSTED_PROXIES",
        &[Api],
        "10.0.0.0/8,127.0.0.1",
        "addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, separated by commas; \
         not set: nobody's",
    ),
];

pub(super) const RATES: &[Variable] = &[
    plain(
        "RATE_LIMIT_ANONYMOUS_PER_HOUR",
        "50",
        &[Api],
        "50",
        "requests an hour without a credential, by client address",
    ),
    plain(
        "RATE_LIMIT_ANONYMOUS_PER_DAY",
        "200",
        &[Api],
        "200",
        "requests a day without a credential, by client address",
    ),
    plain(
        "RATE_LIMIT_LOGIN_PER_MINUTE",
        "10",
        &[Api],
        "10",
        "logins a minute, by client address, and by account or by the browser that was let in to it before",
    ),
    plain(
        "RATE_LIMIT_REGISTRATION_PER_HOUR",
        "5",
        &[Api],
        "5",
        "registrations an hour, by client address",
    ),
    plain(
        "RATE_LIMIT_TOKEN_PER_MINUTE",
        "60",
        &[Api],
        "60",
        "requests a minute to the OAuth token, revocation and introspection endpoints, by client address and by confidential client",
    ),
    plain(
        "RATE_LIMIT_CREDENTIAL_PER_MINUTE",
        "200",
        &[Api],
        "200",
        "requests a minute of one API key, token or session",
    ),
    plain(
        "RATE_LIMIT_BURST_PER_SECOND",
        "500",
        &[Api],
        "500",
        "requests a second from one client address, of every kind, within each process",
    ),
];
