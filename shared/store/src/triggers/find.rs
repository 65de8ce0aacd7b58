//! Finding the triggers that prices are through.
//!
//! 1. One statement asks for all quotes: each instrument's triggers stand in the index by their price, so a search reads
//!    what is through, never the others.
//! 2. It asks only where triggers stand at all ([`Watch`]): of the eight places that an instrument has in the index, most
//!    are empty, and each would cost a look.
//! 3. A search goes on page by page behind the last trigger that it has seen: it shows each once, however many pause, and
//!    never holds more than a page.
//! 4. SQL compares price keys; the caller decides each trigger on the exact price.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AssetId, TriggerId};
use domain::quote::Quote;
use domain::trigger::{Direction, PriceKey, Reference, Trigger, TriggerState};
use sea_orm::{DbBackend, EntityTrait, FromQueryResult, Statement, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::Store;
use crate::entity::triggers;
use crate::error::StoreError;
use crate::orders::row::trigger_of;
use crate::rows::Rows;

/// A trigger that was armed again waits this long at the most before it fires again.
const REARM_PAUSE_MAX: TimeDelta = TimeDelta::minutes(5);

/// Triggers that stand beside each other in the index: they compare the same price of the same instrument, and wait for
/// it to go the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watch {
    /// The instrument.
    pub asset_id: AssetId,
    reference: &'static str,
    direction: &'static str,
}

/// A search for the triggers that some quotes may fire.
#[derive(Debug, Clone)]
pub struct Search {
    open: BTreeMap<Watch, Range>,
    page: usize,
}

/// What is still to be read of them: behind `after`, up to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    after: (i64, Uuid),
    last: i64,
}

/// How many triggers of a watch a page has shown, and the last of them.
type Seen = (usize, (i64, Uuid));

/// One page of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Armed triggers whose price key is through.
    pub triggers: Vec<Trigger>,
    /// Rows that no trigger can be read from, with their instruments.
    pub unreadable: Vec<(TriggerId, AssetId)>,
}

impl Watch {
    const fn new(asset_id: AssetId, reference: Reference, direction: Direction) -> Self {
        Self {
            asset_id,
            reference: reference.as_str(),
            direction: direction.as_str(),
        }
    }

    fn of(row: &WatchRow) -> Option<Self> {
        let reference = Reference::ALL
            .into_iter()
            .find(|reference| reference.as_str() == row.reference)?;
        let direction = Direction::ALL
            .into_iter()
            .find(|direction| direction.as_str() == row.direction)?;
        Some(Self::new(AssetId(row.asset_id), reference, direction))
    }
}

impl Search {
    /// A search for what `quotes` may fire, in pages of about `page` triggers.
    pub fn new(quotes: &[Quote], page: usize) -> Self {
        let mut open = BTreeMap::new();
        for quote in quotes {
            for reference in Reference::ALL {
                let price = reference.of(quote);
                for direction in Direction::ALL {
                    let key = PriceKey::rounded(price, direction).0;
                    // No trigger has the least id, so nothing at the edge is left out.
                    let (first, last) = match direction {
                        Direction::Falling => (key, i64::MAX),
                        Direction::Rising => (i64::MIN, key),
                    };
                    let range = Range {
                        after: (first, Uuid::nil()),
                        last,
                    };
                    open.insert(Watch::new(quote.asset_id, reference, direction), range);
                }
            }
        }
        Self {
            open,
            page: page.max(1),
        }
    }

    /// The same, for these watches only.
    #[must_use]
    pub fn among(mut self, watches: &BTreeSet<Watch>) -> Self {
        self.open.retain(|watch, _| watches.contains(watch));
        self
    }

    /// Whether everything was seen.
    pub fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// How many triggers the next page takes of each watch.
    fn share(&self) -> usize {
        (self.page / self.open.len().max(1)).max(1)
    }

    fn rows(&self) -> Rows {
        let names = [
            "asset_id",
            "reference",
            "direction",
            "after_key",
            "after_id",
            "last_key",
        ];
        let row = |(watch, range): (&Watch, &Range)| {
            vec![
                Value::from(watch.asset_id.0),
                watch.reference.into(),
                watch.direction.into(),
                range.after.0.into(),
                range.after.1.into(),
                range.last.into(),
            ]
        };
        Rows::new(&names, self.open.iter().map(row).collect())
    }

    /// Takes note of a page, of which each watch showed its first `share` triggers; those that showed fewer are over.
    fn advance(&mut self, found: &[triggers::Model], share: usize) {
        let mut seen: BTreeMap<(Uuid, &str, &str), Seen> = BTreeMap::new();
        for row in found {
            let entry = seen
                .entry((row.asset_id, &row.reference, &row.direction))
                .or_insert((0, (i64::MIN, Uuid::nil())));
            entry.0 += 1;
            entry.1 = entry.1.max((row.price_key, row.id));
        }
        self.open.retain(|watch, range| {
            let Some((count, last)) = seen.get(&(watch.asset_id.0, watch.reference, watch.direction)) else {
                return false;
            };
            range.after = *last;
            *count >= share
        });
    }
}

/// The pause of a trigger that has been armed `generation` times: none at first, then 2 s doubling.
fn pause_of(generation: i32) -> TimeDelta {
    match u32::try_from(generation - 1) {
        Ok(0) | Err(_) => TimeDelta::zero(),
        Ok(again) => TimeDelta::seconds(1_i64 << Ord::min(again, 20)).min(REARM_PAUSE_MAX),
    }
}

