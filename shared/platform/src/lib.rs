//! What every process needs around the business: configuration, clock, secrets, telemetry, shutdown and
//! Redis. It knows nothing of orders and depends on no other crate of the workspace.
//!
//! Reading order:
//!
//! 1. [`config`]: the one table of environment variables, and the typed [`Config`] parsed from it.
//! 2. [`clock`]: the only place that reads the time of day.
//! 3. [`secrets`]: random tokens, hashes, and the secrets of an installation that was given none.
//! 4. [`telemetry`]: log lines, for people or as JSON.
//! 5. [`shutdown`]: signals, tracked tasks, draining.
//! 6. [`redis`]: a connection that never blocks its caller for long, and says when it is down.
//! 7. [`rate_limit`]: how many requests are answered, counted by all processes together.
//! 8. [`password`]: which are let through, how they are hashed, how guessing is slowed down.
//! 9. [`vault`]: broker credentials, sealed for the database.
//! 10. [`chain`]: hashes that tell whether a row of a log was changed.
//! 11. [`group_commit`]: many callers, one writer, no timer.
//! 12. [`email`]: which two addresses are the same.
//! 13. [`exit`]: how a program ends that can't go on.
//! 14. `allocator`: how all programs that link this crate allocate memory.
//!
//! Invariants: nothing here waits for Redis without a limit; no secret is ever printed by a `Debug` or
//! `Display`; tests hand in their own lookups and clocks instead of changing the process.

mod allocator;
pub mod chain;
pub mod clock;
pub mod config;
pub mod email;
pub mod exit;
pub mod group_commit;
pub mod password;
pub mod rate_limit;
pub mod redis;
pub mod secret_url;
pub mod secrets;
pub mod shutdown;
pub mod telemetry;
#[cfg(any(test, feature = "test-support"))]
pub mod test_redis;
pub mod vault;
pub mod version;

pub use clock::{Clock, ManualClock, SharedClock, SystemClock};
pub use config::{Config, ConfigError};
pub use group_commit::GroupCommit;
pub use rate_limit::RateLimiter;
pub use secret_url::SecretUrl;
pub use shutdown::Shutdown;
pub use vault::Vault;
pub use version::VERSION;
