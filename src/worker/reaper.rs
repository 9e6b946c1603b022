//! Takes back what dead workers held, and looks at the queue for the metrics.

use std::sync::Arc;

use super::shift::{Phase, Shift};

/// Reaps until everything ends.
pub(super) async fn run(shift: Arc<Shift>) {
    if !shift.has_recovered(Phase::Closing).await {
        return;
    }
    loop {
        if let Err(cause) = look(&shift).await {
            tracing::warn!(%cause, "cannot look for jobs of dead workers; trying again");
        }
        if !shift.slept(shift.pace.reap, Phase::Closing).await {
            return;
        }
    }
}

async fn look(shift: &Shift) -> crate::store::Result<()> {
    let reaped = shift.app.store.reap().await?;
    shift.app.metrics.reaped(reaped.requeued, reaped.poisoned);
    if reaped != Default::default() {
        tracing::warn!(?reaped, "took back jobs whose leases had ended");
    }
    shift.app.metrics.queue(&shift.app.store.queue().await?);
    Ok(())
}
