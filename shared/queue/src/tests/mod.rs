//! The promises of the queue, each against a real Redis of its own or the embedded queue.

mod capacity;
mod faults;
mod flow;
mod latency;
mod restarts;
mod support;
