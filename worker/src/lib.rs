//! Job handlers: submit, cancel, replace, reconcile, sweep, feed the paper venue.
