//! The paper venue, in preparation.
