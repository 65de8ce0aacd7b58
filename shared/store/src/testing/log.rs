//! Log lines of a test, as they are in production.

use std::sync::LazyLock;

use platform::Config;
use platform::telemetry::{self, LogBuffer, LogWriter};
use tracing::Dispatch;

/// JSON lines into `buffer`, for `WithSubscriber` around what a test does.
pub fn json_log(buffer: &LogBuffer) -> Dispatch {
    // While there is only one, tracing asks the thread that reaches a line first whether anybody listens, and believes
    // the answer for all threads.
    static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| dispatch_to(&LogBuffer::new()));
    LazyLock::force(&ANOTHER);
    dispatch_to(buffer)
}

fn dispatch_to(buffer: &LogBuffer) -> Dispatch {
    let find = |name: &str| (name == "LOG_FORMAT").then(|| "json".to_owned());
    let config = Config::from_lookup(find).unwrap();
    telemetry::dispatch(&config, "test", LogWriter::Buffer(buffer.clone()))
}
