//! Extends the leases of all jobs under way, and hears which of them are to end.

use std::sync::Arc;
use std::time::Instant;

use super::held::Ending;
use super::shift::{Phase, Shift};
use crate::store::Beat;

/// Beats three times in a lease, and at once when a cancel is signalled.
pub(super) async fn run(shift: Arc<Shift>) {
    let every = shift.pace.lease / 3;
    let mut next = tokio::time::Instant::now() + every;
    loop {
        tokio::select! {
            () = shift.until(Phase::Closing) => return,
            () = shift.app.store.signals().cancelled() => {}
            () = tokio::time::sleep_until(next) => next += every,
        }
        beat(&shift).await;
    }
}

/// One heartbeat for all. One that hangs is a failed one: each job looks after its own lease.
async fn beat(shift: &Shift) {
    let jobs = shift.held.all();
    if jobs.is_empty() {
        return;
    }
    let tokens: Vec<_> = jobs.iter().map(|job| job.token()).collect();
    let asked_at = Instant::now();
    let beats = match tokio::time::timeout(shift.pace.lease / 6, shift.app.store.heartbeat(&tokens)).await {
        Ok(Ok(beats)) => beats,
        Ok(Err(cause)) => return tracing::warn!(%cause, "a heartbeat failed; jobs stop if the next one does, too"),
        Err(_) => return tracing::warn!("a heartbeat hangs; jobs stop if the next one does, too"),
    };
    for (job, beat) in jobs.iter().zip(beats) {
        match beat {
            Beat::Alive => job.beat(asked_at),
            Beat::CancelRequested => {
                job.beat(asked_at);
                job.end(Ending::Cancelled);
            }
            Beat::Lost => job.end(Ending::Lost),
        }
    }
}
