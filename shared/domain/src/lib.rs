//! The business of Arbion, as pure decisions.
//!
//! Nothing here does IO, reads a clock, logs or waits: every function takes what it needs, `now` included, and answers
//! with a value. A newcomer reads it in this order:
//!
//! 1. [`money`], [`id`], [`asset`]: the values everything else is made of;
//! 2. [`order`]: what someone asks for, and what Arbion holds on to;
//! 3. [`lifecycle`]: the facts of an order, its phase, and the one table of legal moves;
//! 4. [`fill`], [`position`], [`account`]: what a fill changes;
//! 5. [`quote`], [`calendar`]: when a price may be believed, and when a market is open;
//! 6. [`risk`]: whether an order may leave;
//! 7. [`trigger`]: whether a stop fires;
//! 8. [`reconcile`]: what a broker's report means for an order of ours;
//! 9. [`fill_model`]: what the paper venue would fill at a quote.

pub mod account;
pub mod asset;
pub mod calendar;
pub mod fill;
pub mod fill_model;
pub mod id;
pub mod lifecycle;
pub mod money;
pub mod order;
pub mod position;
pub mod quote;
pub mod reconcile;
pub mod risk;
pub mod trigger;
