//! An API over a test's database, with one account and its keys.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::asset::{Asset, MarketHours};
use domain::id::AccountId;
use domain::money::Price;
use domain::quote::Quote;
use domain::risk::Limits;
use market::{CachedQuotes, MarketData, MarketError, Sim};
use platform::password::Passwords;
use platform::rate_limit::RateLimiter;
use platform::version::Started;
use platform::{ManualClock, SharedClock};
use poem::endpoint::BoxEndpoint;
use poem::http::{Method, StatusCode};
use poem::{Body, Endpoint as _, EndpointExt as _, Request, Response};
use queue::Queue;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use store::orders::RoleLimits;
use store::testing::{self, TestStore};
use store::{BootstrapOptions, Fees, NewApiKey, NewKey, Store};

use super::browser::{Browser, PASSWORD};
use crate::access::Scope;
use crate::app::{App, AppParts, Doors, Rules};
use crate::middleware::test_access::access;
use crate::oauth::OAuth;
use crate::serve::{TIMES, Times, router_within};

/// An instrument whose quotes are crossed: its bid is above its ask.
const CROSSED: &str = "NFLX";

/// How a test's API differs from a usual one.
#[derive(Clone, Copy)]
pub(super) struct Differences {
    pub(super) hours: MarketHours,
    pub(super) times: Times,
    /// Variables of the API's doors.
    pub(super) doors: &'static [(&'static str, &'static str)],
}

impl Default for Differences {
    fn default() -> Self {
        Self {
            hours: MarketHours::Ignore,
            times: TIMES,
            doors: &[],
        }
    }
}

/// An API over the database of a test.
pub(super) struct Site {
    pub(super) app: Arc<App>,
    router: BoxEndpoint<'static, Response>,
    key: NewApiKey,
    pub(super) store: Store,
    pub(super) account: AccountId,
    pub(super) now: DateTime<Utc>,
    clock: Arc<ManualClock>,
}

/// An answer, read whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) response: Response,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(super) fn is_error(&self) -> bool {
        self.status.is_client_error() || self.status.is_server_error()
    }

    /// The problem's code; whatever else it is must have the one form.
    pub(super) fn error(&self) -> (u16, String) {
        let problem = self.json();
        assert_eq!(
            self.response.content_type(),
            Some(crate::problem::CONTENT_TYPE),
            "{problem}"
        );
        let error = problem["error"].as_str().unwrap_or_else(|| panic!("{problem}"));
        assert_eq!(problem["type"], format!("/docs/errors#{error}"));
        (self.status.as_u16(), error.to_owned())
    }
}

/// The simulated market, with one instrument that nobody should believe.
struct Prices(Sim);

#[async_trait]
impl MarketData for Prices {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn quotes(&self, assets: &[Asset]) -> Result<Vec<Quote>, MarketError> {
        let mut quotes = self.0.quotes(assets).await?;
        for quote in &mut quotes {
            if assets
                .iter()
                .any(|asset| asset.id == quote.asset_id && asset.symbol == CROSSED)
            {
                quote.bid = Price::new(quote.ask.get() + Decimal::ONE).unwrap();
            }
        }
        Ok(quotes)
    }
}

fn rules(hours: MarketHours) -> Rules {
    let limits = Limits {
        order_notional: Decimal::from(50_000),
        day_notional: Decimal::from(1_000_000),
    };
    Rules {
        hours,
        limits: RoleLimits {
            standard: limits,
            admin: limits,
            superadmin: limits,
        },
        fees: Fees {
            equity_basis_points: Decimal::ZERO,
            crypto_basis_points: Decimal::from(25),
        },
        max_body_bytes: 4096,
        starting_cash: Decimal::from(100_000),
    }
}

/// Doors as in development, with these variables set.
fn doors_with(variables: &[(&str, &str)], clock: &Arc<ManualClock>) -> Doors {
    Doors {
        access: access(variables),
        is_production: false,
        session_secret: "a secret of more than thirty-two characters".into(),
        limiter: RateLimiter::new(None, Arc::clone(clock) as SharedClock),
        passwords: Passwords::default(),
        oauth: OAuth {
            issuer: "http://localhost:8080".to_owned(),
        },
    }
}

/// The instruments that ship with the product, and some with rules of their own.
fn assets() -> Vec<Asset> {
    let mut assets = market::catalog::assets();
    assets.push(Asset {
        tradable: false,
        ..testing::asset("HALTED")
    });
    assets.push(Asset {
        fractionable: false,
        ..testing::asset("WHOLE")
    });
    assets.push(Asset {
        min_trade_increment: Decimal::new(5, 1),
        ..testing::asset("HALF/USD")
    });
    // The simulation has never heard of it.
    assets.push(testing::asset("UNQUOTED"));
    assets
}

impl Site {
    pub(super) async fn over(test: &TestStore) -> Self {
        Self::with(test, Differences::default()).await
    }

