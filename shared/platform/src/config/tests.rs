//! The configuration is tested over lookups; no test reads or changes the process environment.
