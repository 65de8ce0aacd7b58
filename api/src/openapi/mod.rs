//! The OpenAPI document: what poem-openapi knows from the code, finished in one place.
//!
//! poem-openapi 5 writes OpenAPI 3.0 and leaves out what it cannot see: which errors an operation has, that an absent
//! value is sent as null, and that an API key has two parts. `finish` adds all that; the finished document is served, is
//! the file `openapi.json`, and is where the table of paths comes from.

mod access_examples;
mod errors;
mod examples;
mod finish;

use poem::endpoint::BoxEndpoint;
use poem::{IntoEndpoint as _, Response};
use poem_openapi::OpenApiService;
use serde_json::Value;

use crate::routes::account::Account;
use crate::routes::admin::Admin;
use crate::routes::assets::Assets;
use crate::routes::audit::Audit;
use crate::routes::auth::Auth;
use crate::routes::auth::keys::Keys;
use crate::routes::auth::sessions::OwnSessions;
use crate::routes::calendar::CalendarApi;
use crate::routes::clock::ClockApi;
use crate::routes::events::Events;
use crate::routes::health::Health;
use crate::routes::oauth_apps::OAuthApps;
use crate::routes::orders::Orders;
use crate::routes::positions::Positions;
use crate::routes::triggers::Triggers;

type Apis = (
    Orders,
    Positions,
    Account,
    Assets,
    ClockApi,
    CalendarApi,
    Triggers,
    Events,
    Auth,
    OwnSessions,
    Keys,
    Admin,
    Audit,
    OAuthApps,
    Health,
);

const DESCRIPTION: &str = "A self-hosted order gateway that speaks Alpaca's Trading API v2: change the base URL of an \
    Alpaca client, and it works. Money, prices and quantities are strings in answers, exact decimals everywhere. Every \
    error is `application/problem+json`; see [/docs/errors](/docs/errors).";

fn api() -> OpenApiService<Apis, ()> {
    let apis = (
        Orders,
        Positions,
        Account,
        Assets,
        ClockApi,
        CalendarApi,
        Triggers,
        Events,
        Auth,
        OwnSessions,
        Keys,
        Admin,
        Audit,
        OAuthApps,
        Health,
    );
    OpenApiService::new(apis, "Arbion", platform::VERSION).description(DESCRIPTION)
}

/// The routes that the document describes.
pub(crate) fn service() -> BoxEndpoint<'static, Response> {
    api().into_endpoint()
}

/// The finished document.
pub(crate) fn document() -> Value {
    let mut document: Value = serde_json::from_str(&api().spec()).unwrap_or_default();
    finish::finish(&mut document);
    document
}

/// The document's text, as it is served and as it stands in the file.
pub(crate) fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

/// The text of `openapi.json`: the same for each build of the same code.
pub fn openapi_json() -> String {
    text(&document())
}

#[cfg(test)]
mod tests;
