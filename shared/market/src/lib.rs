//! The market-data port, its providers, and the quote cache.
