//! `arbion`: everything in one process, from the first start on; and the subcommands that need the database.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use api::{App, AppParts, Doors, Listening, Rules};
use migrations::{Migrator, migrate_at_start};
use platform::chain::ChainKey;
use platform::config::Config;
use platform::secrets::LocalSecrets;
use platform::telemetry::{self, LogWriter};
use platform::version::Started;
use platform::{Clock, SecretUrl, Shutdown, SystemClock};
use queue::Queue;
use scheduler::{SchedulerApp, SchedulerOptions};
use store::Store;
use thiserror::Error;
use worker::setup::{self as worker_setup, Parts};

use crate::key::{self, KeyFile};
use crate::welcome::Welcome;

/// The name of this process in logs and at the database.
const SERVICE: &str = "arbion";

/// Work was still running when the time to end was over.
#[derive(Debug, Error)]
#[error("some work did not end within SHUTDOWN_GRACE_SECONDS; it goes on at the next start")]
struct NotDrained;

/// Serves until SIGTERM or Ctrl-C, and then until what had begun is done. `print` tells the newcomer where everything is.
pub(crate) async fn serve(config: &Config, print: impl Fn(&str)) -> Result<(), Box<dyn Error>> {
    telemetry::init(config, SERVICE, LogWriter::Stderr);
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    // Before anything is written: a second server on the same port must not touch the data of the first.
    let listening = api::setup::listen(config).await?;
    let secrets = LocalSecrets::of(config)?;
    if secrets.created {
        tracing::info!(data_dir = %config.data_dir.display(), "created the secrets of this installation");
    }
    let parts = parts(config).await?;
    let key = match key::ensure(config, &parts.store, parts.clock.now()).await {
        // Orders and stops must not wait until somebody reads why there is none.
        Err(error) if error.is_of_the_key_alone() => {
            tracing::warn!(%error, "there is no first API key");
            None
        }
        key => Some(key?),
    };
    api::setup::seed_superadmin(config, &parts.store, parts.clock.now()).await?;
    let address = listening.address();
    let chain_key = ChainKey::newest_of(&secrets);
    start_worker_and_scheduler(config, parts.clone(), chain_key, &shutdown).await?;
    let doors = Doors::of(config, &secrets, &parts.clock)?;
    let server = start_api(config, parts, doors, listening, &shutdown).await?;
    if let Some(key) = &key {
        print(&welcome(config, address, key));
    }
    let result = tokio::select! {
        ended = server => ended?,
        () = shutdown.requested() => Ok(()),
    };
    let is_drained = shutdown.drain(config.shutdown_grace()).await;
    tracing::info!(is_drained, "stopped");
    result?;
    if is_drained {
        Ok(())
    } else {
        Err(NotDrained.into())
    }
}

/// What the three parts of the process share.
async fn parts(config: &Config) -> Result<Parts, Box<dyn Error>> {
    let clock = SystemClock::shared();
    let store = migrated_store(config).await?.0;
    store.upsert_assets(&market::catalog::assets()).await?;
    Ok(Parts {
        store,
        queue: Queue::of(config.redis_url.as_ref().map(SecretUrl::expose)),
        quotes: market::setup::quotes(config, &clock)?,
        clock,
    })
}

/// The database, migrated, and what was applied to it.
pub(crate) async fn migrated_store(config: &Config) -> Result<(Store, Vec<String>), Box<dyn Error>> {
    let store = Store::open_or_local(config, SERVICE).await?;
    let applied = migrate_at_start::<Migrator>(store.write()).await?;
    Ok((store, applied))
}

async fn start_worker_and_scheduler(
    config: &Config,
    parts: Parts,
    chain_key: ChainKey,
    shutdown: &Shutdown,
) -> Result<(), Box<dyn Error>> {
    let scheduler = SchedulerApp {
        store: parts.store.clone(),
        queue: parts.queue.clone(),
        clock: Arc::clone(&parts.clock),
        chain_key,
        hours: market::setup::hours(config),
        options: SchedulerOptions::of(config),
    };
    let worker = worker_setup::app(config, parts).await?;
    let until = shutdown.clone();
    shutdown.spawn("worker", async move { worker::run(worker, until).await });
    let (until, end) = (shutdown.clone(), shutdown.request_on_drop());
    shutdown.spawn("scheduler", async move {
        // A server whose clock stands still must not seem to work.
        let _end = end;
        scheduler::run(scheduler, until).await;
    });
    Ok(())
}

type Server = tokio::task::JoinHandle<std::io::Result<()>>;

async fn start_api(
    config: &Config,
    parts: Parts,
    doors: Doors,
    listening: Listening,
    shutdown: &Shutdown,
) -> Result<Server, Box<dyn Error>> {
    let assets = parts.store.all_assets().await?;
    let app_parts = AppParts {
        store: parts.store,
        queue: parts.queue,
        assets,
        started: Started::now(parts.clock.as_ref()),
        clock: parts.clock,
        rules: Rules::of(config),
        doors,
    };
    let app = App::new(app_parts, parts.quotes);
    let (until, grace) = (shutdown.clone(), config.shutdown_grace());
    Ok(shutdown.spawn("api", async move { listening.run(app, &until, grace).await }))
}

fn welcome(config: &Config, address: std::net::SocketAddr, key: &KeyFile) -> String {
    Welcome {
        address,
        key_file: &key.path,
        is_new_key: key.is_new,
        data_dir: &config.data_dir,
        market: config.market_data,
    }
    .text()
}

/// Migrates both schemas and says what was applied.
pub(crate) async fn migrate(config: &Config) -> Result<String, Box<dyn Error>> {
    let (store, mut applied) = migrated_store(config).await?;
    store.close().await?;
    applied.extend(worker_setup::migrate_paper(config).await?);
    let mut text = String::new();
    for name in &applied {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "applied {name}");
    }
    if applied.is_empty() {
        text.push_str("nothing to apply: both schemas are current\n");
    }
    Ok(text)
}

/// Makes an API key of the first superadmin and says where its headers are.
pub(crate) async fn api_key(config: &Config) -> Result<String, Box<dyn Error>> {
    let (store, _) = migrated_store(config).await?;
    let key = key::renew(config, &store, SystemClock.now()).await?;
    Ok(format!(
        "wrote the headers of a new API key to {}\n",
        key.path.display()
    ))
}
