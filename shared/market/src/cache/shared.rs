//! The copy of quotes in Redis that all processes share. It is an economy, never a need: every failure is a miss.
//!
//! A read waits for one command, so at most [`platform::redis::COMMAND_TIMEOUT`]; after a time-out the handle answers at
//! once that Redis is down. So a Redis that hangs costs one reader a second a quarter of a second.

use std::collections::HashMap;
use std::future::Future;

use domain::asset::Asset;
use domain::id::AssetId;
use fred::clients::Client;
use fred::error::Error as FredError;
use fred::interfaces::KeysInterface as _;
use fred::types::Expiration;
use platform::redis::{RedisError, RedisHandle};

use super::entry::Entry;
use super::metrics::Counters;

/// How long Redis keeps a copy, in seconds: the greatest age that any purpose accepts.
const KEPT_SECONDS: i64 = 60;

/// The shared copies of one provider's quotes.
#[derive(Debug)]
pub(super) struct SharedCopies {
    redis: RedisHandle,
    provider: &'static str,
}

impl SharedCopies {
    /// The copies in the database of `redis`.
    pub(super) fn new(redis: RedisHandle, provider: &'static str) -> SharedCopies {
        SharedCopies { redis, provider }
    }

    /// The copies of `assets` that are there, whatever their age.
    pub(super) async fn read(&self, assets: &[Asset], counters: &Counters) -> HashMap<AssetId, Entry> {
        let keys: Vec<String> = assets.iter().map(|asset| self.key(asset.id)).collect();
        let read = |client: Client| async move { client.mget::<Vec<Option<String>>, _>(keys).await };
        let copies = self.call(read, counters).await.unwrap_or_default();
        let mut found = HashMap::new();
        for (asset, copy) in assets.iter().zip(copies) {
            match copy.as_deref().map(serde_json::from_str::<Entry>) {
                Some(Ok(entry)) => {
                    found.insert(asset.id, entry);
                }
                // Written by another version, perhaps: the next write replaces it.
                Some(Err(_)) => counters.redis_errors.increment(),
                None => {}
            }
        }
        found
    }

    /// Writes copies of those `entries` that hold a quote.
    pub(super) async fn write(&self, entries: &[(AssetId, Entry)], counters: &Counters) {
        let copies: Vec<(String, String)> = entries
            .iter()
            .filter(|(_, entry)| entry.quote.is_some())
            .filter_map(|(asset, entry)| Some((self.key(*asset), serde_json::to_string(entry).ok()?)))
            .collect();
        if copies.is_empty() {
            return;
        }
        let write = |client: Client| async move {
            let pipeline = client.pipeline();
            for (key, copy) in copies {
                let expiration = Some(Expiration::EX(KEPT_SECONDS));
                let () = pipeline.set(key, copy, expiration, None, false).await?;
            }
            pipeline.all::<Vec<()>>().await
        };
        // A copy that could not be written is fetched again by whoever misses it.
        let _ = self.call(write, counters).await;
    }

    /// Runs commands; `None` when no answer came.
    async fn call<T, F, Fut>(&self, commands: F, counters: &Counters) -> Option<T>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, FredError>>,
    {
        match self.redis.call(commands).await {
            Ok(answer) => Some(answer),
            Err(RedisError::Down) => None,
            Err(error @ (RedisError::TimedOut | RedisError::Command(_))) => {
                counters.redis_errors.increment();
                tracing::debug!(%error, "the shared quote cache did not answer");
                None
            }
        }
    }

    fn key(&self, asset: AssetId) -> String {
        format!("quote:{}:{asset}", self.provider)
    }
}
