//! The last believed price of each instrument, which outlives restarts.

use std::collections::HashMap;

use domain::id::AssetId;
use domain::money::Price;
use domain::quote::PriceMark;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, Statement};

use crate::entity::price_marks::{Column, Entity, Model};
use crate::rows::{Rows, Upsert, insert_statement};
use crate::{Money, Store, StoreError};

/// Rows in one statement.
const ROWS_MAX: usize = 1_000;

impl Store {
    /// The marks of `assets`; those that have none are absent.
    pub async fn price_marks(&self, assets: &[AssetId]) -> Result<HashMap<AssetId, PriceMark>, StoreError> {
        let mut marks = HashMap::with_capacity(assets.len());
        for chunk in assets.chunks(ROWS_MAX) {
            let rows = Entity::find()
                .filter(Column::AssetId.is_in(chunk.iter().map(|asset| asset.0)))
                .all(self.read())
                .await?;
            for row in rows {
                marks.insert(AssetId(row.asset_id), mark_of(&row)?);
            }
        }
        Ok(marks)
    }

    /// Writes `marks`, one for each asset; a mark that is older than the one that is there is left out.
    pub async fn write_price_marks(&self, marks: &HashMap<AssetId, PriceMark>) -> Result<(), StoreError> {
        let mut rows: Vec<Model> = marks.iter().map(|(asset, mark)| row_of(*asset, mark)).collect();
        // Two processes that write the same rows lock them in one order.
        rows.sort_by_key(|row| row.asset_id);
        if rows.is_empty() {
            return Ok(());
        }
        let upsert = Upsert {
            keys: &["asset_id"],
            set: &["price", "at", "suspect_price", "suspect_at"],
        };
        let backend = self.backend();
        self.transaction("write_price_marks", async |tx| {
            for chunk in rows.chunks(ROWS_MAX) {
                let chunk = chunk.iter().cloned().map(IntoActiveModel::into_active_model);
                let rows = Rows::of(chunk.collect());
                let (sql, values) = insert_statement("price_marks", &rows, Some(upsert), backend, 1);
                // The newest wins.
                let sql = format!("{sql} WHERE price_marks.at <= excluded.at");
                tx.execute_raw(Statement::from_sql_and_values(backend, sql, values))
                    .await?;
            }
            Ok(())
        })
        .await
    }
}

fn row_of(asset: AssetId, mark: &PriceMark) -> Model {
    Model {
        asset_id: asset.0,
        price: Money(mark.price.get()),
        at: mark.at,
        suspect_price: mark.suspect.map(|(price, _)| Money(price.get())),
        suspect_at: mark.suspect.map(|(_, at)| at),
    }
}

fn mark_of(row: &Model) -> Result<PriceMark, StoreError> {
    let price = |value: Money| {
        Price::new(value.0).map_err(|_| StoreError::Inconsistent {
            table: "price_marks",
            id: row.asset_id.to_string(),
        })
    };
    Ok(PriceMark {
        price: price(row.price)?,
        at: row.at,
        suspect: match (row.suspect_price, row.suspect_at) {
            (Some(suspect), Some(at)) => Some((price(suspect)?, at)),
            _ => None,
        },
    })
}
