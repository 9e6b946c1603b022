//! Progress, ends, and callers who want their job to end.

use std::time::Duration;

use spinelift::job::{FailureCode, JobState};
use spinelift::store::{Beat, Cancel, Held, Outcome};

use super::fixture::*;

pub(crate) async fn progress_only_grows(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    let news = [0, 10, 10, 5, 30, 100].map(told).to_vec();
    assert_eq!(store.progress(token, news).await.unwrap(), Held::Yes);
    assert_eq!(store.progress(token, vec![told(20), told(30)]).await.unwrap(), Held::Yes);
    assert_eq!(store.progress(token, vec![]).await.unwrap(), Held::Yes);
    let events = story(&*store, "a").await;
    assert_eq!(events.iter().map(|event| event.progress).collect::<Vec<_>>(), [0, 10, 30]);
    let job = job(&*store, "a").await;
    assert_eq!((job.state, job.progress, job.message.as_str()), (JobState::Running, 30, "at 30"));
}

pub(crate) async fn a_completed_job_has_its_result_and_one_final_event(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    store.progress(token, vec![told(30)]).await.unwrap();
    let news = vec![told(60), told(100)];
    assert_eq!(store.finish(token, news, completed("a")).await.unwrap(), Held::Yes);
    let job = job(&*store, "a").await;
    assert_eq!((job.state, job.progress, job.result), (JobState::Completed, 100, Some(result("a"))));
    assert_eq!(job.message, "Mesh generation complete");
    let events = story(&*store, "a").await;
    assert_eq!(events.iter().map(|event| event.progress).collect::<Vec<_>>(), [0, 30, 60, 100]);
    assert_eq!(events.iter().filter(|event| event.state.is_final()).count(), 1);
}

pub(crate) async fn a_failed_job_keeps_its_progress_and_says_why(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    store.finish(token, vec![told(40)], failed(FailureCode::ImageTooLarge)).await.unwrap();
    let job = job(&*store, "a").await;
    let Outcome::Failed(failure) = failed(FailureCode::ImageTooLarge) else { panic!() };
    assert_eq!((job.state, job.progress, job.message), (JobState::Failed, 40, failure.message.clone()));
    assert_eq!(job.error, Some(failure));
    story(&*store, "a").await;
}

pub(crate) async fn a_retry_waits_its_time(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    store.finish(token, vec![told(40)], retry(Duration::from_millis(300))).await.unwrap();
    let waiting = job(&*store, "a").await;
    assert_eq!((waiting.state, waiting.progress, waiting.error), (JobState::Queued, 0, None));
    assert_eq!(waiting.message, "Retrying: the server answered 503");
    // Whoever comes later goes first meanwhile.
    created(&*store, new_job("b")).await;
    assert_eq!(claimed(&*store).await.job.id, id("b"));
    until("the retry is due", || async {
        let claims = store.claim("worker", 1).await.unwrap();
        let Some(claim) = claims.first() else { return false };
        assert!(claim.job.updated_at_ms >= waiting.updated_at_ms + 300);
        assert_eq!(claim.job.attempt, 2);
        true
    })
    .await;
    story(&*store, "a").await;
}

pub(crate) async fn a_retry_of_a_job_that_was_to_end_is_a_cancel(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    store.cancel("acme", &id("a")).await.unwrap();
    store.finish(token, vec![], retry(Duration::ZERO)).await.unwrap();
    assert_eq!(job(&*store, "a").await.state, JobState::Cancelled);
    story(&*store, "a").await;
}

pub(crate) async fn a_queued_job_is_cancelled_at_once(backend: &dyn Backend) {
    let store = open(backend).await;
    created(&*store, new_job("a")).await;
    assert_eq!(store.cancel("acme", &id("b")).await.unwrap(), None);
    assert_eq!(store.cancel("other", &id("a")).await.unwrap(), None);
    let Some(Cancel::Done(ended)) = store.cancel("acme", &id("a")).await.unwrap() else { panic!() };
    assert_eq!(ended, job(&*store, "a").await);
    assert_eq!((ended.state, ended.error.unwrap().code), (JobState::Cancelled, FailureCode::Cancelled));
    assert_eq!(store.claim("worker", 1).await.unwrap(), []);
    story(&*store, "a").await;
}

pub(crate) async fn a_running_job_hears_of_its_cancel(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    let other = running(&*store, new_job("b")).await.token;
    for _ in 0..2 {
        let Some(Cancel::Requested(job)) = store.cancel("acme", &id("a")).await.unwrap() else { panic!() };
        assert_eq!((job.state, job.cancel_requested), (JobState::Running, true));
    }
    soon(store.signals().cancelled()).await;
    assert_eq!(store.heartbeat(&[other, token]).await.unwrap(), [Beat::Alive, Beat::CancelRequested]);
    assert_eq!(store.finish(token, vec![], Outcome::Cancelled).await.unwrap(), Held::Yes);
    let ended = job(&*store, "a").await;
    assert_eq!((ended.state, ended.error.unwrap().code), (JobState::Cancelled, FailureCode::Cancelled));
    story(&*store, "a").await;
}

pub(crate) async fn a_job_may_finish_before_it_hears_of_its_cancel(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    store.cancel("acme", &id("a")).await.unwrap();
    assert_eq!(store.finish(token, vec![], completed("a")).await.unwrap(), Held::Yes);
    assert_eq!(job(&*store, "a").await.state, JobState::Completed);
    story(&*store, "a").await;
}

pub(crate) async fn a_finished_job_stays_as_it_is(backend: &dyn Backend) {
    let store = open(backend).await;
    for (name, outcome) in [("a", completed("a")), ("b", failed(FailureCode::Internal)), ("c", Outcome::Cancelled)] {
        let token = running(&*store, new_job(name)).await.token;
        store.finish(token, vec![], outcome).await.unwrap();
        let before = job(&*store, name).await;
        assert_eq!(store.cancel("acme", &id(name)).await.unwrap(), Some(Cancel::AlreadyFinal(before.clone())));
        assert_eq!(job(&*store, name).await, before);
        story(&*store, name).await;
    }
}

pub(crate) async fn nothing_is_written_after_the_end(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    store.finish(token, vec![], completed("a")).await.unwrap();
    let before = story(&*store, "a").await;
    assert_eq!(store.progress(token, vec![told(99)]).await.unwrap(), Held::Lost);
    assert_eq!(store.finish(token, vec![], Outcome::Cancelled).await.unwrap(), Held::Lost);
    store.release(&[token]).await.unwrap();
    assert_eq!(story(&*store, "a").await, before);
}

pub(crate) async fn listeners_and_waiters_are_woken(backend: &dyn Backend) {
    let store = open(backend).await;
    let job = created(&*store, with_callback("a")).await;
    soon(store.signals().queued()).await;
    soon(store.signals().due()).await;
    let mut subscription = store.signals().subscribe(job.key);
    let token = claimed(&*store).await.token;
    store.progress(token, vec![told(10)]).await.unwrap();
    soon(subscription.changed()).await;
    soon(store.signals().due()).await;
    store.finish(token, vec![], retry(Duration::ZERO)).await.unwrap();
    soon(subscription.changed()).await;
    soon(store.signals().queued()).await;
    store.cancel("acme", &id("a")).await.unwrap();
    soon(subscription.changed()).await;
}
