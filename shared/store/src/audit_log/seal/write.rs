//! Writes seals, heads and anchors.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use platform::chain::BEGINNING;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveModelTrait, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, IntoActiveModel,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::find::Sealing;
use super::{ANCHOR_EVERY, Anchor, Log, Sealed};
use crate::StoreError;
use crate::entity::{audit_anchors, audit_heads, audit_seals};
use crate::rows::{Upsert, Writes, is_among};

/// What one transaction writes.
#[derive(Debug, Default)]
struct Plan {
    rows: u64,
    seals: Vec<audit_seals::Model>,
    heads: Vec<audit_heads::Model>,
    anchors: Vec<Anchor>,
}

impl Log<'_> {
    /// Writes `sealings` of chains that nobody else has sealed since they were read, and anchors the heads that are due.
    pub(super) async fn write(self, sealings: &[Sealing], sealed: &mut Sealed) -> Result<(), StoreError> {
        match self.write_together(sealings).await {
            Ok(plan) => sealed.add(plan),
            // Another sealer was first with a new chain. Each by itself then, so that it holds up no other.
            Err(StoreError::Conflict { .. }) => {
                for sealing in sealings {
                    match self.write_together(std::slice::from_ref(sealing)).await {
                        Ok(plan) => sealed.add(plan),
                        Err(StoreError::Conflict { constraint }) => {
                            tracing::debug!(chain.id = %sealing.chain_id, constraint, "sealed by another");
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn write_together(self, sealings: &[Sealing]) -> Result<Plan, StoreError> {
        if sealings.is_empty() {
            return Ok(Plan::default());
        }
        self.store
            .transaction("seal_chains", async |tx| {
                let heads = self.lock_heads(&tx, sealings).await?;
                let mut plan = Plan::default();
                for sealing in sealings {
                    self.plan(sealing, heads.get(&sealing.chain_id), &mut plan);
                }
                self.write_plan(&tx, &plan).await?;
                Ok(plan)
            })
            .await
    }

    async fn lock_heads(
        self,
        tx: &DatabaseTransaction,
        sealings: &[Sealing],
    ) -> Result<HashMap<Uuid, audit_heads::Model>, StoreError> {
        let chains = sealings.iter().map(|sealing| sealing.chain_id);
        let heads = audit_heads::Entity::find()
            .filter(is_among(tx, audit_heads::Column::ChainId, chains))
            .filter(audit_heads::Column::Source.eq(self.source.name()))
            .order_by_asc(audit_heads::Column::ChainId)
            .lock(LockType::NoKeyUpdate)
            .all(tx)
            .await?;
        Ok(heads.into_iter().map(|head| (head.chain_id, head)).collect())
    }

    fn plan(self, sealing: &Sealing, head: Option<&audit_heads::Model>, plan: &mut Plan) {
        let stands = head.map_or((0, BEGINNING.as_slice()), |head| (head.seq, head.hash.as_slice()));
        if stands != (sealing.from, sealing.before.as_slice()) {
            return;
        }
        let mut new = match head {
            Some(head) => head.clone(),
            None => self.first_head(sealing.chain_id),
        };
        if sealing.to > sealing.from {
            plan.rows += sealing.to.abs_diff(sealing.from);
            plan.seals.push(self.seal_of(sealing));
            new.seq = sealing.to;
            new.hash = sealing.hash.to_vec();
            self.key.fingerprint().clone_into(&mut new.key_fingerprint);
            new.at = self.now;
        }
        // Also where the clock was set back.
        let is_long_ago = |at: DateTime<Utc>| (self.now - at).abs() >= ANCHOR_EVERY;
        let is_due = new.seq > new.anchored_seq && new.anchored_at.is_none_or(is_long_ago);
        if is_due {
            new.anchored_seq = new.seq;
            new.anchored_at = Some(self.now);
            plan.anchors.push(Anchor {
                source: self.source,
                chain_id: sealing.chain_id,
                seq: sealing.to,
                hash: sealing.hash,
            });
        }
        if is_due || sealing.to > sealing.from {
            plan.heads.push(new);
        }
    }

    fn first_head(self, chain_id: Uuid) -> audit_heads::Model {
        audit_heads::Model {
            source: self.source.name().to_owned(),
            chain_id,
            seq: 0,
            hash: BEGINNING.to_vec(),
            key_fingerprint: self.key.fingerprint().to_owned(),
            at: self.now,
            anchored_seq: 0,
            anchored_at: None,
        }
    }

    fn seal_of(self, sealing: &Sealing) -> audit_seals::Model {
        audit_seals::Model {
            source: self.source.name().to_owned(),
            chain_id: sealing.chain_id,
            seq_from: sealing.from + 1,
            seq_to: sealing.to,
            hashes: sealing.hashes.clone(),
            key_fingerprint: self.key.fingerprint().to_owned(),
            at: self.now,
        }
    }

    async fn write_plan(self, tx: &DatabaseTransaction, plan: &Plan) -> Result<(), StoreError> {
        let heads = Upsert {
            keys: &["source", "chain_id"],
            set: &[
                "seq",
                "hash",
                "key_fingerprint",
                "at",
                "anchored_seq",
                "anchored_at",
            ],
        };
        let anchors = plan.anchors.iter().map(|anchor| audit_anchors::Model {
            source: self.source.name().to_owned(),
            chain_id: anchor.chain_id,
            seq: anchor.seq,
            hash: anchor.hash.to_vec(),
            at: self.now,
        });
        let mut writes = Writes::new(self.store.backend());
        writes.insert(active(plan.seals.clone()), None);
        writes.insert(active(anchors), None);
        writes.insert(active(plan.heads.clone()), Some(heads));
        writes.run(tx).await
    }
}

impl Sealed {
    fn add(&mut self, plan: Plan) {
        self.rows += plan.rows;
        self.anchors.extend(plan.anchors);
    }
}

fn active<A: ActiveModelTrait, M: IntoActiveModel<A>>(models: impl IntoIterator<Item = M>) -> Vec<A> {
    models
        .into_iter()
        .map(IntoActiveModel::into_active_model)
        .collect()
}
