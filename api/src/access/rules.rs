//! The one table: what each operation needs, and which budget it counts against.
//!
//! An operation that is not in it answers nobody: the gate refuses it, and a test names it.

use poem::http::Method;
use store::Role;

use super::Scope;

/// Whom an operation answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Everybody; who has a session is known.
    Anyone,
    /// The holder of any credential, with this scope where one is named. Sessions have every scope.
    Credential(Option<Scope>),
    /// A person who has logged in: what concerns the login itself, never a bot.
    Session,
    /// A person of at least this role who has given the password a short while ago.
    Administrator(Role),
}

/// The budget that a request counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// None: probes, static files, the document, discovery.
    Unlimited,
    /// The credential's, or the address' where there is none.
    Ordinary,
    /// Attempts to prove who one is by a password.
    Login,
    /// New accounts.
    Registration,
    /// OAuth's endpoints for clients.
    Token,
}

/// What an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Whom it answers.
    pub(crate) who: Who,
    /// The budget.
    pub(crate) class: Class,
}

const fn rule(who: Who, class: Class) -> Rule {
    Rule { who, class }
}

const PROBE: Rule = rule(Who::Anyone, Class::Unlimited);
const PAGE: Rule = rule(Who::Anyone, Class::Ordinary);
const LOGIN: Rule = rule(Who::Anyone, Class::Login);
const REGISTRATION: Rule = rule(Who::Anyone, Class::Registration);
const READ: Rule = rule(Who::Credential(None), Class::Ordinary);
const TRADE: Rule = with(Scope::Trading);
const PROTECT: Rule = with(Scope::Triggers);
const KEYS: Rule = with(Scope::Keys);
const TOKEN: Rule = rule(Who::Anyone, Class::Token);
const PERSON: Rule = rule(Who::Session, Class::Ordinary);
const PASSWORD: Rule = rule(Who::Session, Class::Login);
const ADMIN: Rule = rule(Who::Administrator(Role::Admin), Class::Ordinary);

const fn with(scope: Scope) -> Rule {
    rule(Who::Credential(Some(scope)), Class::Ordinary)
}

/// Method, path as the document writes it, rule.
#[rustfmt::skip]
pub(crate) const TABLE: &[(Method, &str, Rule)] = &[
    (Method::POST, "/v2/orders", TRADE),
    (Method::GET, "/v2/orders", READ),
    (Method::DELETE, "/v2/orders", TRADE),
    (Method::GET, "/v2/orders:by_client_order_id", READ),
    (Method::GET, "/v2/orders/{id}", READ),
    (Method::PATCH, "/v2/orders/{id}", TRADE),
    (Method::DELETE, "/v2/orders/{id}", TRADE),
    (Method::GET, "/v2/positions", READ),
    (Method::DELETE, "/v2/positions", TRADE),
    (Method::GET, "/v2/positions/{key}", READ),
    (Method::DELETE, "/v2/positions/{key}", TRADE),
    (Method::GET, "/v2/account", READ),
    (Method::GET, "/v2/assets", READ),
    (Method::GET, "/v2/assets/{key}", READ),
    (Method::GET, "/v2/clock", READ),
    (Method::GET, "/v2/calendar", READ),
    (Method::GET, "/v2/events", READ),
    (Method::POST, "/v2/triggers", PROTECT),
    (Method::GET, "/v2/triggers", READ),
    (Method::GET, "/v2/triggers/{id}", READ),
    (Method::DELETE, "/v2/triggers/{id}", PROTECT),
    (Method::GET, "/auth/csrf", PAGE),
    (Method::POST, "/auth/register", REGISTRATION),
    (Method::POST, "/auth/login", LOGIN),
    (Method::POST, "/auth/reauthenticate", PASSWORD),
    (Method::POST, "/auth/password", PASSWORD),
    (Method::POST, "/auth/logout", PERSON),
    (Method::GET, "/auth/me", PERSON),
    (Method::GET, "/auth/sessions", PERSON),
    (Method::DELETE, "/auth/sessions", PERSON),
    (Method::DELETE, "/auth/sessions/{id}", PERSON),
    (Method::POST, "/auth/keys", KEYS),
    (Method::GET, "/auth/keys", KEYS),
    (Method::DELETE, "/auth/keys/{id}", KEYS),
    (Method::GET, "/admin/users", ADMIN),
    (Method::POST, "/admin/users", ADMIN),
    (Method::GET, "/admin/users/{id}", ADMIN),
    (Method::PATCH, "/admin/users/{id}", ADMIN),
    (Method::GET, "/admin/audit", ADMIN),
    (Method::POST, "/oauth/clients", KEYS),
    (Method::GET, "/oauth/clients", KEYS),
    (Method::DELETE, "/oauth/clients/{client_id}", KEYS),
    (Method::GET, "/oauth/grants", KEYS),
    (Method::DELETE, "/oauth/grants/{id}", KEYS),
    (Method::GET, "/oauth/authorize", PAGE),
    (Method::POST, "/oauth/authorize", PAGE),
    (Method::POST, "/oauth/token", TOKEN),
    (Method::POST, "/oauth/revoke", TOKEN),
    (Method::POST, "/oauth/introspect", TOKEN),
    (Method::GET, "/.well-known/oauth-authorization-server", PROBE),
    (Method::GET, "/", PAGE),
    (Method::GET, "/login", PAGE),
    (Method::POST, "/login", LOGIN),
    (Method::GET, "/register", PAGE),
    (Method::POST, "/register", REGISTRATION),
    (Method::POST, "/logout", PERSON),
    (Method::GET, "/access", PAGE),
    (Method::POST, "/access/revoke", PERSON),
    (Method::GET, "/assets/pages.css", PROBE),
    (Method::GET, "/assets/logo.svg", PROBE),
    (Method::GET, "/health", PROBE),
    (Method::GET, "/health/live", PROBE),
    (Method::GET, "/health/ready", PROBE),
    (Method::GET, "/openapi.json", PROBE),
    (Method::GET, "/docs", PROBE),
    (Method::GET, "/docs/", PROBE),
    (Method::GET, "/docs/errors", PROBE),
    (Method::GET, "/docs/{path}", PROBE),
];

/// What `method` of the path `pattern` needs. GET operations answer HEAD, too.
pub(crate) fn rule_of(method: &Method, pattern: &str) -> Option<Rule> {
    let method = if *method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    TABLE
        .iter()
        .find(|(own, path, _)| own == method && *path == pattern)
        .map(|(_, _, rule)| *rule)
}
