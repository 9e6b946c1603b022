//! Blobs that are being deleted, and those who come to need them at that moment.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use spinelift::job::JobState;
use spinelift::store::{DOOMED_BACKOFF, Held, NewJob, Outcome, REFER_WITHIN, Retention, Store, Submitted};

use super::fixture::*;

fn hashes(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| String::from(*name)).collect()
}

fn upload(name: &str, hash: &str) -> NewJob {
    NewJob { source_hash: Some(hash.into()), put_since: Instant::now(), ..new_job(name) }
}

async fn is_doomed(store: &dyn Store, job: NewJob) -> bool {
    match submit(store, job).await {
        Submitted::Doomed => true,
        Submitted::Created(_) => false,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_doomed_blob_is_not_referred_to_by_a_submission(backend: &dyn Backend) {
    let store = open(backend).await;
    assert_eq!(store.doom(&hashes(&["a", "b"])).await.unwrap(), hashes(&["a", "b"]));
    assert!(is_doomed(&*store, upload("one", "a")).await);
    let both = store.submit(vec![new_job("two"), upload("three", "b")]).await.unwrap();
    assert!(matches!(both[..], [Submitted::Created(_), Submitted::Doomed]), "{both:?}");
    assert_eq!(store.queue().await.unwrap().queued, 1);
    assert!(!is_doomed(&*store, upload("four", "c")).await);
    assert!(!is_doomed(&*store, new_job("five")).await);
    let condemned = store.condemned(&hashes(&["a", "b", "c", "d"])).await.unwrap();
    assert_eq!(condemned, HashSet::from(["a".to_owned(), "b".to_owned()]));
}

pub(crate) async fn a_spared_blob_is_as_before(backend: &dyn Backend) {
    let store = open(backend).await;
    store.doom(&hashes(&["a", "b"])).await.unwrap();
    store.spare(&hashes(&["a", "never doomed"])).await.unwrap();
    assert!(!is_doomed(&*store, upload("one", "a")).await);
    assert!(is_doomed(&*store, upload("two", "b")).await);
    assert_eq!(store.condemned(&hashes(&["a", "b"])).await.unwrap(), HashSet::from(["b".to_owned()]));
    assert!(store.doom(&hashes(&["a"])).await.unwrap().is_empty(), "it is referred to now");
}

pub(crate) async fn who_put_a_blob_before_it_went_puts_it_again(backend: &dyn Backend) {
    let store = open(backend).await;
    let before = upload("before", "a");
    store.doom(&hashes(&["a"])).await.unwrap();
    store.gone(&hashes(&["a"])).await.unwrap();
    assert!(store.condemned(&hashes(&["a"])).await.unwrap().is_empty());
    // Not forgotten by mistake.
    store.spare(&hashes(&["a"])).await.unwrap();
    until("what is put now may be referred to", || async { !is_doomed(&*store, upload("after", "a")).await }).await;
    assert!(is_doomed(&*store, before).await);
}

pub(crate) async fn what_was_put_long_ago_is_not_referred_to(backend: &dyn Backend) {
    let store = open(backend).await;
    let Some(long_ago) = Instant::now().checked_sub(REFER_WITHIN + Duration::from_secs(1)) else { return };
    assert!(is_doomed(&*store, NewJob { put_since: long_ago, ..upload("a", "a") }).await);
    assert!(!is_doomed(&*store, NewJob { put_since: long_ago, ..new_job("b") }).await);
}

pub(crate) async fn a_job_completed_with_a_doomed_blob_is_done_again(backend: &dyn Backend) {
    for doomed in ["mesh of a", "image of a"] {
        let store = open(backend).await;
        let token = running(&*store, new_job("a")).await.token;
        store.doom(&hashes(&[doomed])).await.unwrap();
        assert_eq!(store.finish(token, vec![told(50)], completed("a")).await.unwrap(), Held::Yes);
        let job = job(&*store, "a").await;
        assert_eq!((job.state, job.result, job.progress), (JobState::Queued, None, 0));
        assert!(job.message.starts_with("Retrying:"), "{}", job.message);
        assert_eq!(store.cached("key of a").await.unwrap(), None);
        assert!(store.claim("worker", 1).await.unwrap().is_empty(), "not before {DOOMED_BACKOFF:?} have passed");
        story(&*store, "a").await;
        store.cancel("acme", &id("a")).await.unwrap();
        let nothing = Retention { completed: Duration::ZERO, failed: Duration::ZERO };
        while store.prune(nothing).await.unwrap() > 0 {}
        store.spare(&hashes(&[doomed])).await.unwrap();
        // With what is there it is completed.
        let token = running(&*store, new_job("b")).await.token;
        let Outcome::Completed { cache_key, put_since, .. } = completed("b") else { panic!("not completed") };
        let outcome = Outcome::Completed { result: result("a"), cache_key, put_since };
        assert_eq!(store.finish(token, vec![], outcome).await.unwrap(), Held::Yes);
        assert_eq!(super::fixture::job(&*store, "b").await.state, JobState::Completed);
        assert!(store.doom(&hashes(&[doomed])).await.unwrap().is_empty());
        while store.prune(nothing).await.unwrap() > 0 {}
        store.close().await;
    }
}

pub(crate) async fn a_doomed_blob_has_one_sweeper(backend: &dyn Backend) {
    let store = open(backend).await;
    assert_eq!(store.doom(&hashes(&["a", "b"])).await.unwrap().len(), 2);
    assert_eq!(store.doom(&hashes(&["b", "c"])).await.unwrap(), hashes(&["c"]));
}

pub(crate) async fn a_known_job_is_answered_though_its_blob_is_doomed_for_others(backend: &dyn Backend) {
    let store = open(backend).await;
    store.doom(&hashes(&["a"])).await.unwrap();
    store.gone(&hashes(&["a"])).await.unwrap();
    let long_gone = upload("one", "a");
    until("what is put now may be referred to", || async { !is_doomed(&*store, upload("one", "a")).await }).await;
    // Asked for again with what was put too early: the job is there, and keeps its blob.
    assert!(matches!(submit(&*store, long_gone).await, Submitted::Existing(_)));
}

pub(crate) async fn one_takes_the_turn_of_all(backend: &dyn Backend) {
    let store = open(backend).await;
    let hour = Duration::from_secs(3600);
    assert!(store.take_turn("sweep", hour).await.unwrap());
    assert!(!store.take_turn("sweep", hour).await.unwrap());
    assert!(store.take_turn("other", Duration::ZERO).await.unwrap());
    assert!(store.take_turn("other", hour).await.unwrap());
    let turns = (0..8).map(|_| store.take_turn("third", hour));
    let turns = futures_util::future::join_all(turns).await;
    assert_eq!(turns.into_iter().filter(|turn| *turn.as_ref().unwrap()).count(), 1);
}

pub(crate) async fn a_database_knows_its_own_name(backend: &dyn Backend) {
    let store = open(backend).await;
    let name = store.identity().await.unwrap();
    assert!(name.len() >= 32, "{name}");
    store.close().await;
    assert_eq!(open(backend).await.identity().await.unwrap(), name);
}
