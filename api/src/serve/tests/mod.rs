//! The whole router over a real store: what only shows when all layers stand together. Every body runs on both databases.

mod browser;
mod day;
mod doors;
mod errors;
mod expiry;
mod matrix;
mod oauth;
mod oauth_apps;
mod once;
mod people;
mod site;
mod venue;
