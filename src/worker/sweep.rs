//! Deletes what has been kept long enough: finished jobs, blobs that nobody refers to, files that a crash left behind.

use std::sync::Arc;
use std::time::Duration;

use super::shift::{Phase, Shift};
use crate::blob::BlobError;
use crate::store::{Retention, StoreError};

/// Blobs that are asked for at a time: one query, and not too many names in memory.
const BLOBS_AT_ONCE: usize = 500;

/// Pause between two batches of deletions, so that jobs are written in between.
const BREATH: Duration = Duration::from_millis(20);

/// Why a sweep ended early; the next one goes on.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Sweeps at the start and from time to time until everything ends.
pub(super) async fn run(shift: Arc<Shift>) {
    loop {
        tokio::select! {
            () = shift.until(Phase::Closing) => return,
            swept = sweep(&shift) => if let Err(cause) = swept {
                tracing::warn!(%cause, "a sweep ended early; the next one goes on");
            }
        }
        if !shift.slept(shift.pace.sweep, Phase::Closing).await {
            return;
        }
    }
}

/// Jobs first, since blobs are free once their jobs are gone.
async fn sweep(shift: &Shift) -> Result<(), SweepError> {
    let (app, age) = (&shift.app, shift.pace.orphan_age);
    let retention = Retention { completed: app.config.jobs.result_ttl, failed: app.config.jobs.failed_ttl };
    let mut jobs = 0;
    loop {
        let pruned = app.store.prune(retention).await?;
        if pruned == 0 {
            break;
        }
        jobs += pruned;
        tokio::time::sleep(BREATH).await;
    }
    let mut blobs = 0;
    for names in app.blobs.older_than(age, BLOBS_AT_ONCE).await? {
        let needed = app.store.referenced(&names).await?;
        for name in names.iter().filter(|name| !needed.contains(*name)) {
            // Somebody may have kept the same bytes again since they were listed.
            if app.blobs.delete_older_than(name, age).await? {
                blobs += 1;
            }
        }
        tokio::time::sleep(BREATH).await;
    }
    let files = app.blobs.sweep_unfinished(age).await?;
    if jobs + blobs + files > 0 {
        tracing::info!(jobs, blobs, files, "deleted what was kept long enough");
    }
    Ok(())
}
