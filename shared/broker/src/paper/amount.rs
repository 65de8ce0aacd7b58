//! Exact decimals as the venue's database keeps them.
//!
//! PostgreSQL has `numeric`; on SQLite, where any number with a fraction would become a float, the column is text. What
//! is read has no trailing zeros, so both databases give equal values.

use std::sync::Arc;

use rust_decimal::Decimal;
use sea_orm::{ColIdx, DbErr, QueryResult, TryGetError, TryGetable};

/// A decimal column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AmountColumn(pub(super) Decimal);

impl TryGetable for AmountColumn {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let value = if row.try_as_sqlite_row().is_some() {
            let text = String::try_get_by(row, index)?;
            text.parse().map_err(|error| {
                TryGetError::DbErr(DbErr::TryIntoErr {
                    from: "TEXT",
                    into: "Decimal",
                    source: Arc::new(error) as Arc<dyn std::error::Error + Send + Sync>,
                })
            })?
        } else {
            Decimal::try_get_by(row, index)?
        };
        Ok(Self(value.normalize()))
    }
}
