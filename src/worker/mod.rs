//! Does the jobs: takes them from the store, makes their meshes, tells of them, and keeps the house in order.
//!
//! Everything here works on leases. What this process holds it may lose at any time by dying, and another takes it
//! back; what it no longer holds it must not touch. The store's module has the protocol.

mod attempt;
mod callback;
mod claims;
mod heartbeat;
mod held;
mod mesh_job;
mod progress;
mod reaper;
mod receivers;
mod shift;
mod slots;
mod sweep;
mod verdict;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::app::App;
use crate::store::LEASE;
use shift::{Phase, Shift};
pub use slots::FILES_FOR_CALLBACKS;

/// How long a stop waits for jobs to be given back: one write each, and the engine ends within milliseconds.
const RELEASE: Duration = Duration::from_secs(5);

/// How long a stop waits for callbacks that are being sent. What is cut off is sent again after the next start.
const CLOSE: Duration = Duration::from_secs(5);

/// How long a task rests that has panicked, so that a mistake cannot fill the log.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// What a task does.
type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A background task: runs until its phase of the stop.
struct Task {
    name: &'static str,
    run: fn(Arc<Shift>) -> Run,
}

/// Every background task.
const TASKS: &[Task] = &[
    Task { name: "claims", run: |shift| Box::pin(claims::run(shift)) },
    Task { name: "heartbeat", run: |shift| Box::pin(heartbeat::run(shift)) },
    Task { name: "progress", run: |shift| Box::pin(progress::run(shift)) },
    Task { name: "callback", run: |shift| Box::pin(callback::run(shift)) },
    Task { name: "reaper", run: |shift| Box::pin(reaper::run(shift)) },
    Task { name: "sweep", run: |shift| Box::pin(sweep::run(shift)) },
];

/// How often the tasks look, where nothing wakes them. Tests hurry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long a lease is good for; the store's own. Heartbeats come three times in it.
    pub lease: Duration,
    /// How often dead workers' jobs are taken back.
    pub reap: Duration,
    /// How often what has been kept long enough is deleted.
    pub sweep: Duration,
    /// Age from which a blob that nobody refers to is deleted. A job refers to its blobs when it ends, so this must
    /// exceed the longest job by far.
    pub orphan_age: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            lease: LEASE,
            reap: Duration::from_secs(2),
            sweep: Duration::from_secs(3600),
            orphan_age: Duration::from_secs(24 * 3600),
        }
    }
}

/// A worker at work. Dropping it ends everything at once, as a crash would; [`stop`](Self::stop) is the polite way.
pub struct Workers {
    shift: Arc<Shift>,
    tasks: JoinSet<()>,
}

/// Starts every task.
#[must_use]
pub fn start(app: &App) -> Workers {
    let usual = Pace::default();
    let longest_job = app.config.jobs.timeout;
    start_at(app, Pace { orphan_age: usual.orphan_age.max(longest_job.saturating_mul(2)), ..usual })
}

/// Starts every task at another pace.
#[must_use]
pub fn start_at(app: &App, pace: Pace) -> Workers {
    let shift = Arc::new(Shift::new(app.clone(), pace));
    let mut tasks = JoinSet::new();
    for task in TASKS {
        tasks.spawn(supervise(task, Arc::clone(&shift)));
    }
    Workers { shift, tasks }
}

impl Workers {
    /// Its name in the rows of the jobs that it holds, new with every start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shift.name
    }

    /// Takes no further job, lets those under way finish for up to `drain`, gives the others back, and lets callbacks
    /// that are being sent end.
    pub async fn stop(mut self, drain: Duration) {
        self.shift.come_to(Phase::Draining);
        if !self.idle_within(drain).await {
            self.shift.come_to(Phase::Releasing);
            if !self.idle_within(RELEASE).await {
                tracing::warn!("some jobs could not be given back; they are taken back once their leases end");
            }
        }
        self.shift.come_to(Phase::Closing);
        // Dropping the set aborts what is left.
        let _ = timeout(CLOSE, async { while self.tasks.join_next().await.is_some() {} }).await;
    }

    /// Whether no job was left to do within a time.
    async fn idle_within(&self, limit: Duration) -> bool {
        timeout(limit, self.shift.idle()).await.is_ok()
    }
}

/// Runs a task to its end, and again if it panics: a mistake in one delivery must not stop all of them.
async fn supervise(task: &'static Task, shift: Arc<Shift>) {
    loop {
        let mut alone = JoinSet::new();
        alone.spawn((task.run)(Arc::clone(&shift)));
        match alone.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(task = task.name, "a background task panicked and begins again");
            }
            _ => return,
        }
        if !shift.slept(AFTER_PANIC, Phase::Closing).await {
            return;
        }
    }
}
