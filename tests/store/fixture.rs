//! What every part of the suite begins with: a store, jobs to submit, and one check of a job's whole story.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use spinelift::job::{Event, Failure, FailureCode, JobId, JobState};
use spinelift::store::{
    Attempt, Claim, Delivery, Job, JobKey, JobResult, NewJob, Outcome, Progress, Result, Store, Submitted, Timing, To,
};

/// How a store is opened; the rest is its own affair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) queue_limit: u64,
    pub(crate) timing: Timing,
}

impl Default for Settings {
    fn default() -> Self {
        Self { queue_limit: 10_000, timing: Timing::default() }
    }
}

/// Leases that end at once, so that a test need not wait for them.
pub(crate) fn short_leases() -> Settings {
    let timing = Timing { lease: Duration::ZERO, death_backoff: Duration::ZERO };
    Settings { timing, ..Settings::default() }
}

/// A database of its own for one test, which can be opened again.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    async fn open(&self, settings: Settings) -> Result<Arc<dyn Store>>;
}

pub(crate) async fn open(backend: &dyn Backend) -> Arc<dyn Store> {
    backend.open(Settings::default()).await.unwrap()
}

pub(crate) fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

pub(crate) fn new_job(name: &str) -> NewJob {
    NewJob {
        owner: "acme".into(),
        id: id(name),
        kind: "mesh".into(),
        request: json!({ "source": { "url": format!("https://example.com/{name}.png") } }),
        request_hash: format!("request of {name}"),
        source_hash: None,
        put_since: Instant::now(),
        callback_url: None,
        request_id: "request-1".into(),
        idempotency_key: None,
        batch: None,
    }
}

pub(crate) fn with_callback(name: &str) -> NewJob {
    NewJob { callback_url: Some(format!("https://example.com/{name}/callback")), ..new_job(name) }
}

pub(crate) async fn submit(store: &dyn Store, job: NewJob) -> Submitted {
    let mut answers = store.submit(vec![job]).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

pub(crate) async fn created(store: &dyn Store, job: NewJob) -> Job {
    match submit(store, job).await {
        Submitted::Created(job) => job,
        other => panic!("not created but {other:?}"),
    }
}

/// A new job, claimed.
pub(crate) async fn running(store: &dyn Store, job: NewJob) -> Claim {
    let job = created(store, job).await;
    let claim = claimed(store).await;
    assert_eq!(claim.token.job, job.key);
    claim
}

/// The one job that can be claimed.
pub(crate) async fn claimed(store: &dyn Store) -> Claim {
    let mut claims = store.claim("worker", 1).await.unwrap();
    assert_eq!(claims.len(), 1, "nothing to claim");
    claims.remove(0)
}

pub(crate) async fn job(store: &dyn Store, name: &str) -> Job {
    store.job("acme", &id(name)).await.unwrap().unwrap()
}

pub(crate) fn told(progress: u8) -> Progress {
    Progress { progress, message: format!("at {progress}") }
}

pub(crate) fn result(name: &str) -> JobResult {
    JobResult { hash: format!("mesh of {name}"), bytes: 1234, source_hash: format!("image of {name}") }
}

pub(crate) fn completed(name: &str) -> Outcome {
    Outcome::Completed { result: result(name), cache_key: format!("key of {name}"), put_since: Instant::now() }
}

pub(crate) fn failed(code: FailureCode) -> Outcome {
    Outcome::Failed(Failure { code, message: "it failed".into(), details: json!({ "limit": 4096 }) })
}

pub(crate) fn retry(after: Duration) -> Outcome {
    Outcome::Retry { after, failure: Failure::new(FailureCode::SourceUnavailable, "the server answered 503") }
}

pub(crate) fn attempt(status: u16) -> Attempt {
    Attempt { status: Some(status), error: None, took: Duration::from_millis(7) }
}

/// The one callback that is due.
pub(crate) async fn due(store: &dyn Store) -> Delivery {
    let mut deliveries = store.claim_deliveries("sender", 10, To::ANYBODY).await.unwrap();
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    deliveries.remove(0)
}

pub(crate) async fn none_due(store: &dyn Store) {
    assert_eq!(store.claim_deliveries("sender", 10, To::ANYBODY).await.unwrap(), []);
}

/// What should come at once, or the test fails instead of hanging.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.unwrap()
}

/// Asks until the answer is yes, for what must come by itself.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ask().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A job's events, each of which must follow from the one before; the job's row must agree with the last.
pub(crate) async fn story(store: &dyn Store, name: &str) -> Vec<Event> {
    let job = job(store, name).await;
    legal_story(store, &job).await
}

/// The same of a job that was read before, and has not changed since.
pub(crate) async fn legal_story(store: &dyn Store, job: &Job) -> Vec<Event> {
    let events = all_events(store, job.key).await;
    let first = events.first().unwrap();
    assert_eq!((first.sequence, first.state, first.progress), (1, JobState::Queued, 0));
    for pair in events.windows(2) {
        check_step(&pair[0], &pair[1]);
    }
    let last = events.last().unwrap();
    assert_eq!((job.sequence, job.progress, &job.message), (last.sequence, last.progress, &last.message));
    assert_eq!(job.error, last.error);
    assert_eq!(job.state.is_final(), last.state.is_final());
    assert_eq!(job.state.is_final(), job.finished_at_ms.is_some());
    assert_eq!(job.state == JobState::Completed, job.result.is_some());
    // A claim writes no event, so a running job's last may still say that it is queued.
    assert!(job.state == last.state || job.state == JobState::Running && last.state == JobState::Queued);
    events
}

pub(crate) async fn all_events(store: &dyn Store, key: JobKey) -> Vec<Event> {
    store.events(key, 0, 10_000).await.unwrap()
}

fn check_step(before: &Event, after: &Event) {
    assert_eq!(after.sequence, before.sequence + 1);
    assert!(after.at_ms >= before.at_ms);
    // The step through `running` is not told where nothing happened in it.
    let claimed = before.state == JobState::Queued && JobState::Running.may_become(after.state);
    let same = before.state == JobState::Running && after.state == JobState::Running;
    assert!(before.state.may_become(after.state) || claimed || same, "{} then {}", before.state, after.state);
    match after.state {
        JobState::Queued => assert_eq!(after.progress, 0),
        JobState::Running => assert!(after.progress > before.progress),
        JobState::Completed => assert_eq!(after.progress, 100),
        JobState::Failed | JobState::Cancelled => assert_eq!(after.progress, before.progress),
    }
    assert_eq!(after.error.is_some(), matches!(after.state, JobState::Failed | JobState::Cancelled));
}
