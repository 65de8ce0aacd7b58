//! Ticks by the clock: sweep, expire, reconcile, re-drive; one leader at a time.
