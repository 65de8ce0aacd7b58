//! Exact decimals as the databases keep them.
//!
//! PostgreSQL has `numeric`. SQLite has none: a column of any numeric affinity turns a decimal into a float, so there
//! it is text, written and read as such. What is read has no trailing zeros, so both databases give equal values.

use std::fmt;

use rust_decimal::Decimal;
use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, TryGetError, TryGetable, Value};
use serde::{Deserialize, Serialize};

macro_rules! decimal_column {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Decimal);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(Decimal::ZERO);
        }

        impl From<Decimal> for $name {
            fn from(value: Decimal) -> Self {
                Self(value)
            }
        }

        impl From<$name> for Decimal {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl From<$name> for Value {
            fn from(value: $name) -> Self {
                Self::Decimal(Some(value.0))
            }
        }

        impl Nullable for $name {
            fn null() -> Value {
                Value::Decimal(None)
            }
        }

        impl ValueType for $name {
            fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
                <Decimal as ValueType>::try_from(value).map(Self)
            }

            fn type_name() -> String {
                stringify!($name).to_owned()
            }

            fn array_type() -> ArrayType {
                Decimal::array_type()
            }

            fn column_type() -> ColumnType {
                Decimal::column_type()
            }
        }

        impl TryGetable for $name {
            fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
                read(row, index).map(Self)
            }
        }
    )+};
}

decimal_column! {
    /// A price, a quantity or an amount of money: at most nine decimals, 28 digits in all.
    Money,
    /// What one unit of an order's amount reserves or exposes: at most 18 decimals, 28 digits in all.
    Rate,
}

fn read<I: ColIdx>(row: &QueryResult, index: I) -> Result<Decimal, TryGetError> {
    let value = if row.try_as_sqlite_row().is_some() {
        let text = String::try_get_by(row, index)?;
        text.parse::<Decimal>().map_err(|error| {
            TryGetError::DbErr(DbErr::TryIntoErr {
                from: "TEXT",
                into: "Decimal",
                source: std::sync::Arc::new(error),
            })
        })?
    } else {
        Decimal::try_get_by(row, index)?
    };
    Ok(value.normalize())
}
