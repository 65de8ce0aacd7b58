//! The short way to begin: orders that are simply sent, as nearly all are.
//!
//! Nothing of such an order moves but how far its sending got, so neither its user nor its account is locked: it is read
//! as it stands, decided, and written by a compare-and-set under its own lock, which also demands the claim's fence. An
//! order that needs more, or that has moved meanwhile, is left for the long way. On PostgreSQL that makes two round trips
//! for a batch.

use chrono::{DateTime, Utc};
use domain::asset::MarketHours;
use domain::id::OrderId;
use domain::lifecycle::{OrderEvent, Phase};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult, QueryResult, Statement, Value,
};
use uuid::Uuid;

use super::row::{AllEarlier, Earlier, dispatch, insert_rows, row_of};
use super::{Dispatch, NewAttempt};
use crate::Store;
use crate::connections::{ConnectionView, JOINED};
use crate::entity::{broker_attempts, orders};
use crate::error::StoreError;
use crate::orders::expire::is_over;
use crate::orders::row::{order_of, order_row};
use crate::rows::{Rows, update_many};
use crate::work::{WorkKind, fences};

/// An order as it was read, with what its sending needs.
struct Seen {
    order: orders::Model,
    connection: ConnectionView,
    /// The number of the last submission.
    last: Option<i32>,
    /// Submissions that are unfinished.
    open: i64,
}

/// An order that may be sent, and its rows.
struct Ready {
    /// Its place in the batch.
    place: usize,
    dispatch: Dispatch,
    order: orders::Model,
    attempt: broker_attempts::Model,
}

impl Store {
    /// Begins those submissions of `wishes` that are simply sent; one answer for each, `None` where the long way decides.
    pub(super) async fn begin_shortly(
        &self,
        wishes: &[&NewAttempt],
        now: DateTime<Utc>,
        hours: MarketHours,
    ) -> Result<Vec<Option<Dispatch>>, StoreError> {
        let ids: Vec<OrderId> = wishes.iter().map(|wish| wish.claim.order_id).collect();
        let decide = |rows: &[QueryResult]| -> Result<Vec<Ready>, StoreError> {
            let seen = rows.iter().map(Seen::of).collect::<Result<Vec<_>, _>>()?;
            let of = |id: OrderId| seen.iter().find(|seen| seen.order.id == id.0);
            let all = wishes.iter().enumerate();
            let ready = all.filter_map(|(place, wish)| {
                let seen = of(wish.claim.order_id)?;
                ready(place, wish, seen, now, hours)
            });
            Ok(ready.collect())
        };
        let begun = if self.backend() == DbBackend::Postgres {
            let rows = self
                .single("read_unsent", read_statement(DbBackend::Postgres, &ids))
                .await?;
            let ready = decide(&rows)?;
            self.send_by_statement(ready).await?
        } else {
            self.transaction("begin_attempts", async |tx| {
                let rows = tx
                    .query_all_raw(read_statement(tx.get_database_backend(), &ids))
                    .await?;
                send_under_lock(&tx, decide(&rows)?).await
            })
            .await?
        };
        let mut answers = vec![None; wishes.len()];
        for ready in begun {
            if let Some(answer) = answers.get_mut(ready.place) {
                *answer = Some(ready.dispatch);
            }
        }
        Ok(answers)
    }

    /// The compare-and-set. Answers those that it has begun.
    async fn send_by_statement(&self, mut ready: Vec<Ready>) -> Result<Vec<Ready>, StoreError> {
        if ready.is_empty() {
            return Ok(ready);
        }
        let rows = ready.iter().map(|Ready { order, attempt, .. }| {
            vec![
                Value::from(attempt.order_id),
                attempt.kind.as_str().into(),
                attempt.fence.into(),
                attempt.n.into(),
                attempt.id_sent.as_str().into(),
                attempt.broker_order_id.clone().into(),
                attempt.correlation_id.as_str().into(),
                attempt.started_at.into(),
                order.submission.as_str().into(),
                order.updated_at.into(),
            ]
        });
        let rows = Rows::new(&COLUMNS, rows.collect());
        let (source, values) = rows.source(DbBackend::Postgres, "v", 1);
        let sql = SEND.replace("{source}", &source);
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let mut begun = Vec::with_capacity(ready.len());
        for row in self.single("begin_attempts", statement).await? {
            begun.push((
                row.try_get::<Uuid>("", "order_id")?,
                row.try_get::<i64>("", "fence")?,
            ));
        }
        ready.retain(|one| begun.contains(&(one.attempt.order_id, one.attempt.fence)));
        Ok(ready)
    }
}

const COLUMNS: [&str; 10] = [
    "order_id",
    "kind",
    "fence",
    "n",
    "id_sent",
    "broker_order_id",
    "correlation_id",
    "started_at",
    "submission",
    "updated_at",
];

