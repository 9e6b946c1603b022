//! Takes jobs from the queue, as many as may be done at once, and starts an attempt at each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tracing::Instrument;

use super::attempt;
use super::held::HeldJob;
use super::shift::{Phase, Shift};
use crate::crash_point;

/// How often the queue is looked at where no signal comes: jobs of other processes, and those whose backoff is over.
const LOOK: Duration = Duration::from_secs(1);

/// Takes jobs until the stop, then waits for those under way.
pub(super) async fn run(shift: Arc<Shift>) {
    recover(&shift).await;
    let most = shift.app.config.jobs.concurrent.max(1);
    let mut attempts = JoinSet::new();
    while !shift.has_come_to(Phase::Draining) {
        while attempts.try_join_next().is_some() {}
        let free = most - attempts.len();
        // Never cut short: a claim that nobody hears of would hold its jobs until their leases end.
        let claimed = if free > 0 { claim(&shift, free, &mut attempts).await } else { 0 };
        if claimed > 0 && claimed == free {
            continue;
        }
        let may_take = attempts.len() < most;
        tokio::select! {
            () = shift.until(Phase::Draining) => {}
            Some(_) = attempts.join_next() => {}
            () = shift.app.store.signals().queued(), if may_take => {}
            () = tokio::time::sleep(LOOK), if may_take => {}
        }
    }
    while attempts.join_next().await.is_some() {}
    shift.gone_idle();
}

/// Takes back what an earlier process of this node held, before anything is claimed.
async fn recover(shift: &Shift) {
    while !shift.is_recovered() {
        match shift.app.store.recover().await {
            Ok(back) => {
                shift.app.metrics.reaped(back.requeued, back.poisoned);
                if back != Default::default() {
                    tracing::info!(?back, "took back what an earlier process held");
                }
                shift.set_recovered();
            }
            Err(cause) => {
                tracing::warn!(%cause, "cannot take back what an earlier process held; trying again");
                if !shift.slept(LOOK, Phase::Draining).await {
                    return;
                }
            }
        }
    }
}

/// Claims up to `free` jobs and begins them; how many came.
async fn claim(shift: &Arc<Shift>, free: usize, attempts: &mut JoinSet<()>) -> usize {
    let asked_at = Instant::now();
    let claims = match shift.app.store.claim(&shift.name, free).await {
        Ok(claims) => claims,
        Err(cause) => {
            tracing::warn!(%cause, "cannot claim jobs; trying again");
            return 0;
        }
    };
    let count = claims.len();
    for claim in claims {
        crash_point::reached("after_claim");
        crash_point::job_begun(claim.job.id.as_str());
        let job = Arc::new(HeldJob::new(claim, asked_at));
        let place = shift.held.hold(&job);
        shift.welcome(&job);
        let shift = Arc::clone(shift);
        let job_of = &job.claim.job;
        let span = tracing::info_span!("job", job_id = %job_of.id, request_id = job_of.request_id);
        let attempt = async move {
            attempt::carry_out(&shift, &job).await;
            drop(place);
        };
        attempts.spawn(attempt.instrument(span));
    }
    count
}
