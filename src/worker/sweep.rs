//! Deletes what has been kept long enough: finished jobs, blobs that nobody refers to, files that a crash left behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;

use super::shift::{Phase, Shift};
use crate::blob::BlobError;
use crate::store::{DOOM_LASTS, Retention, StoreError};

/// Blobs that are asked for at a time, in one query.
const ASKED_AT_ONCE: usize = 500;

/// Blobs that one wait is for: names of a MiB or two.
const BLOBS_AT_ONCE: usize = 20 * ASKED_AT_ONCE;

/// What the store calls this task, which one node of all does at a time.
const DUTY: &str = "sweep";

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
    // A little less than the time to the next one, which else would come a moment too early.
    if !app.store.take_turn(DUTY, shift.pace.sweep * 9 / 10).await? {
        return Ok(());
    }
    let jobs = sweep_jobs(shift).await?;
    let identity = app.store.identity().await?;
    if !app.blobs.belong_to(&identity).await? {
        tracing::error!(
            "images and results are in a storage that another database has marked as its own, so nothing is deleted there; \
             give each database an S3_PREFIX or STORAGE_PATH of its own, or delete the object `owner` if that database is no more"
        );
        return Ok(());
    }
    let blobs = sweep_blobs(shift).await?;
    let files = app.blobs.sweep_unfinished(age).await?;
    if jobs + blobs + files > 0 {
        tracing::info!(jobs, blobs, files, "deleted what was kept long enough");
    }
    Ok(())
}

/// Deletes what has been kept long enough; how much. For half of the time to the next sweep at most: under a constant load
/// there is always something more, and blobs want their turn.
async fn sweep_jobs(shift: &Shift) -> Result<u64, SweepError> {
    let app = &shift.app;
    let retention = Retention { completed: app.config.jobs.result_ttl, failed: app.config.jobs.failed_ttl };
    let (begun, mut jobs) = (Instant::now(), 0);
    loop {
        let pruned = app.store.prune(retention).await?;
        jobs += pruned;
        if pruned == 0 || begun.elapsed() > shift.pace.sweep / 2 {
            return Ok(jobs);
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// Deletes blobs that nobody refers to; how many.
async fn sweep_blobs(shift: &Shift) -> Result<u64, SweepError> {
    let app = &shift.app;
    let mut deleted = 0;
    let mut old = std::pin::pin!(app.blobs.older_than(shift.pace.orphan_age, BLOBS_AT_ONCE));
    while let Some(names) = old.try_next().await? {
        let mut doomed = Vec::new();
        for names in names.chunks(ASKED_AT_ONCE) {
            doomed.extend(app.store.doom(names).await?);
            tokio::time::sleep(BREATH).await;
        }
        if doomed.is_empty() {
            continue;
        }
        let doomed_at = Instant::now();
        tokio::time::sleep(app.store.transactions_last()).await;
        let mut parts = doomed.chunks(ASKED_AT_ONCE);
        while let Some(names) = parts.next() {
            match delete_condemned(shift, names, doomed_at).await {
                Ok(gone) => deleted += gone,
                Err(error) => {
                    // Or who needs one of the others would be kept waiting for nothing.
                    for names in parts {
                        app.store.spare(names).await?;
                    }
                    return Err(error);
                }
            }
        }
    }
    Ok(deleted)
}

/// Deletes those of the doomed that are still unreferenced and old, and tells the store of the others too.
async fn delete_condemned(shift: &Shift, names: &[String], doomed_at: Instant) -> Result<u64, SweepError> {
    let app = &shift.app;
    let condemned = app.store.condemned(names).await?;
    let (mut gone, mut spared, mut failed) = (Vec::new(), Vec::new(), None);
    for name in names {
        let may_go = failed.is_none() && condemned.contains(name) && doomed_at.elapsed() < DOOM_LASTS / 2;
        if !may_go {
            spared.push(name.clone());
            continue;
        }
        // Somebody may have put the same bytes again since they were listed.
        match app.blobs.delete_older_than(name, shift.pace.orphan_age).await {
            Ok(true) => gone.push(name.clone()),
            Ok(false) => spared.push(name.clone()),
            // The storage may still do it, whenever: it stays doomed until its mark ends by itself.
            Err(error) => failed = Some(error),
        }
    }
    app.store.gone(&gone).await?;
    app.store.spare(&spared).await?;
    tokio::time::sleep(BREATH).await;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(gone.len() as u64),
    }
}
