//! What is kept, found again, counted and in the end deleted.

use std::collections::HashSet;
use std::time::Duration;

use spinelift::job::{FailureCode, JobState};
use spinelift::store::{BatchCounts, DeliveryOutcome, Filter, NewJob, Queue, Retention, Store, StoreError};

use super::fixture::*;

const EVER: Duration = Duration::from_secs(3600);

const NOTHING_IS_KEPT: Retention = Retention { completed: Duration::ZERO, failed: Duration::ZERO };

/// A finished job.
async fn done(store: &dyn Store, new: NewJob) {
    let name = new.id.to_string();
    let token = running(store, new).await.token;
    store.finish(token, vec![told(50)], completed(&name)).await.unwrap();
}

pub(crate) async fn a_list_is_newest_first_and_goes_on_from_its_cursor(backend: &dyn Backend) {
    let store = open(backend).await;
    for n in 0..7 {
        created(&*store, new_job(&format!("job-{n}"))).await;
    }
    created(&*store, NewJob { owner: "other".into(), ..new_job("theirs") }).await;
    for name in ["job-2", "job-5"] {
        store.cancel("acme", &id(name)).await.unwrap();
    }
    let mut filter = Filter { limit: 3, ..Filter::default() };
    let mut pages = Vec::new();
    loop {
        let page = store.list("acme", &filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.before = Some(last.key);
        pages.push(page.iter().map(|job| job.id.to_string()).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(pages, ["job-6 job-5 job-4", "job-3 job-2 job-1", "job-0"]);

    let states = vec![JobState::Cancelled, JobState::Failed];
    let cancelled = store.list("acme", &Filter { states, limit: 10, ..Filter::default() }).await.unwrap();
    assert_eq!(cancelled.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["job-5", "job-2"]);
    assert_eq!(store.list("nobody", &Filter { limit: 10, ..Filter::default() }).await.unwrap(), []);
}

pub(crate) async fn a_batch_counts_its_jobs(backend: &dyn Backend) {
    let store = open(backend).await;
    let of_batch = |name: &str| NewJob { batch: Some("b".into()), ..new_job(name) };
    store.submit(["a", "b", "c", "d", "e"].map(of_batch).to_vec()).await.unwrap();
    created(&*store, new_job("alone")).await;
    let claims = store.claim("worker", 3).await.unwrap();
    store.finish(claims[0].token, vec![], completed("a")).await.unwrap();
    store.finish(claims[1].token, vec![], failed(FailureCode::Internal)).await.unwrap();
    store.cancel("acme", &id("e")).await.unwrap();
    let counts = BatchCounts { total: 5, queued: 1, running: 1, completed: 1, failed: 1, cancelled: 1 };
    assert_eq!(store.batch("acme", "b").await.unwrap(), Some(counts));
    assert_eq!(store.batch("acme", "c").await.unwrap(), None);
    assert_eq!(store.batch("other", "b").await.unwrap(), None);
    let filter = Filter { batch: Some("b".into()), states: vec![JobState::Queued], limit: 10, ..Filter::default() };
    let listed = store.list("acme", &filter).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["d"]);
}

pub(crate) async fn the_queue_at_a_glance(backend: &dyn Backend) {
    let store = open(backend).await;
    assert_eq!(store.queue().await.unwrap(), Queue::default());
    let token = running(&*store, with_callback("a")).await.token;
    store.finish(token, vec![], retry(EVER)).await.unwrap();
    let queue = store.queue().await.unwrap();
    assert_eq!((queue.queued, queue.running, queue.deliveries), (1, 0, 1));
    assert_eq!(queue.oldest, Duration::ZERO, "what waits for its time has not been kept waiting");
    running(&*store, new_job("b")).await;
    created(&*store, new_job("c")).await;
    until("c has waited", || async { store.queue().await.unwrap().oldest > Duration::from_millis(20) }).await;
    let queue = store.queue().await.unwrap();
    assert_eq!((queue.queued, queue.running), (2, 1));
    assert!(queue.oldest < Duration::from_secs(60));
}

pub(crate) async fn events_are_read_in_parts(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    store.progress(token, (1..=9).map(told).collect()).await.unwrap();
    let all = story(&*store, "a").await;
    assert_eq!(all.len(), 10);
    assert_eq!(store.events(token.job, 3, 4).await.unwrap(), all[3..7]);
    assert_eq!(store.events(token.job, 10, 4).await.unwrap(), []);
    assert_eq!(store.events(token.job, u64::MAX, 4).await.unwrap(), []);
}

pub(crate) async fn a_result_is_shared_by_its_cache_key(backend: &dyn Backend) {
    let store = open(backend).await;
    assert_eq!(store.cached("key of a").await.unwrap(), None);
    done(&*store, new_job("a")).await;
    assert_eq!(store.cached("key of a").await.unwrap(), Some(result("a")));
    // The same image and parameters under another id.
    let token = running(&*store, new_job("b")).await.token;
    store.finish(token, vec![], completed("a")).await.unwrap();
    assert_eq!(store.cached("key of a").await.unwrap(), Some(result("a")));
}

pub(crate) async fn old_jobs_go_with_all_that_is_theirs(backend: &dyn Backend) {
    let store = open(backend).await;
    let keyed = NewJob { idempotency_key: Some("k".into()), ..with_callback("a") };
    done(&*store, keyed.clone()).await;
    let key = job(&*store, "a").await.key;
    let delivery = due(&*store).await;
    store.delivered(delivery.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    created(&*store, new_job("queued")).await;

    assert_eq!(store.prune(Retention { completed: EVER, failed: EVER }).await.unwrap(), 0);
    assert!(store.prune(NOTHING_IS_KEPT).await.unwrap() > 0);
    assert_eq!(store.prune(NOTHING_IS_KEPT).await.unwrap(), 0);
    assert_eq!(store.job("acme", &id("a")).await.unwrap(), None);
    assert_eq!(all_events(&*store, key).await, []);
    assert_eq!(store.cached("key of a").await.unwrap(), None);
    assert_eq!(job(&*store, "queued").await.state, JobState::Queued);
    // Id and key are free again, and the row is not the old one.
    assert!(created(&*store, keyed).await.key > key);
}

pub(crate) async fn failed_jobs_are_kept_for_their_own_time(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("failed")).await.token;
    store.finish(token, vec![], failed(FailureCode::Internal)).await.unwrap();
    done(&*store, new_job("completed")).await;
    created(&*store, new_job("cancelled")).await;
    store.cancel("acme", &id("cancelled")).await.unwrap();
    while store.prune(Retention { completed: Duration::ZERO, failed: EVER }).await.unwrap() > 0 {}
    let left = store.list("acme", &Filter { limit: 10, ..Filter::default() }).await.unwrap();
    assert_eq!(left.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["failed"]);
    while store.prune(Retention { completed: EVER, failed: Duration::ZERO }).await.unwrap() > 0 {}
    assert_eq!(store.list("acme", &Filter { limit: 10, ..Filter::default() }).await.unwrap(), []);
}

pub(crate) async fn a_job_whose_callback_is_owed_is_kept(backend: &dyn Backend) {
    let store = open(backend).await;
    done(&*store, with_callback("a")).await;
    while store.prune(NOTHING_IS_KEPT).await.unwrap() > 0 {}
    let delivery = due(&*store).await;
    while store.prune(NOTHING_IS_KEPT).await.unwrap() > 0 {}
    assert_eq!(job(&*store, "a").await.state, JobState::Completed);
    store.delivered(delivery.token, attempt(410), DeliveryOutcome::GivenUp).await.unwrap();
    assert_eq!(store.prune(NOTHING_IS_KEPT).await.unwrap(), 1);
}

pub(crate) async fn much_is_deleted_in_parts(backend: &dyn Backend) {
    let store = open(backend).await;
    store.submit((0..450).map(|n| new_job(&format!("job-{n}"))).collect()).await.unwrap();
    for claim in store.claim("worker", 450).await.unwrap() {
        store.finish(claim.token, vec![], spinelift::store::Outcome::Cancelled).await.unwrap();
    }
    let mut parts = Vec::new();
    while parts.last() != Some(&0) {
        parts.push(store.prune(NOTHING_IS_KEPT).await.unwrap());
    }
    assert_eq!(parts.iter().sum::<u64>(), 450);
    assert!(parts.len() > 2, "{parts:?}");
}

pub(crate) async fn needed_blobs_are_named(backend: &dyn Backend) {
    let store = open(backend).await;
    created(&*store, NewJob { source_hash: Some("uploaded".into()), ..new_job("waiting") }).await;
    claimed(&*store).await;
    done(&*store, new_job("a")).await;
    let asked = ["uploaded", "mesh of a", "image of a", "nobody's", "key of a"].map(String::from);
    let needed = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect::<HashSet<_>>();
    let all = needed(&["uploaded", "mesh of a", "image of a"]);
    let rest =
        |doomed: Vec<String>| asked.iter().filter(|hash| !doomed.contains(hash)).cloned().collect::<HashSet<_>>();
    assert_eq!(rest(store.doom(&asked).await.unwrap()), all);
    assert!(store.doom(&[]).await.unwrap().is_empty());
    store.spare(&asked).await.unwrap();
    while store.prune(NOTHING_IS_KEPT).await.unwrap() > 0 {}
    assert_eq!(rest(store.doom(&asked).await.unwrap()), needed(&["uploaded"]));
}

pub(crate) async fn all_is_there_after_a_restart(backend: &dyn Backend) {
    let store = open(backend).await;
    done(&*store, with_callback("a")).await;
    created(&*store, NewJob { idempotency_key: Some("k".into()), ..new_job("b") }).await;
    let (jobs, events) = ((job(&*store, "a").await, job(&*store, "b").await), story(&*store, "a").await);
    // Without a word, as a process ends that has no time to say goodbye to its store.
    drop(store);
    until("the database is let go of", || async {
        let Ok(store) = backend.open(Settings::default()).await else { return false };
        assert_eq!((job(&*store, "a").await, job(&*store, "b").await), jobs);
        assert_eq!(story(&*store, "a").await, events);
        assert_eq!(due(&*store).await.event.state, JobState::Completed);
        assert_eq!(store.queue().await.unwrap().queued, 1);
        true
    })
    .await;
}

pub(crate) async fn a_closed_store_says_so(backend: &dyn Backend) {
    let store = open(backend).await;
    let writing = (0..20).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.submit(vec![new_job(&format!("job-{n}"))]).await })
    });
    let writing: Vec<_> = writing.collect();
    store.close().await;
    store.close().await;
    let mut accepted = 0;
    for submission in writing {
        match submission.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(error) => assert!(matches!(error, StoreError::Closed), "{error}"),
        }
    }
    assert!(matches!(store.submit(vec![new_job("late")]).await, Err(StoreError::Closed)));
    assert!(matches!(store.job("acme", &id("late")).await, Err(StoreError::Closed)));
    assert!(matches!(store.check_writable().await, Err(StoreError::Closed)));
    let store = open(backend).await;
    assert_eq!(store.queue().await.unwrap().queued, accepted);
}

pub(crate) async fn a_healthy_database_is_writable(backend: &dyn Backend) {
    let store = open(backend).await;
    store.check_writable().await.unwrap();
}
