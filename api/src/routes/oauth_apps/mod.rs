//! `/oauth/clients` and `/oauth/grants`: the apps that somebody has registered, and those that can act for them. Arbion's
//! own: unknown fields are refused.
//!
//! A person in a browser sees and does everything that is theirs. A credential with `arbion:keys` sees and does it for
//! its own account, and cannot register an app that may do more than itself: otherwise that scope would be all scopes.

mod register;

use std::sync::Arc;

use domain::id::AccountId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use store::OAuthClient;
use store::audit_log::AuditKind;
use store::oauth::{CLIENTS_MAX, ConnectedApp, Registration};
use uuid::Uuid;

pub(crate) use self::register::read;
use super::Tag;
use crate::app::App;
use crate::auth::{Principal, SessionUser};
use crate::idempotency::NoIdempotencyKey;
use crate::input::JsonBody;
use crate::input::query::{PAGE_DEFAULT, Param, page_limit, refuse_unknown};
use crate::problem::{Code, Problem, or_absent};
use crate::record::Record;
use crate::wire::{ClientTypeName, GrantTypeName, Time};

/// How many grants a page has at most.
const PAGE_MAX: u64 = 500;

/// The resource.
pub(crate) struct OAuthApps;

/// An app to register.
#[derive(Object)]
#[oai(rename = "RegisterClient")]
pub(crate) struct RegisterClientBody {
    /// What people see when they are asked, 1 to 64 characters.
    name: String,
    /// `confidential` where the app can keep a secret (it runs on a server), else `public`.
    client_type: ClientTypeName,
    /// Where answers may be sent, compared to the byte: `https://…`, `http://127.0.0.1/…`, `http://[::1]/…`,
    /// `http://localhost/…` or a private scheme such as `com.example.app:/…`.
    redirect_uris: Option<Vec<String>>,
    /// `authorization_code` (people let it act; with refresh tokens) and `client_credentials` (it acts for this account);
    /// left out, the first where there are redirect URIs, else the second.
    grant_types: Option<Vec<GrantTypeName>>,
    /// The most that it may ask for; left out, `data`.
    scopes: Option<Vec<String>>,
}

/// An app.
#[derive(Object)]
#[oai(rename = "Client")]
pub(crate) struct ClientView {
    /// Its public name in the protocol.
    client_id: String,
    /// What people see.
    name: String,
    /// Whether it can keep a secret.
    client_type: ClientTypeName,
    /// Where answers may be sent.
    redirect_uris: Vec<String>,
    /// How it may get tokens.
    grant_types: Vec<String>,
    /// The most that it may ask for.
    scopes: Vec<String>,
    /// The account that it reaches by its own credentials.
    account_id: String,
    /// When it was registered.
    created_at: Time,
}

impl ClientView {
    fn of(client: &OAuthClient) -> Self {
        Self {
            client_id: client.client_id.clone(),
            name: client.name.clone(),
            client_type: ClientTypeName(if client.is_public() {
                "public"
            } else {
                "confidential"
            }),
            redirect_uris: client.redirect_uris.clone(),
            grant_types: client.grant_types.clone(),
            scopes: client.scopes.clone(),
            account_id: client.account.to_string(),
            created_at: Time(client.created_at),
        }
    }
}

/// An app that was just registered.
#[derive(Object)]
#[oai(rename = "RegisteredClient")]
pub(crate) struct RegisteredView {
    /// The app.
    client: ClientView,
    /// Its secret, shown this once; null for a public app.
    client_secret: Option<String>,
}

/// An app that can act for you.
#[derive(Object)]
#[oai(rename = "Grant")]
pub(crate) struct GrantView {
    /// The grant's id.
    id: String,
    /// The app's public name in the protocol.
    client_id: String,
    /// The app's name.
    name: String,
    /// The account that it reaches.
    account_id: String,
    /// The account's number.
    account_number: String,
    /// What it may do.
    scopes: Vec<String>,
    /// When you agreed.
    created_at: Time,
    /// When it was last there, to about a minute.
    last_used_at: Option<Time>,
}

impl GrantView {
    fn of(app: ConnectedApp) -> Self {
        Self {
            id: app.id.to_string(),
            client_id: app.client_id,
            name: app.name,
            account_id: app.account.to_string(),
            account_number: app.account_number,
            scopes: app.scopes,
            created_at: Time(app.created_at),
            last_used_at: app.last_used_at.map(Time),
        }
    }
}

/// An app was registered.
#[derive(ApiResponse)]
pub(crate) enum Registered {
    /// The app and its secret.
    #[oai(status = 201)]
    Client(Json<RegisteredView>),
}

/// Something was taken back.
#[derive(ApiResponse)]
pub(crate) enum Revoked {
    /// It lets nobody do anything any more.
    #[oai(status = 204)]
    Done,
}

/// The one who manages apps: a person in a browser, or a credential for its own account.
struct Manager<'a> {
    principal: &'a Principal,
    is_person: bool,
}

impl<'a> Manager<'a> {
    fn of(request: &Request, principal: &'a Principal) -> Self {
        let is_person = request.data::<SessionUser>().is_some();
        Self { principal, is_person }
    }

