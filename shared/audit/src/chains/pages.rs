//! A table read page by page in the order of chains and numbers.

use std::collections::VecDeque;

use sea_orm::QueryResult;
use uuid::Uuid;

use crate::AuditError;
use crate::snapshot::Snapshot;

/// What has its place in a chain.
pub(super) trait Placed {
    /// The chain, and the number there.
    fn place(&self) -> (Uuid, i64);
}

/// What is read.
#[derive(Debug)]
pub(super) struct Query<'a> {
    /// What stands between SELECT and FROM.
    pub columns: String,
    pub table: &'a str,
    /// The columns of the place.
    pub place: (&'a str, &'a str),
    /// A condition on the rows.
    pub only: String,
    /// Rows of a page.
    pub page: u32,
}

/// The rows of a table that were not taken yet.
#[derive(Debug)]
pub(super) struct Pages<'a, T> {
    snapshot: Snapshot<'a>,
    sql: String,
    read: fn(&QueryResult) -> Result<T, AuditError>,
    last: (Uuid, i64),
    waiting: VecDeque<T>,
    page: usize,
    is_last: bool,
}

impl<'a, T: Placed> Pages<'a, T> {
    pub(super) fn new(
        snapshot: Snapshot<'a>,
        query: &Query<'_>,
        read: fn(&QueryResult) -> Result<T, AuditError>,
    ) -> Self {
        let Query {
            columns,
            table,
            place: (chain, seq),
            only,
            page,
        } = query;
        let sql = format!(
            "SELECT {columns} FROM {table} WHERE {only} AND ({chain}, {seq}) > ($1, $2)
             ORDER BY {chain}, {seq} LIMIT {page}"
        );
        Self {
            snapshot,
            sql,
            read,
            last: (Uuid::nil(), i64::MIN),
            waiting: VecDeque::new(),
            page: usize::try_from(*page).unwrap_or(usize::MAX),
            is_last: false,
        }
    }

    /// The next row.
    async fn peek(&mut self) -> Result<Option<&T>, AuditError> {
        if self.waiting.is_empty() && !self.is_last {
            let place = [self.last.0.into(), self.last.1.into()];
            let rows = self.snapshot.rows(&self.sql, place).await?;
            self.is_last = rows.len() < self.page;
            self.waiting = rows.iter().map(self.read).collect::<Result<_, _>>()?;
            if let Some(row) = self.waiting.back() {
                self.last = row.place();
            }
        }
        Ok(self.waiting.front())
    }

    /// The chain of the next row.
    pub(super) async fn chain(&mut self) -> Result<Option<Uuid>, AuditError> {
        Ok(self.peek().await?.map(|row| row.place().0))
    }

    /// Takes the next row where it belongs to `chain` and its number is at most `seq_max`.
    pub(super) async fn take(&mut self, chain: Uuid, seq_max: i64) -> Result<Option<T>, AuditError> {
        let is_wanted = |row: &T| row.place().0 == chain && row.place().1 <= seq_max;
        if self.peek().await?.is_some_and(is_wanted) {
            Ok(self.waiting.pop_front())
        } else {
            Ok(None)
        }
    }
}
