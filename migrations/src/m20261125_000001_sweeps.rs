//! Indexes with which a sweep over many triggers costs what fires, and nothing else.

use crate::dialect::SqlMigration;

/// Puts the armed triggers in a full order, and the live ones beside their positions.
///
/// The first index takes the place of `triggers_armed`, which ended at the price: a search that goes on behind the last
/// trigger it has seen needs an order without ties. The release before finds what it needs in it, too.
pub(crate) const MIGRATION: SqlMigration = SqlMigration {
    name: "m20261125_000001_sweeps",
    sql: "
CREATE INDEX triggers_through ON triggers (asset_id, reference, direction, price_key, id) WHERE state = 'armed';

DROP INDEX triggers_armed;

-- What protects this position: asked when one is made, and when a position becomes flat.
CREATE INDEX triggers_position ON triggers (account_id, asset_id) WHERE state IN ('armed', 'firing');
",
};
