//! The seals of the logs: made by the store's sealer, verified, and broken behind the product's back.

mod planted;
mod sealing;
mod support;
