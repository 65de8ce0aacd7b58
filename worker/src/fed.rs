//! Which quotes this process has handed over to brokers that fill by them: each once.
//!
//! Of orders that come together, the first hands the quote over, and the others wait until the broker has it: sent
//! before, they would rest until the next one.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use domain::id::AssetId;
use domain::quote::Quote;

/// What a broker was handed over of one instrument.
#[derive(Debug, Default)]
struct Last {
    quote: Option<Quote>,
    /// When handing over failed last.
    failed: Option<Instant>,
}

/// The quotes handed over.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    last: Mutex<HashMap<(&'static str, AssetId), Place>>,
}

/// The last quote of one instrument at one broker; whoever hands over holds it.
type Place = Arc<tokio::sync::Mutex<Last>>;

impl Fed {
    /// Lets `hand_over` happen unless `broker` has this very quote already. What fails (`None`) is tried again by those
    /// who come later, not by each of those who have waited for it.
    pub(crate) async fn once<T>(
        &self,
        broker: &'static str,
        quote: &Quote,
        hand_over: impl Future<Output = Option<T>>,
    ) -> Option<T> {
        let asked = Instant::now();
        let last = self.last_of(broker, quote.asset_id);
        let mut last = last.lock().await;
        if last.quote.as_ref() == Some(quote) || last.failed.is_some_and(|failed| asked <= failed) {
            return None;
        }
        let answer = hand_over.await;
        if answer.is_some() {
            last.quote = Some(quote.clone());
        } else {
            last.failed = Some(Instant::now());
        }
        answer
    }

    fn last_of(&self, broker: &'static str, asset: AssetId) -> Arc<tokio::sync::Mutex<Last>> {
        // Every change is one call on the map, so a panic elsewhere leaves it whole.
        let mut all = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((broker, asset)).or_default())
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use domain::money::{Price, Quantity};
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;

    fn quote(second: i64) -> Quote {
        let (price, size) = (
            Price::new(Decimal::TEN).unwrap(),
            Quantity::new(Decimal::ONE).unwrap(),
        );
        let at: DateTime<Utc> = "2026-11-24T15:00:00Z".parse().unwrap();
        Quote {
            asset_id: AssetId(Uuid::from_u128(1)),
            bid: price,
            bid_size: size,
            ask: price,
            ask_size: size,
            last: price,
            low: price,
            high: price,
            at: at + TimeDelta::seconds(second),
        }
    }

    #[tokio::test]
    async fn a_quote_is_handed_over_once_to_each_broker_and_again_when_that_failed() {
        let fed = Fed::default();
        assert_eq!(
            fed.once("paper", &quote(1), async { None::<u32> }).await,
            None,
            "it failed"
        );
        assert_eq!(fed.once("paper", &quote(1), async { Some(1) }).await, Some(1));
        assert_eq!(
            fed.once("paper", &quote(1), async { Some(2) }).await,
            None,
            "it has it"
        );
        assert_eq!(fed.once("other", &quote(1), async { Some(3) }).await, Some(3));
        assert_eq!(
            fed.once("paper", &quote(2), async { Some(4) }).await,
            Some(4),
            "a newer one"
        );
    }

    #[tokio::test]
    async fn those_who_come_together_wait_until_the_broker_has_the_quote() {
        let fed = Fed::default();
        let (told, wait) = tokio::sync::oneshot::channel::<()>();
        let now = quote(1);
        let first = fed.once("paper", &now, async { wait.await.ok() });
        let second = async {
            tokio::task::yield_now().await;
            let before = fed.last_of("paper", now.asset_id).try_lock().is_err();
            told.send(()).unwrap();
            (before, fed.once("paper", &now, async { Some(()) }).await)
        };
        assert_eq!(tokio::join!(first, second), (Some(()), (true, None)));
    }

    #[tokio::test]
    async fn those_who_waited_for_one_that_failed_do_not_fail_one_after_the_other() {
        let fed = Fed::default();
        let now = quote(1);
        let (told, wait) = tokio::sync::oneshot::channel::<()>();
        let first = fed.once("paper", &now, async {
            wait.await.unwrap();
            None::<()>
        });
        let second = fed.once("paper", &now, async { panic!("it would fail as well") });
        let end = async {
            tokio::task::yield_now().await;
            told.send(()).unwrap();
        };
        assert_eq!(tokio::join!(first, second, end), (None::<()>, None::<()>, ()));
        assert_eq!(
            fed.once("paper", &now, async { Some(()) }).await,
            Some(()),
            "a later one tries"
        );
    }
}
