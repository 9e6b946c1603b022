//! One task that accepts jobs for its node: what arrives while one transaction is on its way shares the next, as a commit
//! costs as much as many rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::changes::Effects;
use super::connect::{Connections, call, call_once, is_out_of_reach, may_pass};
use super::submit::{Asked, submit};
use super::{Announcer, reads};
use crate::store::{NewJob, Result, StoreError, Submitted};

/// Submissions that share a transaction at most.
const MOST_GROUPED: usize = 128;

/// Submissions that wait for the task before their senders do.
const MOST_WAITING: usize = 1024;

/// How old the count of queued jobs may be, as other nodes change it too.
const COUNT_AGE: Duration = Duration::from_secs(1);

/// How many times as long as it takes to count the queue is not counted again.
const COUNT_REST: u32 = 20;

/// Jobs to be accepted together, and where the answer goes.
struct Submission {
    jobs: Vec<NewJob>,
    reply: oneshot::Sender<Result<Vec<Submitted>>>,
}

/// Where submissions are sent.
#[derive(Clone)]
pub(super) struct Acceptor(mpsc::Sender<Submission>);

impl Acceptor {
    /// The sender and the task, which ends once all senders are gone.
    pub(super) fn new(
        connections: Connections,
        announcer: Arc<Announcer>,
        queue_limit: u64,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let queue = QueueCount { limit: queue_limit, next: None };
        (Self(sender), Accepting { connections, announcer, queue }.run(receiver))
    }

    /// Sends jobs and waits until they are accepted. Once their transaction has begun they are, whether or not anybody
    /// still waits.
    pub(super) async fn accept(&self, jobs: Vec<NewJob>) -> Result<Vec<Submitted>> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Submission { jobs, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

struct Accepting {
    connections: Connections,
    announcer: Arc<Announcer>,
    queue: QueueCount,
}

impl Accepting {
    async fn run(mut self, mut receiver: mpsc::Receiver<Submission>) {
        let mut group = Vec::new();
        while receiver.recv_many(&mut group, MOST_GROUPED).await > 0 {
            self.accept_group(std::mem::take(&mut group)).await;
        }
    }

    /// All at once; if that fails, each by itself, so that one does not suffer for another. Not if the database
    /// is out of reach: one after the other would wait for it as long as the first.
    async fn accept_group(&mut self, group: Vec<Submission>) {
        // Who went away before anything was begun asks again, or does not want it any more.
        let group: Vec<Submission> = group.into_iter().filter(|submission| !submission.reply.is_closed()).collect();
        let jobs: Vec<NewJob> = group.iter().flat_map(|submission| submission.jobs.iter().cloned()).collect();
        match self.accept(&jobs, false).await {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for Submission { jobs, reply } in group {
                    // Whoever asked may have gone away.
                    let _ = reply.send(Ok(answers.by_ref().take(jobs.len()).collect()));
                }
            }
            Err(error) if group.len() > 1 && !is_out_of_reach(&error) => {
                for Submission { jobs, reply } in group {
                    // The group's new jobs may have been accepted before another of it failed.
                    let _ = reply.send(self.accept(&jobs, true).await);
                }
            }
            Err(error) => {
                for Submission { reply, .. } in group {
                    let _ = reply.send(Err(told_to_each(&error)));
                }
            }
        }
    }

    async fn accept(&mut self, jobs: &[NewJob], is_repeat: bool) -> Result<Vec<Submitted>> {
        let room = self.queue.room(&self.connections, &self.announcer.queued).await?;
        let (answers, effects) = self.write(&Asked { jobs, room, is_repeat }).await?;
        self.announcer.announce(effects);
        Ok(answers)
    }

    /// Tried again as other calls are, and then what was accepted by a try whose answer was lost is told as accepted now.
    async fn write(&self, asked: &Asked<'_>) -> Result<(Vec<Submitted>, Effects)> {
        match call_once!(self.connections, |db| submit(db, asked)) {
            Err(error) if may_pass(&error) => {
                let repeat = Asked { is_repeat: true, ..*asked };
                call!(self.connections, |db| submit(db, &repeat))
            }
            outcome => outcome,
        }
    }
}

/// One error for many who wait.
fn told_to_each(error: &StoreError) -> StoreError {
    match error {
        StoreError::Closed => StoreError::Closed,
        error => StoreError::Commit(error.to_string()),
    }
}

/// How many jobs may still be queued. Counted along, and anew from time to time: all nodes fill one queue.
struct QueueCount {
    limit: u64,
    next: Option<Instant>,
}

impl QueueCount {
    async fn room(&mut self, connections: &Connections, queued: &AtomicI64) -> Result<i64> {
        let begun = Instant::now();
        if self.next.is_none_or(|next| next <= begun) {
            let counted = call!(connections, |db| reads::queued(db, self.limit))?;
            queued.store(counted, Ordering::Relaxed);
            self.next = Some(begun + COUNT_AGE.max(begun.elapsed() * COUNT_REST));
        }
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        Ok(limit.saturating_sub(queued.load(Ordering::Relaxed)))
    }
}