    /// The account to which this one is bound.
    fn account(&self) -> Option<AccountId> {
        (!self.is_person).then_some(self.principal.account)
    }
}

#[OpenApi(prefix_path = "/oauth", tag = "Tag::Apps")]
impl OAuthApps {
    /// Register an app
    ///
    /// The app can then ask people, at `/oauth/authorize`, to let it act for them. Its secret is shown this once.
    #[oai(path = "/clients", method = "post", operation_id = "register_client")]
    async fn register_client(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        record: Record,
        _key: NoIdempotencyKey,
        body: JsonBody<RegisterClientBody>,
    ) -> poem::Result<Registered> {
        let (new, scopes) = read(&mut body.fields()?, &principal)?;
        principal.require_all(&scopes)?;
        let event = record.event(AuditKind::OauthClientRegistered, app.now());
        let registration = app
            .store
            .register_oauth_client_on_record(&new, event, app.now())
            .await;
        match registration.map_err(Problem::from)? {
            Registration::Registered { client, secret } => {
                let client = ClientView::of(&client);
                Ok(Registered::Client(Json(RegisteredView {
                    client,
                    client_secret: secret,
                })))
            }
            Registration::TooMany => {
                let detail = format!("you have {CLIENTS_MAX} apps already: take one back first");
                Err(Problem::new(Code::TooManyClients, detail).into())
            }
        }
    }

    /// List your apps
    ///
    /// Those that you have registered, the oldest first.
    #[oai(path = "/clients", method = "get", operation_id = "list_clients")]
    async fn list_clients(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        request: &Request,
    ) -> poem::Result<Json<Vec<ClientView>>> {
        let manager = Manager::of(request, &principal);
        refuse_unknown(request, &[])?;
        let clients = app
            .store
            .oauth_clients_of(principal.user, manager.account())
            .await;
        let clients = clients.map_err(Problem::from)?;
        Ok(Json(clients.iter().map(ClientView::of).collect()))
    }

    /// Take an app back
    ///
    /// At once nobody's tokens of it work any more.
    #[oai(
        path = "/clients/:client_id",
        method = "delete",
        operation_id = "revoke_client"
    )]
    async fn revoke_client(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        record: Record,
        request: &Request,
        _key: NoIdempotencyKey,
        /// The app's public name.
        client_id: Path<String>,
    ) -> poem::Result<Revoked> {
        let manager = Manager::of(request, &principal);
        let client_id = client_id.as_str();
        let (user, account) = (principal.user, manager.account());
        // NUL is no character of any text that PostgreSQL could be asked for.
        if client_id.contains('\0') {
            return Err(client_not_found().into());
        }
        let revoking = app.store.revoke_oauth_client(user, account, client_id, app.now());
        revoking
            .await
            .map_err(|error| or_absent(error, client_not_found))?;
        app.forget_credentials();
        app.audit(&record.about(client_id), AuditKind::OauthClientRevoked)
            .await?;
        Ok(Revoked::Done)
    }

    /// List connected apps
    ///
    /// Those that can act for you, by id, which is the order in which you agreed.
    #[oai(path = "/grants", method = "get", operation_id = "list_grants")]
    async fn list_grants(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        request: &Request,
        /// Only those after this one: the last id of the page before.
        Query(after): Query<Param<Uuid>>,
        /// How many at most: 50 unless given, 500 at most.
        Query(limit): Query<Param<u64>>,
    ) -> poem::Result<Json<Vec<GrantView>>> {
        let manager = Manager::of(request, &principal);
        refuse_unknown(request, &["after", "limit"])?;
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        let grants = app
            .store
            .oauth_grants_of(principal.user, manager.account(), after.get(), limit, app.now())
            .await;
        let grants = grants.map_err(Problem::from)?;
        Ok(Json(grants.into_iter().map(GrantView::of).collect()))
    }

    /// Disconnect an app
    ///
    /// At once its tokens of this grant work no more.
    #[oai(path = "/grants/:id", method = "delete", operation_id = "revoke_grant")]
    async fn revoke_grant(
        &self,
        Data(app): Data<&Arc<App>>,
        principal: Principal,
        record: Record,
        request: &Request,
        _key: NoIdempotencyKey,
        /// The grant's id.
        id: Path<String>,
    ) -> poem::Result<Revoked> {
        let manager = Manager::of(request, &principal);
        let grant: Uuid = id.parse().map_err(|_| grant_not_found())?;
        let (user, account) = (principal.user, manager.account());
        let revoking = app.store.revoke_oauth_grant(user, account, grant, app.now());
        revoking
            .await
            .map_err(|error| or_absent(error, grant_not_found))?;
        app.forget_credentials();
        app.audit(&record.about(&grant), AuditKind::OauthGrantRevoked)
            .await?;
        Ok(Revoked::Done)
    }
}

fn client_not_found() -> Problem {
    Problem::new(Code::ClientNotFound, "app not found")
}

fn grant_not_found() -> Problem {
    Problem::new(Code::GrantNotFound, "connected app not found")
}
