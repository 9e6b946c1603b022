//! Waiting for a job on behalf of a caller: bounded, woken by signals, right without them.

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::face::{Face, Place};
use crate::store::Job;

/// How often the job is looked at while no signal comes. Signals may be lost, or be another node's.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Kept of REQUEST_TIMEOUT for the answer itself.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);

/// Longest wait that a caller may ask for, s. Proxies tend to cut requests after a minute.
pub(super) const LONGEST_WAIT: u64 = 60;

/// The job once `enough` of it has happened, or as it is when time is up or the service begins to stop.
pub(super) async fn until(
    face: &Face,
    mut job: Job,
    seconds: u64,
    _place: &Place,
    enough: impl Fn(&Job) -> bool,
) -> Result<Job, ApiError> {
    let patience = Duration::from_secs(seconds);
    let allowed = face.app.config.http.request_timeout.saturating_sub(FOR_THE_ANSWER);
    let end = Instant::now() + patience.min(allowed);
    let mut news = face.app.store.signals().subscribe(job.key);
    let mut draining = face.app.draining();
    loop {
        // Looked at after subscribing, so that no change falls between.
        job = face.app.store.job(&job.owner, &job.id).await?.ok_or_else(ApiError::job_not_found)?;
        if enough(&job) || job.state.is_final() || Instant::now() >= end || face.app.is_draining() {
            return Ok(job);
        }
        let next_look = end.min(Instant::now() + LOOK_AGAIN);
        let woken = async {
            tokio::select! {
                () = news.changed() => {}
                _ = draining.changed() => {}
            }
        };
        // Either way the job is looked at again.
        let _ = timeout_at(next_look, woken).await;
    }
}

/// The N of `Prefer: wait=N` (RFC 7240). A preference that cannot be met is ignored, as the RFC has it.
pub(super) fn preferred(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';'])).filter_map(|one| one.split_once('='));
    let (_, seconds) = preferences.find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))?;
    seconds.trim().parse().ok().filter(|seconds| (1..=LONGEST_WAIT).contains(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wait_within_bounds_is_a_preference() {
        let wait = |text: &str| preferred(&HeaderMap::from_iter([("prefer".parse().unwrap(), text.parse().unwrap())]));
        assert_eq!(wait("wait=5"), Some(5));
        assert_eq!(wait("respond-async, Wait = 60"), Some(60));
        for ignored in ["wait=0", "wait=61", "wait=-1", "wait=x", "wait", "return=minimal", ""] {
            assert_eq!(wait(ignored), None, "{ignored}");
        }
    }
}
