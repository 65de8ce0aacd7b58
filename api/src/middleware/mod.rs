//! What happens around every request, from the outside in:
//!
//! 1. [`ClientAddress`]: where the request comes from, by the peer and the proxies that are trusted;
//! 2. every answer gets the headers that browsers shall mind;
//! 3. [`RequestContext`]: the request's id, accepted from `X-Request-ID` if it is sane, and always answered; one log line,
//!    with route, status, latency and who asked; every error and every panic becomes a problem;
//! 4. the burst shield counts, before anything costs anything;
//! 5. what came without TLS is answered, redirected or refused;
//! 6. pages of other origins are let in or not, and preflights answered;
//! 7. errors of all layers within are answers from here on;
//! 8. paths are brought into the one form that the routes know ([`crate::paths`]);
//! 9. the body is limited in size and in time;
//! 10. the gate ([`crate::access`]) finds out who asks, counts, and admits;
//! 11. the time of reads is limited.

mod answer;
mod body;
mod client;
mod context;
mod cors;
mod headers;
mod https;
mod observe;
mod pairs;
mod shield;
#[cfg(test)]
pub(crate) mod test_access;
mod time;

pub use answer::AnswerErrors;
pub use body::LimitBody;
pub(crate) use client::client_of;
pub use client::{ClientAddress, FindClient, RateKey};
pub use context::{REQUEST_ID, RequestContext};
pub use cors::{AllowOrigins, is_expected};
pub use headers::SecureHeaders;
pub use https::RequireHttps;
pub use observe::Observe;
pub use pairs::RoutePairs;
pub use shield::ShieldBursts;
pub use time::LimitReadTime;
