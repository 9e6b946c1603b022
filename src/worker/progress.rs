//! Writes progress behind the engine's back: the engine notes a stage and goes on, this task tells the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::held::{Ending, HeldJob};
use super::shift::{Phase, Shift};
use crate::store::Held;

/// How often notes are collected.
const LOOK: Duration = Duration::from_millis(100);

/// How long a note waits for others: a sprite is done by then, and its stages go with its end in one transaction. A
/// caller who watches a large image does not see the difference.
const GATHER: Duration = Duration::from_millis(200);

/// Tells what is noted until everything ends.
pub(super) async fn run(shift: Arc<Shift>) {
    while shift.slept(LOOK, Phase::Closing).await {
        let mut writes = JoinSet::new();
        for job in shift.held.all() {
            if job.has_news_older_than(GATHER) {
                writes.spawn(tell(Arc::clone(&shift), job));
            }
        }
        while writes.join_next().await.is_some() {}
    }
}

/// Writes one job's notes, unless its end is being written, which takes them along.
async fn tell(shift: Arc<Shift>, job: Arc<HeldJob>) {
    let Ok(_writing) = job.writing.try_lock() else { return };
    let news = job.news_older_than(Duration::ZERO);
    if news.is_empty() || job.lease_left(shift.lease_good_for()).is_zero() {
        return;
    }
    match shift.app.store.progress(job.token(), news.clone()).await {
        Ok(Held::Yes) => {}
        Ok(Held::Lost) => {
            shift.app.metrics.stale_write();
            job.end(Ending::Lost);
        }
        Err(cause) => {
            tracing::warn!(job = %job.claim.job.id, %cause, "cannot write a job's progress; trying again");
            job.untold(news);
        }
    }
}