    pub(super) async fn with(test: &TestStore, differences: Differences) -> Self {
        let store = test.store().clone();
        let now = testing::now();
        store.upsert_assets(&assets()).await.unwrap();
        let options = BootstrapOptions {
            email: "owner@example.org".into(),
            password_hash: None,
            starting_cash: Decimal::from(100_000),
            now,
        };
        let owner = store.bootstrap(&options).await.unwrap();
        let key = store
            .create_api_key(NewKey::new(
                owner.user_id,
                owner.account_id,
                "test",
                &Scope::ALL_WORDS,
                now,
            ))
            .await
            .unwrap();
        let hand = Arc::new(ManualClock::new(now));
        let clock: SharedClock = Arc::clone(&hand) as SharedClock;
        let Differences { hours, times, doors } = differences;
        let provider = Arc::new(Prices(Sim::new(1, Arc::clone(&clock)).with_hours(hours)));
        let quotes = CachedQuotes::new(provider, Arc::clone(&clock), hours, None);
        let parts = AppParts {
            store: store.clone(),
            queue: Queue::memory(),
            assets: store.all_assets().await.unwrap(),
            started: Started::now(clock.as_ref()),
            clock,
            rules: rules(hours),
            doors: doors_with(doors, &hand),
        };
        let app = App::new(parts, quotes);
        Self {
            clock: hand,
            router: router_within(times, Arc::clone(&app)).boxed(),
            app,
            key,
            store,
            account: owner.account_id,
            now,
        }
    }

    /// The same API, asked with a key that may only read.
    pub(super) async fn read_only(self) -> Self {
        self.with_scopes(&["data"]).await
    }

    /// The same API, asked with a key that may do what `scopes` say.
    pub(super) async fn with_scopes(mut self, scopes: &[&str]) -> Self {
        let owner = self.store.account_view(self.account).await.unwrap().unwrap();
        let new = NewKey::new(owner.user_id, self.account, "reader", scopes, self.now);
        self.key = self.store.create_api_key(new).await.unwrap();
        self
    }

    pub(super) fn key(&self) -> (&str, &str) {
        (&self.key.key_id, &self.key.secret)
    }

    /// Moves the time of day on.
    pub(super) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// The first superadmin, who has a password now and has just logged in.
    pub(super) async fn superadmin(&self) -> Browser<'_> {
        let hash = Passwords::default().hash(&PASSWORD.into()).await.unwrap();
        let options = BootstrapOptions {
            email: "owner@example.org".into(),
            password_hash: Some(hash),
            starting_cash: Decimal::from(100_000),
            now: self.now,
        };
        self.store.bootstrap(&options).await.unwrap();
        Browser::logged_in(self, "owner@example.org").await
    }

    /// Another paper account of the user who owns `account`.
    pub(super) async fn another_account(&self, account: &str) -> String {
        let account = AccountId(account.parse().unwrap());
        let owner = self.store.account_view(account).await.unwrap().unwrap().user_id;
        let made = self
            .store
            .create_account(owner, Decimal::from(100_000), self.now)
            .await;
        made.unwrap().account.to_string()
    }

    /// Asks with the public and the secret part of an API key.
    pub(super) async fn with_key(
        &self,
        key: (&str, &str),
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri_str(path)
            .content_type("application/json")
            .header("apca-api-key-id", key.0)
            .header("apca-api-secret-key", key.1);
        self.answer(request.body(body.to_string())).await
    }

    /// `seconds` after the time at which everything was made.
    pub(super) fn later(&self, seconds: i64) -> DateTime<Utc> {
        self.now + TimeDelta::seconds(seconds)
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let (id, secret) = self.key();
        let mut request = Request::builder()
            .method(method)
            .uri_str(path)
            .header("apca-api-key-id", id)
            .header("apca-api-secret-key", secret);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.body(body)).await
    }

    pub(super) async fn answer(&self, request: Request) -> Answer {
        let mut response = self.router.get_response(request).await;
        let text = response.take_body().into_string().await.unwrap();
        Answer {
            status: response.status(),
            response,
            text,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Body::empty()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], body.to_string()).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, &[], body.to_string()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Body::empty()).await
    }

    /// Places an order; answers its path.
    pub(super) async fn place(&self, body: &Value) -> String {
        let placed = self.post("/v2/orders", body).await;
        assert_eq!(placed.status, StatusCode::OK, "{}", placed.text);
        format!("/v2/orders/{}", placed.json()["id"].as_str().unwrap())
    }

    pub(super) async fn order_count(&self) -> usize {
        self.get("/v2/orders?status=all")
            .await
            .json()
            .as_array()
            .unwrap()
            .len()
    }
}

/// A body that never ends.
pub(super) fn endless() -> Body {
    Body::from_bytes_stream(futures::stream::pending::<Result<&[u8], std::io::Error>>())
}

/// No time for anything.
pub(super) const IN_NO_TIME: Differences = Differences {
    hours: MarketHours::Ignore,
    times: Times {
        body: Duration::ZERO,
        read: Duration::ZERO,
    },
    doors: &[],
};

pub(super) fn buy() -> Value {
    json!({"symbol": "BTC/USD", "notional": "50", "side": "buy", "type": "market", "time_in_force": "gtc"})
}

pub(super) fn rest() -> Value {
    json!({"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "1", "time_in_force": "day"})
}
