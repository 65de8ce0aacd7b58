//! A batch that fails is tried again in halves, so that one bad row never stops its neighbours.

use std::ops::Range;

use crate::StoreError;

/// The parts of a batch that are still to be tried, the first one first.
#[derive(Debug)]
pub(crate) struct Parts(Vec<Range<usize>>);

impl Parts {
    /// The whole of `size`, in one part.
    pub(crate) fn whole(size: usize) -> Self {
        Self(std::iter::once(0..size).filter(|part| !part.is_empty()).collect())
    }

    /// The next part to try.
    pub(crate) fn next(&mut self) -> Option<Range<usize>> {
        self.0.pop()
    }

    /// Takes note that `part` has failed with `error`. Answers whether its halves are to be tried: not those of a single
    /// one, which is at fault, nor while the database is away, which is the fault of none.
    pub(crate) fn halve(&mut self, part: &Range<usize>, error: &StoreError) -> bool {
        let is_of_none = matches!(error, StoreError::Unavailable(_) | StoreError::CommitUnknown(_));
        if part.len() < 2 || is_of_none {
            return false;
        }
        let middle = part.start + part.len() / 2;
        self.0.push(middle..part.end);
        self.0.push(part.start..middle);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is tried of eight when `bad` fails, and the answers' order.
    fn tried(bad: usize, error: &StoreError) -> (Vec<Range<usize>>, Vec<usize>) {
        let (mut parts, mut all, mut answered) = (Parts::whole(8), Vec::new(), Vec::new());
        while let Some(part) = parts.next() {
            all.push(part.clone());
            if !(part.contains(&bad) && parts.halve(&part, error)) {
                answered.extend(part);
            }
        }
        (all, answered)
    }

    #[test]
    fn a_bad_one_is_found_by_halving_and_every_one_is_answered_in_order() {
        let error = StoreError::NotFound { table: "orders" };
        let (all, answered) = tried(5, &error);
        assert_eq!(all, [0..8, 0..4, 4..8, 4..6, 4..5, 5..6, 6..8]);
        assert_eq!(answered, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_database_that_is_away_is_asked_once() {
        let error = StoreError::Unavailable(sea_orm::DbErr::Custom(String::new()));
        assert_eq!(tried(5, &error).0.len(), 1);
        assert_eq!(Parts::whole(0).next(), None);
    }
}
