//! Waiting for something to become true, never for time to pass.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `look` answers something, and answers that; fails when `what` does not happen in time.
pub(crate) async fn eventually<T, F>(what: &str, look: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    within(PATIENCE, what, look).await
}

/// [`eventually`], with less patience, or more.
pub(crate) async fn within<T, F>(patience: Duration, what: &str, mut look: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "it did not happen within {patience:?}: {what}"
        );
        pause().await;
    }
}

/// The pause between two looks.
pub(crate) async fn pause() {
    tokio::time::sleep(LOOK_EVERY).await;
}
