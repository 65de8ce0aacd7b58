//! What happens around every request, from the outside in:
//!
//! 1. [`RequestContext`]: the request's id, accepted from `X-Request-ID` if it is sane, and always answered;
//! 2. one log line, with route, status, latency and who asked;
//! 3. every error and every panic becomes a problem;
//! 4. paths are brought into the one form that the routes know ([`crate::paths`]);
//! 5. the body is limited in size and in time, and so is the time of reads.

mod body;
mod context;
mod observe;
mod pairs;
mod time;

pub use body::LimitBody;
pub use context::{REQUEST_ID, RequestContext};
pub use observe::Observe;
pub use pairs::RoutePairs;
pub use time::LimitReadTime;
