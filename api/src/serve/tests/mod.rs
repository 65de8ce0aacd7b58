//! The whole router over a real store: what only shows when all layers stand together. Every body runs on both databases.

mod day;
mod errors;
mod expiry;
mod once;
mod site;
mod venue;
