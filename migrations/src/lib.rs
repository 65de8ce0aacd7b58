//! The database schema: Arbion's tables, and the paper venue's.
