//! Instruments that can be asked for.

use std::collections::HashMap;

use domain::asset::{Asset, AssetClass, UnknownAssetClass};
use domain::id::AssetId;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, IntoActiveModel, Iterable, QueryOrder};

use crate::entity::assets;
use crate::{Money, Store, StoreError};

/// Rows in one statement.
const ROWS_MAX: usize = 1_000;

/// How often a writer that met another one looks again.
const CONFLICTS_MAX: u32 = 5;

impl Store {
    /// Writes those of `listed` that are new or differ from what is there; the others stay as they are. Answers how many
    /// were written.
    pub async fn upsert_assets(&self, listed: &[Asset]) -> Result<usize, StoreError> {
        let mut again = 0;
        loop {
            match self.write_assets(listed).await {
                // Another process that starts wrote the same symbols meanwhile: what it wrote is known now.
                Err(StoreError::Conflict { .. }) if again < CONFLICTS_MAX => again += 1,
                result => return result,
            }
        }
    }

    async fn write_assets(&self, listed: &[Asset]) -> Result<usize, StoreError> {
        let known: HashMap<AssetId, Asset> = self
            .all_assets()
            .await?
            .into_iter()
            .map(|asset| (asset.id, asset))
            .collect();
        let mut rows: Vec<assets::Model> = listed
            .iter()
            .filter(|asset| known.get(&asset.id) != Some(asset))
            .map(row_of)
            .collect();
        // Two processes that write the same rows lock them in one order.
        rows.sort_by_key(|row| row.id);
        if rows.is_empty() {
            return Ok(0);
        }
        self.transaction("upsert_assets", async |tx| {
            for chunk in rows.chunks(ROWS_MAX) {
                let values = assets::Column::iter().filter(|column| !matches!(column, assets::Column::Id));
                assets::Entity::insert_many(chunk.iter().cloned().map(IntoActiveModel::into_active_model))
                    .on_conflict(
                        OnConflict::column(assets::Column::Id)
                            .update_columns(values)
                            .to_owned(),
                    )
                    .exec_without_returning(&*tx)
                    .await?;
            }
            Ok(rows.len())
        })
        .await
    }

    /// Every instrument, by symbol.
    pub async fn all_assets(&self) -> Result<Vec<Asset>, StoreError> {
        let rows = assets::Entity::find()
            .order_by_asc(assets::Column::Symbol)
            .all(self.read())
            .await?;
        rows.into_iter().map(asset_of).collect()
    }
}

fn row_of(asset: &Asset) -> assets::Model {
    assets::Model {
        id: asset.id.0,
        symbol: asset.symbol.clone(),
        class: asset.class.as_str().to_owned(),
        exchange: asset.exchange.clone(),
        name: asset.name.clone(),
        tradable: asset.tradable,
        fractionable: asset.fractionable,
        min_order_size: Money(asset.min_order_size),
        min_trade_increment: Money(asset.min_trade_increment),
        price_increment: Money(asset.price_increment),
    }
}

fn asset_of(row: assets::Model) -> Result<Asset, StoreError> {
    let class: AssetClass = row
        .class
        .parse()
        .map_err(|UnknownAssetClass| StoreError::Inconsistent {
            table: "assets",
            id: row.id.to_string(),
        })?;
    Ok(Asset {
        id: AssetId(row.id),
        symbol: row.symbol,
        class,
        exchange: row.exchange,
        name: row.name,
        tradable: row.tradable,
        fractionable: row.fractionable,
        min_order_size: row.min_order_size.0,
        min_trade_increment: row.min_trade_increment.0,
        price_increment: row.price_increment.0,
    })
}