/// Whether it may fire at `now`.
fn is_ready(trigger: &Trigger, now: DateTime<Utc>) -> bool {
    trigger.state == TriggerState::Armed && trigger.updated_at + pause_of(trigger.generation) <= now
}

/// A watch.
#[derive(Debug, FromQueryResult)]
struct WatchRow {
    asset_id: Uuid,
    reference: String,
    direction: String,
}

/// From one watch to the next: one look into the index for each, never one for each trigger.
const WATCHES_POSTGRES: &str = "
WITH RECURSIVE w AS (
    (SELECT asset_id, reference, direction FROM triggers WHERE state = 'armed'
     ORDER BY asset_id, reference, direction LIMIT 1)
    UNION ALL
    SELECT n.* FROM w CROSS JOIN LATERAL (
        SELECT t.asset_id, t.reference, t.direction FROM triggers t
        WHERE t.state = 'armed' AND (t.asset_id, t.reference, t.direction) > (w.asset_id, w.reference, w.direction)
        ORDER BY t.asset_id, t.reference, t.direction LIMIT 1
    ) n
) SELECT * FROM w";

/// One look for each place in the index: SQLite has no lateral joins, and no way to a server that would make looks dear.
const WATCHES_SQLITE: &str = "
SELECT a.id AS asset_id, r.value AS reference, d.value AS direction FROM assets a
CROSS JOIN json_each('[\"last\",\"bid\",\"ask\",\"mid\"]') r CROSS JOIN json_each('[\"falling\",\"rising\"]') d
WHERE EXISTS (SELECT 1 FROM triggers t WHERE t.state = 'armed' AND t.asset_id = a.id
    AND t.reference = r.value AND t.direction = d.value)";

/// The ids of the triggers of one range, as a JSON document.
#[derive(Debug, FromQueryResult)]
struct IdsRow {
    ids: String,
}

impl Store {
    /// What armed triggers watch, of the instruments of one shard.
    pub async fn armed_watches(&self, shard: i32, shards: i32) -> Result<BTreeSet<Watch>, StoreError> {
        let sql = match self.backend() {
            DbBackend::Postgres => WATCHES_POSTGRES,
            _ => WATCHES_SQLITE,
        };
        let rows = WatchRow::find_by_statement(Statement::from_string(self.backend(), sql))
            .all(self.read())
            .await?;
        let shards = u128::try_from(Ord::max(shards, 1)).unwrap_or(1);
        let shard = u128::try_from(shard).unwrap_or(0);
        Ok(rows
            .iter()
            .filter(|row| row.asset_id.as_u128() % shards == shard)
            .filter_map(Watch::of)
            .collect())
    }

    /// The next page of `search`: armed triggers that are not pausing at `now`. A page may be empty before the search is
    /// over.
    pub async fn candidates(
        &self,
        search: &mut Search,
        now: DateTime<Utc>,
    ) -> Result<Candidates, StoreError> {
        if search.is_over() {
            return Ok(Candidates::default());
        }
        let share = search.share();
        let found = self.read_page(&search.rows(), share).await?;
        search.advance(&found, share);
        let mut candidates = Candidates::default();
        for row in found {
            let (id, asset) = (TriggerId(row.id), AssetId(row.asset_id));
            match trigger_of(row) {
                Ok(trigger) if is_ready(&trigger, now) => candidates.triggers.push(trigger),
                Ok(_) => {}
                Err(_) => candidates.unreadable.push((id, asset)),
            }
        }
        Ok(candidates)
    }

    /// The first `share` armed triggers of each range.
    async fn read_page(&self, ranges: &Rows, share: usize) -> Result<Vec<triggers::Model>, StoreError> {
        let backend = self.backend();
        let (source, mut values) = ranges.source(backend, "q", 1);
        values.push(Value::from(i64::try_from(share).unwrap_or(i64::MAX)));
        let limit = values.len();
        let in_range = format!(
            "FROM triggers t WHERE t.state = 'armed' AND t.asset_id = q.asset_id AND t.reference = q.reference \
             AND t.direction = q.direction AND (t.price_key, t.id) > (q.after_key, q.after_id) \
             AND t.price_key <= q.last_key ORDER BY t.price_key, t.id LIMIT ${limit}"
        );
        if backend == DbBackend::Postgres {
            let sql = format!("SELECT t.* FROM {source} CROSS JOIN LATERAL (SELECT t.* {in_range}) t");
            let statement = Statement::from_sql_and_values(backend, sql, values);
            return Ok(triggers::Entity::find()
                .from_raw_sql(statement)
                .all(self.read())
                .await?);
        }
        // SQLite has no lateral joins: the ids first, then their rows.
        let sql = format!(
            "SELECT (SELECT json_group_array(hex(x.id)) FROM (SELECT t.id {in_range}) x) AS ids FROM {source}"
        );
        let lists = IdsRow::find_by_statement(Statement::from_sql_and_values(backend, sql, values))
            .all(self.read())
            .await?;
        let mut ids = Vec::new();
        for list in lists {
            ids.extend(serde_json::from_str::<Vec<Json>>(&list.ids).unwrap_or_default());
        }
        let sql = "SELECT t.* FROM json_each($1) i CROSS JOIN triggers t ON t.id = unhex(i.value)";
        let values = [Json::Array(ids).to_string().into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        Ok(triggers::Entity::find()
            .from_raw_sql(statement)
            .all(self.read())
            .await?)
    }
}
