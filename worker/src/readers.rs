//! One reader of reports per connection within this process.
//!
//! Reports of a connection are recorded in its order, under one cursor: a second reader of the same process could only
//! get in the way of the first. So it asks the first one to look once more, and goes on.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::id::ConnectionId;

/// Who reads which connection.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// The connections that are being read, and whether their reader was asked to look again.
    reading: Mutex<HashMap<ConnectionId, bool>>,
}

/// The right to read one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    readers: &'a Readers,
    connection: ConnectionId,
    is_over: bool,
}

impl Readers {
    /// The right to read `connection`; `None` when another has it, who then looks once more.
    pub(crate) fn begin(&self, connection: ConnectionId) -> Option<Reading<'_>> {
        let mut reading = self.lock();
        if let Some(again) = reading.get_mut(&connection) {
            *again = true;
            return None;
        }
        reading.insert(connection, false);
        Some(Reading {
            readers: self,
            connection,
            is_over: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, bool>> {
        // Every change is one call on the map, so a panic elsewhere leaves it whole.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Reading<'a> {
    /// Ends the reading, unless somebody asked for another look meanwhile: then the right is handed back.
    pub(crate) fn end(mut self) -> Option<Reading<'a>> {
        let mut reading = self.readers.lock();
        let was_asked = reading.get_mut(&self.connection).is_some_and(std::mem::take);
        if !was_asked {
            // In the same critical section as the question, so that no wish falls between the two.
            reading.remove(&self.connection);
            self.is_over = true;
        }
        drop(reading);
        was_asked.then_some(self)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // After its end the connection may be another reader's already.
        if self.is_over {
            return;
        }
        self.readers.lock().remove(&self.connection);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_second_reader_is_sent_away_and_the_first_looks_again() {
        let readers = Readers::default();
        let [one, other] = [1, 2].map(|number| ConnectionId(Uuid::from_u128(number)));
        let first = readers.begin(one).unwrap();
        assert!(readers.begin(one).is_none());
        assert!(readers.begin(other).is_some(), "another connection is no matter");
        let first = first.end().expect("somebody asked for another look");
        assert!(first.end().is_none(), "and nobody did since");
        assert!(readers.begin(one).is_some());
    }

    #[test]
    fn a_reader_that_fails_leaves_the_connection_to_the_next() {
        let readers = Readers::default();
        let connection = ConnectionId(Uuid::from_u128(1));
        let failed = readers.begin(connection).unwrap();
        assert!(readers.begin(connection).is_none());
        drop(failed);
        assert!(readers.begin(connection).is_some());
    }
}
