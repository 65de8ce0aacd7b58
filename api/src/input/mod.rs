//! What clients send, read liberally: numbers, bodies, query parameters.

pub mod body;
pub mod decimal;
pub mod fields;
pub mod query;

pub use body::JsonBody;
pub use decimal::{Dec, LooseDec};
pub use fields::{Fields, shown};
