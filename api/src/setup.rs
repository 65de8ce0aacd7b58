//! Builds the parts of the API's process from the configuration.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use migrations::{MigrateError, Migrator, migrate_at_start};
use platform::config::Config;
use platform::password::{ChoiceError, Passwords};
use platform::redis::RedisUrlError;
use platform::secrets::{LocalSecrets, SecretsError};
use platform::version::Started;
use platform::{SecretUrl, SharedClock};
use queue::Queue;
use store::connect::OpenError;
use store::{BootstrapOptions, Login, Role, Store, StoreError, UserFilter};
use thiserror::Error;

use crate::app::{App, AppParts, Doors, Rules};
use crate::serve::Listening;

/// The name of this program in logs and at the database.
pub const SERVICE: &str = "arbion-api";

/// Why the API can't start.
#[derive(Debug, Error)]
pub enum SetupError {
    /// No database is named, or it can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database did not do its part.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    /// The schema could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The first superadmin's password is not let through, or can't be hashed.
    #[error("cannot use SUPERADMIN_PASSWORD")]
    Password(#[from] ChoiceError),
    /// `SUPERADMIN_EMAIL` is the address of somebody else.
    #[error(
        "SUPERADMIN_EMAIL is {email}, a user with the role {role}; take another address, or give this user the role"
    )]
    NotSuperadmin {
        /// The address.
        email: String,
        /// The user's role.
        role: Role,
    },
    /// The secrets of the installation can't be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Redis has another kind of URL.
    #[error(transparent)]
    Redis(#[from] RedisUrlError),
    /// There are no prices.
    #[error(transparent)]
    Market(#[from] market::setup::SetupError),
    /// The port can't be opened.
    #[error("cannot listen on {address}; set PORT or BIND_ADDRESS to another one")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Opens the port.
pub async fn listen(config: &Config) -> Result<Listening, SetupError> {
    let address = config.listen_address();
    let listening = Listening::bind(address).await;
    listening.map_err(|source| SetupError::Listen { address, source })
}

/// Gives the first superadmin the password of `SUPERADMIN_PASSWORD`, where one is set and the superadmin has none yet: the
/// first start decides, and the person afterwards. Makes the superadmin with a paper account, if there is none.
pub async fn seed_superadmin(config: &Config, store: &Store, now: DateTime<Utc>) -> Result<(), SetupError> {
    let Some(password) = &config.superadmin_password else {
        return Ok(());
    };
    let email = &config.superadmin_email;
    let login = match superadmin(email, store).await {
        Err(other @ SetupError::NotSuperadmin { .. }) if has_superadmin(store).await? => {
            tracing::warn!(reason = %other, "SUPERADMIN_PASSWORD counts for nobody");
            return Ok(());
        }
        login => login?,
    };
    if login.is_some_and(|login| login.password_hash.is_some()) {
        return Ok(());
    }
    let password_hash = Some(Passwords::default().choose(password, email).await?);
    let options = BootstrapOptions {
        email: email.clone(),
        password_hash,
        starting_cash: config.paper_starting_cash,
        now,
    };
    store.bootstrap(&options).await?;
    Ok(())
}

/// Whether somebody administers already, who may have given another role to the one of `SUPERADMIN_EMAIL`.
async fn has_superadmin(store: &Store) -> Result<bool, StoreError> {
    let superadmins = UserFilter {
        role: Some(Role::Superadmin),
        is_active: Some(true),
        email_prefix: None,
    };
    Ok(!store.users_page(&superadmins, None, 1).await?.is_empty())
}

/// The first superadmin, if there is one yet.
///
/// Fails with [`SetupError::NotSuperadmin`] when `email`, that of `SUPERADMIN_EMAIL`, is the address of somebody else.
pub async fn superadmin(email: &str, store: &Store) -> Result<Option<Login>, SetupError> {
    match store.find_login(email).await? {
        Some(Login { role, .. }) if role != Role::Superadmin => Err(SetupError::NotSuperadmin {
            email: email.to_owned(),
            role,
        }),
        login => Ok(login),
    }
}

/// Everything that the API's process needs. Needs a tokio runtime.
pub async fn app(config: &Config, clock: SharedClock) -> Result<Arc<App>, SetupError> {
    let store = Store::open(config, SERVICE).await?;
    migrate_at_start::<Migrator>(store.write()).await?;
    store.upsert_assets(&market::catalog::assets()).await?;
    seed_superadmin(config, &store, clock.now()).await?;
    let quotes = market::setup::quotes(config, &clock)?;
    let doors = Doors::of(config, &LocalSecrets::of(config)?, &clock)?;
    let parts = AppParts {
        assets: store.all_assets().await?,
        store,
        queue: Queue::of(config.redis_url.as_ref().map(SecretUrl::expose)),
        started: Started::now(clock.as_ref()),
        clock,
        rules: Rules::of(config),
        doors,
    };
    Ok(App::new(parts, quotes))
}
