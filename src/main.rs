//! Arbion in one process.
fn main() {}
