//! Accepting jobs: every answer that a submission can get.

use spinelift::job::{FailureCode, JobState};
use spinelift::store::{Cancel, NewJob, Submitted};

use super::fixture::*;

pub(crate) async fn a_new_job_is_queued_with_its_first_event(backend: &dyn Backend) {
    let store = open(backend).await;
    let new = NewJob { batch: Some("b".into()), ..with_callback("a") };
    let answered = created(&*store, new.clone()).await;
    let job = job(&*store, "a").await;
    assert_eq!(answered, job);
    assert_eq!((job.state, job.progress, job.message.as_str()), (JobState::Queued, 0, "Queued"));
    assert_eq!((job.owner, job.id, job.batch, job.request), (new.owner, new.id, new.batch, new.request));
    assert_eq!((job.attempt, job.cancel_requested, job.result, job.error), (0, false, None, None));
    assert!(job.created_at_ms > 1_700_000_000_000);
    assert_eq!(story(&*store, "a").await.len(), 1);
}

pub(crate) async fn an_unknown_id_is_no_job(backend: &dyn Backend) {
    let store = open(backend).await;
    created(&*store, new_job("a")).await;
    assert_eq!(store.job("acme", &id("b")).await.unwrap(), None);
    assert_eq!(store.job("other", &id("a")).await.unwrap(), None);
}

pub(crate) async fn the_same_request_is_the_same_job(backend: &dyn Backend) {
    let store = open(backend).await;
    let first = created(&*store, new_job("a")).await;
    assert_eq!(submit(&*store, new_job("a")).await, Submitted::Existing(first));
    let claim = claimed(&*store).await;
    assert_eq!(submit(&*store, new_job("a")).await, Submitted::Existing(job(&*store, "a").await));
    store.finish(claim.token, vec![], completed("a")).await.unwrap();
    assert_eq!(submit(&*store, new_job("a")).await, Submitted::Existing(job(&*store, "a").await));
    story(&*store, "a").await;
}

pub(crate) async fn another_request_under_a_taken_id_is_refused(backend: &dyn Backend) {
    let store = open(backend).await;
    created(&*store, new_job("a")).await;
    let other = NewJob { request_hash: "another".into(), ..new_job("a") };
    assert_eq!(submit(&*store, other).await, Submitted::IdConflict);
}

pub(crate) async fn owners_do_not_share_ids_or_keys(backend: &dyn Backend) {
    let store = open(backend).await;
    let mine = NewJob { idempotency_key: Some("k".into()), ..new_job("a") };
    let theirs = NewJob { owner: "other".into(), request_hash: "another".into(), ..mine.clone() };
    let mine = created(&*store, mine).await;
    let theirs = created(&*store, theirs).await;
    assert_ne!(mine.key, theirs.key);
}

pub(crate) async fn a_known_key_replays_its_job(backend: &dyn Backend) {
    let store = open(backend).await;
    let keyed = |name: &str| NewJob { idempotency_key: Some("k".into()), ..new_job(name) };
    let first = created(&*store, keyed("a")).await;
    // Ours when the caller names none, so it is another one at every try.
    let again = NewJob { id: id("b"), ..keyed("a") };
    assert_eq!(submit(&*store, again).await, Submitted::Replayed(first.clone()));
    assert_eq!(submit(&*store, keyed("a")).await, Submitted::Replayed(first));
    assert_eq!(submit(&*store, keyed("c")).await, Submitted::KeyReused);
    assert_eq!(store.job("acme", &id("b")).await.unwrap(), None);
    assert_eq!(store.job("acme", &id("c")).await.unwrap(), None);
}

pub(crate) async fn a_key_is_remembered_for_a_job_that_was_there(backend: &dyn Backend) {
    let store = open(backend).await;
    let first = created(&*store, new_job("a")).await;
    let keyed = NewJob { idempotency_key: Some("k".into()), ..new_job("a") };
    assert_eq!(submit(&*store, keyed.clone()).await, Submitted::Existing(first.clone()));
    assert_eq!(submit(&*store, keyed).await, Submitted::Replayed(first));
}