/// Locks the orders that are as they were seen and whose work is still the claim's, marks them as being sent, and writes
/// the calls' rows. An order that changes hands while its lock is awaited is seen as it is then.
const SEND: &str = "WITH v AS MATERIALIZED (SELECT * FROM {source}),
    held AS (
        SELECT o.id, v.fence FROM v
        JOIN order_work AS w ON w.order_id = v.order_id AND w.kind = v.kind AND w.fence = v.fence
        JOIN orders AS o ON o.id = v.order_id
        WHERE o.submission = 'unsent' AND o.closed_at IS NULL AND o.held_by_trigger IS NULL
          AND o.cancel_requested_at IS NULL AND o.replaced_by IS NULL
        ORDER BY o.id FOR NO KEY UPDATE OF o
    ), sent AS (
        UPDATE orders AS o SET submission = v.submission, updated_at = v.updated_at
        FROM held JOIN v ON v.order_id = held.id AND v.fence = held.fence
        WHERE o.id = held.id RETURNING o.id, held.fence
    )
    INSERT INTO broker_attempts
        (order_id, kind, fence, n, id_sent, broker_order_id, correlation_id, started_at)
    SELECT v.order_id, v.kind, v.fence, v.n, v.id_sent, v.broker_order_id, v.correlation_id, v.started_at
    FROM v JOIN sent ON sent.id = v.order_id AND sent.fence = v.fence
    RETURNING order_id, fence";

fn read_statement(backend: DbBackend, ids: &[OrderId]) -> Statement {
    let ids = Rows::new(&["order_id"], ids.iter().map(|id| vec![id.0.into()]).collect());
    let (source, values) = ids.source(backend, "v", 1);
    let sql = format!(
        "SELECT o.*, {JOINED},
            (SELECT MAX(b.n) FROM broker_attempts AS b WHERE b.order_id = o.id AND b.kind = 'submit') AS b_last,
            (SELECT COUNT(*) FROM broker_attempts AS b
             WHERE b.order_id = o.id AND b.kind = 'submit' AND b.ended_at IS NULL) AS b_open
         FROM orders AS o
         JOIN accounts AS a ON a.id = o.account_id
         JOIN broker_connections AS c ON c.id = a.broker_connection_id
         WHERE o.id IN (SELECT order_id FROM {source})"
    );
    Statement::from_sql_and_values(backend, sql, values)
}

impl Seen {
    fn of(row: &QueryResult) -> Result<Self, StoreError> {
        Ok(Self {
            order: orders::Model::from_query_result(row, "")?,
            connection: ConnectionView::of_join(row)?,
            last: row.try_get("", "b_last")?,
            open: row.try_get("", "b_open")?,
        })
    }
}

/// What sending the order writes; `None` where there is more to it. What cannot be read is said by the long way.
fn ready(
    place: usize,
    wish: &NewAttempt,
    seen: &Seen,
    now: DateTime<Utc>,
    hours: MarketHours,
) -> Option<Ready> {
    let mut order = order_of(seen.order.clone()).ok()?;
    if order.facts.phase() != Phase::Unsent || seen.open > 0 || is_over(&order, now, hours) {
        return None;
    }
    order.apply(&OrderEvent::SendStarted, now).ok()?;
    let row = order_row(&order);
    let key = (order.id, WorkKind::Submit);
    let earlier = AllEarlier::from([(key, Earlier::after(seen.last.map(|n| (n, now))))]);
    let dispatch = dispatch(wish, &earlier, order, None, seen.connection.clone(), now);
    Some(Ready {
        place,
        attempt: row_of(&dispatch, &wish.correlation_id, now),
        dispatch,
        order: row,
    })
}

/// Where there is one writer, what was read in its transaction still stands.
async fn send_under_lock(tx: &DatabaseTransaction, mut ready: Vec<Ready>) -> Result<Vec<Ready>, StoreError> {
    if ready.is_empty() {
        return Ok(ready);
    }
    let fences = fences(tx, ready.iter().map(|one| one.dispatch.claim.order_id)).await?;
    ready.retain(|one| {
        let claim = &one.dispatch.claim;
        fences.get(&(claim.order_id, claim.kind)) == Some(&claim.fence)
    });
    let changes = ready.iter().map(|Ready { order, .. }| {
        vec![
            Value::from(order.id),
            order.submission.as_str().into(),
            order.updated_at.into(),
        ]
    });
    update_many(
        tx,
        "orders",
        &["id"],
        &["submission", "updated_at"],
        changes.collect(),
    )
    .await?;
    insert_rows(tx, ready.iter().map(|one| one.attempt.clone()).collect()).await?;
    Ok(ready)
}
