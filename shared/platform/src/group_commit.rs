//! Natural group commit: many callers, one writer.
//!
//! 1. What arrives while a batch is in flight is the next batch. There is no timer: a caller who is alone waits for
//!    nobody.
//! 2. Questions are handed over in the order of their arrival, and each gets its own answer.
//! 3. A batch runs to its end also when those who asked have gone away: nothing is half done because a client hung up.
//! 4. A panic ends one batch, not the writer.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

/// A question with the place for its answer.
type Asked<Q, A> = (Q, oneshot::Sender<A>);

/// Batches questions of type `Q` and hands each asker the answer of type `A`.
#[derive(Debug)]
pub struct GroupCommit<Q, A> {
    questions: mpsc::UnboundedSender<Asked<Q, A>>,
    counts: Arc<Counts>,
}

/// How many batches there were, and how many questions in them.
#[derive(Debug, Default)]
struct Counts {
    batches: AtomicU64,
    questions: AtomicU64,
}

impl<Q, A> GroupCommit<Q, A>
where
    Q: Send + 'static,
    A: Send + 'static,
{
    /// Starts a writer that runs `run` on at most `batch_max` questions at a time, in their order; `run` gives as many
    /// answers, in the same order. The writer ends when this value is dropped and nothing waits any more.
    ///
    /// Must be called within a Tokio runtime.
    pub fn spawn<F, R>(batch_max: usize, run: F) -> Self
    where
        F: Fn(Vec<Q>) -> R + Send + 'static,
        R: Future<Output = Vec<A>> + Send + 'static,
    {
        // Not bounded here: whoever waits for an answer bounds it, by the number of requests that are served at once.
        let (questions, arriving) = mpsc::unbounded_channel();
        let counts = Arc::new(Counts::default());
        tokio::spawn(write(arriving, batch_max.max(1), run, Arc::downgrade(&counts)).in_current_span());
        Self { questions, counts }
    }

    /// Asks, and waits for the answer of the batch that the question went with. `None` when that batch panicked: what
    /// it has done is not known.
    pub async fn ask(&self, question: Q) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.questions.send((question, answer)).ok()?;
        answered.await.ok()
    }

    /// Asks, and waits for nothing.
    pub fn tell(&self, question: Q) {
        let (answer, _) = oneshot::channel();
        // The writer ends only with this value.
        let _ = self.questions.send((question, answer));
    }

    /// Batches so far, and questions in them.
    pub fn counts(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.counts.batches), of(&self.counts.questions))
    }
}

async fn write<Q, A, F, R>(
    mut arriving: mpsc::UnboundedReceiver<Asked<Q, A>>,
    batch_max: usize,
    run: F,
    counts: Weak<Counts>,
) where
    F: Fn(Vec<Q>) -> R,
    R: Future<Output = Vec<A>>,
{
    let mut batch = Vec::with_capacity(batch_max);
    while arriving.recv_many(&mut batch, batch_max).await > 0 {
        let (questions, askers): (Vec<Q>, Vec<oneshot::Sender<A>>) = batch.drain(..).unzip();
        if let Some(counts) = counts.upgrade() {
            counts.batches.fetch_add(1, Ordering::Relaxed);
            counts.questions.fetch_add(askers.len() as u64, Ordering::Relaxed);
        }
        let Ok(answers) = AssertUnwindSafe(run(questions)).catch_unwind().await else {
            tracing::error!(batch.size = askers.len(), "a panic ended a batch");
            continue;
        };
        for (asker, answer) in askers.into_iter().zip(answers) {
            // Who has gone away needs no answer.
            let _ = asker.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Semaphore;

    use super::*;

    type Batches = Arc<Mutex<Vec<Vec<u32>>>>;

    /// A writer that doubles; each batch waits for a permit.
    fn doubling(batch_max: usize, gate: Arc<Semaphore>) -> (Arc<GroupCommit<u32, u32>>, Batches) {
        let seen = Batches::default();
        let inside = Arc::clone(&seen);
        let group = GroupCommit::spawn(batch_max, move |batch: Vec<u32>| {
            let (gate, seen) = (Arc::clone(&gate), Arc::clone(&inside));
            async move {
                gate.acquire().await.unwrap().forget();
                assert!(!batch.contains(&13), "unlucky");
                let answers = batch.iter().map(|n| n * 2).collect();
                seen.lock().unwrap().push(batch);
                answers
            }
        });
        (Arc::new(group), seen)
    }

    #[tokio::test]
    async fn what_arrives_while_a_batch_is_in_flight_is_the_next_batch_in_order_of_arrival() {
        let gate = Arc::new(Semaphore::new(0));
        let (group, seen) = doubling(4, Arc::clone(&gate));
        let mut asked = Vec::new();
        for n in 0..7 {
            let asking = Arc::clone(&group);
            asked.push(tokio::spawn(async move { asking.ask(n).await }));
            tokio::task::yield_now().await;
        }
        gate.add_permits(10);
        for (n, task) in asked.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), u32::try_from(n * 2).ok());
        }
        assert_eq!(*seen.lock().unwrap(), [vec![0], vec![1, 2, 3, 4], vec![5, 6]]);
        assert_eq!(group.counts(), (3, 7));
    }

    #[tokio::test]
    async fn what_is_only_told_is_done_in_its_turn() {
        let (group, seen) = doubling(8, Arc::new(Semaphore::new(10)));
        group.tell(1);
        assert_eq!(group.ask(2).await, Some(4));
        assert_eq!(seen.lock().unwrap().concat(), [1, 2]);
    }

    #[tokio::test]
    async fn a_panic_ends_one_batch_and_the_next_one_is_served() {
        let (group, _) = doubling(1, Arc::new(Semaphore::new(10)));
        assert_eq!(group.ask(13).await, None);
        assert_eq!(group.ask(4).await, Some(8));
    }

    #[tokio::test]
    async fn a_batch_is_done_also_when_its_asker_has_gone_away() {
        let gate = Arc::new(Semaphore::new(0));
        let (group, seen) = doubling(8, Arc::clone(&gate));
        let asking = Arc::clone(&group);
        let task = tokio::spawn(async move { asking.ask(1).await });
        tokio::task::yield_now().await;
        task.abort();
        assert!(task.await.is_err());
        gate.add_permits(2);
        assert_eq!(group.ask(2).await, Some(4));
        assert_eq!(seen.lock().unwrap().concat(), [1, 2]);
    }
}
