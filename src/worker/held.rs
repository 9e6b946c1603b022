//! The jobs that this process holds: until when, what is to be told of each, and how one is ended from outside.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::mesh::Stage;
use crate::store::{Claim, Progress, Token};

/// Why a job is ended before its work is done. The first reason stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its caller asked.
    Cancelled,
    /// Another worker owns it.
    Lost,
    /// Its lease could not be extended, so another may come to own it.
    LeaseOver,
    /// This process stops, and gives it back.
    Released,
}

/// A job that this process works on.
#[derive(Debug)]
pub(super) struct HeldJob {
    /// The right to it, and what it asks for.
    pub(super) claim: Claim,
    ending: watch::Sender<Option<Ending>>,
    /// When a claim or heartbeat was last asked for that then succeeded, by the monotonic clock. The lease began later.
    beat: Mutex<Instant>,
    news: Mutex<News>,
    /// Held while its row is written, so that progress never comes after the end.
    pub(super) writing: tokio::sync::Mutex<()>,
}

/// What has not been told yet.
#[derive(Debug, Default)]
struct News {
    waiting: Vec<Progress>,
    since: Option<Instant>,
}

impl HeldJob {
    pub(super) fn new(claim: Claim, asked_at: Instant) -> Self {
        Self {
            claim,
            ending: watch::Sender::new(None),
            beat: Mutex::new(asked_at),
            news: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn token(&self) -> Token {
        self.claim.token
    }

    /// Asks the job to end.
    pub(super) fn end(&self, why: Ending) {
        self.ending.send_if_modified(|ending| ending.is_none() && ending.replace(why).is_none());
    }

    /// Why the job is to end, if it is.
    pub(super) fn ending(&self) -> Option<Ending> {
        *self.ending.borrow()
    }

    /// Ends once the job is asked to.
    pub(super) async fn ended(&self) -> Ending {
        let mut ending = self.ending.subscribe();
        // The sender lives in `self`, so waiting never fails; were it to, the job is not ours to go on with.
        ending.wait_for(Option::is_some).await.ok().and_then(|why| *why).unwrap_or(Ending::LeaseOver)
    }

    /// Its lease was extended by a call begun at that time.
    pub(super) fn beat(&self, asked_at: Instant) {
        *lock(&self.beat) = asked_at;
    }

    /// How long the lease can be relied on.
    pub(super) fn lease_left(&self, good_for: Duration) -> Duration {
        good_for.saturating_sub(lock(&self.beat).elapsed())
    }

    /// Ends once the lease can no longer be relied on.
    pub(super) async fn lease_over(&self, good_for: Duration) {
        loop {
            let left = self.lease_left(good_for);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// Notes that a stage begins. Called from the engine's thread: nothing is waited for but another note.
    pub(super) fn tell(&self, stage: Stage) {
        let mut news = lock(&self.news);
        news.waiting.push(Progress { progress: stage.percent(), message: stage.message().to_owned() });
        news.since.get_or_insert_with(Instant::now);
    }

    /// Whether anything has waited to be told for so long.
    pub(super) fn has_news_older_than(&self, age: Duration) -> bool {
        lock(&self.news).since.is_some_and(|since| since.elapsed() >= age)
    }

    /// What is to be told, if it has waited for so long.
    pub(super) fn news_older_than(&self, age: Duration) -> Vec<Progress> {
        let mut news = lock(&self.news);
        if news.since.is_none_or(|since| since.elapsed() < age) {
            return Vec::new();
        }
        std::mem::take(&mut *news).waiting
    }

    /// Takes back what could not be told; it goes with what comes next.
    pub(super) fn untold(&self, mut earlier: Vec<Progress>) {
        let mut news = lock(&self.news);
        earlier.append(&mut news.waiting);
        *news = News { waiting: earlier, since: Some(Instant::now()) };
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct HeldJobs(Mutex<HashMap<Token, Arc<HeldJob>>>);

impl HeldJobs {
    /// Holds a job until the place is dropped.
    pub(super) fn hold(self: &Arc<Self>, job: &Arc<HeldJob>) -> Place {
        lock(&self.0).insert(job.token(), Arc::clone(job));
        Place { jobs: Arc::clone(self), token: job.token() }
    }

    pub(super) fn all(&self) -> Vec<Arc<HeldJob>> {
        lock(&self.0).values().cloned().collect()
    }
}

/// Lets go of a job when dropped, also by a panic.
#[derive(Debug)]
pub(super) struct Place {
    jobs: Arc<HeldJobs>,
    token: Token,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.jobs.0).remove(&self.token);
    }
}

/// No code that may panic runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
