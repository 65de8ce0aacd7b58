//! The only place that knows SQL on Arbion's own tables.