pub(crate) async fn a_cancelled_job_starts_anew(backend: &dyn Backend) {
    let store = open(backend).await;
    created(&*store, with_callback("a")).await;
    assert!(matches!(store.cancel("acme", &id("a")).await.unwrap(), Some(Cancel::Done(_))));
    let again = NewJob { batch: Some("later".into()), ..with_callback("a") };
    let Submitted::Restarted(job) = submit(&*store, again).await else { panic!("not restarted") };
    assert_eq!((job.state, job.sequence, job.progress, job.attempt), (JobState::Queued, 3, 0, 0));
    assert_eq!((job.error.clone(), job.cancel_requested, job.finished_at_ms), (None, false, None));
    assert_eq!(job, super::fixture::job(&*store, "a").await);
    assert_eq!(job.batch.as_deref(), Some("later"));
    let claim = claimed(&*store).await;
    store.finish(claim.token, vec![], completed("a")).await.unwrap();
    let states: Vec<JobState> = story(&*store, "a").await.iter().map(|event| event.state).collect();
    assert_eq!(states, [JobState::Queued, JobState::Cancelled, JobState::Queued, JobState::Completed]);
}

pub(crate) async fn a_passing_failure_starts_anew_and_a_lasting_one_does_not(backend: &dyn Backend) {
    let store = open(backend).await;
    let lasting = running(&*store, new_job("lasting")).await.token;
    store.finish(lasting, vec![told(40)], failed(FailureCode::ImageLoadFailed)).await.unwrap();
    let passing = running(&*store, new_job("passing")).await.token;
    store.finish(passing, vec![told(40)], failed(FailureCode::SourceTimeout)).await.unwrap();
    assert!(matches!(submit(&*store, new_job("lasting")).await, Submitted::Existing(_)));
    assert!(matches!(submit(&*store, new_job("passing")).await, Submitted::Restarted(_)));
    let claim = claimed(&*store).await;
    assert!(claim.token.fence > passing.fence, "a worker of the first run could write to the second");
    assert_eq!((claim.job.attempt, claim.job.progress), (1, 0));
    story(&*store, "passing").await;
}

pub(crate) async fn fifty_equal_submissions_at_once_make_one_job(backend: &dyn Backend) {
    let store = open(backend).await;
    let submissions = (0..50).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { submit(&*store, with_callback("a")).await })
    });
    let (mut created, mut existing) = (0, 0);
    for submission in submissions.collect::<Vec<_>>() {
        match submission.await.unwrap() {
            Submitted::Created(_) => created += 1,
            Submitted::Existing(_) => existing += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((created, existing), (1, 49));
    assert_eq!(story(&*store, "a").await.len(), 1);
}

pub(crate) async fn many_at_once_are_answered_in_their_order(backend: &dyn Backend) {
    let store = open(backend).await;
    created(&*store, new_job("there")).await;
    let conflict = NewJob { request_hash: "another".into(), ..new_job("there") };
    let answers =
        store.submit(vec![new_job("a"), conflict, new_job("there"), new_job("b"), new_job("a")]).await.unwrap();
    assert!(matches!(
        &answers[..],
        [
            Submitted::Created(a),
            Submitted::IdConflict,
            Submitted::Existing(_),
            Submitted::Created(b),
            Submitted::Existing(again)
        ] if a.key < b.key && again.key == a.key
    ));
}

pub(crate) async fn a_full_queue_refuses_new_jobs_only(backend: &dyn Backend) {
    let store = backend.open(Settings { queue_limit: 2, ..Settings::default() }).await.unwrap();
    let keyed = NewJob { idempotency_key: Some("k".into()), ..new_job("a") };
    created(&*store, keyed.clone()).await;
    let answers = store.submit(vec![new_job("b"), new_job("c")]).await.unwrap();
    assert!(matches!(&answers[..], [Submitted::Created(_), Submitted::QueueFull]));
    assert!(matches!(submit(&*store, keyed).await, Submitted::Replayed(_)));
    assert!(matches!(submit(&*store, new_job("b")).await, Submitted::Existing(_)));
    assert_eq!(store.job("acme", &id("c")).await.unwrap(), None);

    let claim = claimed(&*store).await;
    created(&*store, new_job("c")).await;
    assert_eq!(submit(&*store, new_job("d")).await, Submitted::QueueFull);
    // Given back, it is one too many, which is no reason to lose it.
    store.release(&[claim.token]).await.unwrap();
    assert_eq!(store.queue().await.unwrap().queued, 3);
    store.cancel("acme", &id("a")).await.unwrap();
    assert_eq!(submit(&*store, new_job("a")).await, Submitted::QueueFull, "a restart needs a place too");
    store.cancel("acme", &id("b")).await.unwrap();
    assert!(matches!(submit(&*store, new_job("a")).await, Submitted::Restarted(_)));
    store.reap().await.unwrap();
    assert_eq!(submit(&*store, new_job("d")).await, Submitted::QueueFull);
}
