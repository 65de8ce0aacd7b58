//! Job types and the queue port over apalis: signals that wake workers up; the database is the backlog.
