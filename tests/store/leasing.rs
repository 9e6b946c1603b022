//! Leases: who may write to a job, for how long, and what becomes of a dead worker's job.

use std::collections::HashSet;
use std::time::Duration;

use spinelift::job::{FailureCode, JobState};
use spinelift::store::{Beat, Held, JobKey, Reaped, Store, Timing, Token};

use super::fixture::*;

pub(crate) async fn jobs_are_claimed_in_the_order_of_their_acceptance(backend: &dyn Backend) {
    let store = open(backend).await;
    let names = ["c", "a", "d", "b"];
    for name in names {
        created(&*store, new_job(name)).await;
    }
    let mut claims = store.claim("one", 3).await.unwrap();
    claims.extend(store.claim("two", 3).await.unwrap());
    assert_eq!(claims.iter().map(|claim| claim.job.id.as_str()).collect::<Vec<_>>(), names);
    for claim in &claims {
        assert_eq!((claim.job.state, claim.job.attempt, claim.token.job), (JobState::Running, 1, claim.job.key));
        assert_eq!(claim.job, job(&*store, claim.job.id.as_str()).await);
    }
    assert_eq!(store.claim("three", 3).await.unwrap(), []);
}

pub(crate) async fn no_job_is_claimed_twice_by_workers_at_once(backend: &dyn Backend) {
    let store = open(backend).await;
    store.submit((0..100).map(|n| new_job(&format!("job-{n}"))).collect()).await.unwrap();
    let workers = (0..10).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let claims = store.claim(&format!("worker-{n}"), 3).await.unwrap();
                if claims.is_empty() {
                    return held;
                }
                held.extend(claims.into_iter().map(|claim| claim.token.job));
            }
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.unwrap());
    }
    assert_eq!(all.len(), 100);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 100);
}

pub(crate) async fn a_heartbeat_keeps_a_lease_alive(backend: &dyn Backend) {
    // Long enough for a heartbeat to come in time on a slow machine, short enough to wait for its end.
    let timing = Timing { lease: Duration::from_millis(1500), death_backoff: Duration::ZERO };
    let store = backend.open(Settings { timing, ..Settings::default() }).await.unwrap();
    let kept = running(&*store, new_job("kept")).await.token;
    let left = running(&*store, new_job("left")).await.token;
    until("the lease that nobody extends ends", || async {
        assert_eq!(store.heartbeat(&[kept]).await.unwrap(), [Beat::Alive]);
        store.reap().await.unwrap().requeued == 1
    })
    .await;
    assert_eq!(store.heartbeat(&[left, kept]).await.unwrap(), [Beat::Lost, Beat::Alive]);
}

pub(crate) async fn a_stale_token_writes_nothing(backend: &dyn Backend) {
    let store = backend.open(short_leases()).await.unwrap();
    let stale = running(&*store, with_callback("a")).await.token;
    store.reap().await.unwrap();
    let queued = story(&*store, "a").await;
    expect_lost(&*store, stale).await;
    assert_eq!(story(&*store, "a").await, queued);

    let fresh = claimed(&*store).await.token;
    assert_eq!(fresh.job, stale.job);
    assert!(fresh.fence > stale.fence);
    let before = job(&*store, "a").await;
    expect_lost(&*store, stale).await;
    assert_eq!(job(&*store, "a").await, before);
    assert_eq!(store.progress(fresh, vec![told(10)]).await.unwrap(), Held::Yes);
    assert_eq!(store.finish(fresh, vec![], completed("a")).await.unwrap(), Held::Yes);
    expect_lost(&*store, stale).await;
    expect_lost(&*store, fresh).await;
    assert_eq!(job(&*store, "a").await.result, Some(result("a")));
    story(&*store, "a").await;
}

async fn expect_lost(store: &dyn Store, token: Token) {
    assert_eq!(store.heartbeat(&[token]).await.unwrap(), [Beat::Lost]);
    assert_eq!(store.progress(token, vec![told(77)]).await.unwrap(), Held::Lost);
    for outcome in [completed("stale"), failed(FailureCode::Internal), retry(Duration::ZERO)] {
        assert_eq!(store.finish(token, vec![told(78)], outcome).await.unwrap(), Held::Lost);
    }
    store.release(&[token]).await.unwrap();
    assert_eq!(store.cached("key of stale").await.unwrap(), None);
}

pub(crate) async fn an_unknown_token_is_lost(backend: &dyn Backend) {
    let store = open(backend).await;
    expect_lost(&*store, Token { job: JobKey(12345), fence: 1 }).await;
    assert_eq!(store.heartbeat(&[]).await.unwrap(), []);
}

pub(crate) async fn a_released_job_is_as_if_never_claimed(backend: &dyn Backend) {
    let store = open(backend).await;
    let untouched = running(&*store, new_job("a")).await.token;
    store.release(&[untouched]).await.unwrap();
    assert_eq!(story(&*store, "a").await.len(), 1);
    // More often than deaths would be forgiven.
    for _ in 0..5 {
        let claim = claimed(&*store).await;
        assert_eq!((claim.job.attempt, claim.job.progress), (1, 0));
        store.progress(claim.token, vec![told(40)]).await.unwrap();
        store.release(&[claim.token]).await.unwrap();
        let job = job(&*store, "a").await;
        assert_eq!((job.state, job.attempt, job.progress), (JobState::Queued, 0, 0));
    }
    story(&*store, "a").await;
}

pub(crate) async fn a_released_job_that_was_to_end_is_cancelled(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    store.cancel("acme", &id("a")).await.unwrap();
    store.release(&[token]).await.unwrap();
    assert_eq!(job(&*store, "a").await.state, JobState::Cancelled);
    story(&*store, "a").await;
}

pub(crate) async fn an_expired_lease_is_taken_back(backend: &dyn Backend) {
    let store = backend.open(short_leases()).await.unwrap();
    let token = running(&*store, new_job("a")).await.token;
    store.progress(token, vec![told(40)]).await.unwrap();
    assert_eq!(store.reap().await.unwrap(), Reaped { requeued: 1, ..Reaped::default() });
    assert_eq!(store.reap().await.unwrap(), Reaped::default());
    let job = job(&*store, "a").await;
    assert_eq!((job.state, job.progress), (JobState::Queued, 0));
    assert!(job.message.starts_with("Retrying"), "{}", job.message);
    assert_eq!(claimed(&*store).await.job.attempt, 2);
    story(&*store, "a").await;
}

pub(crate) async fn a_lease_that_lives_is_not_taken_back(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    assert_eq!(store.reap().await.unwrap(), Reaped::default());
    assert_eq!(store.heartbeat(&[token]).await.unwrap(), [Beat::Alive]);
}

pub(crate) async fn a_dead_workers_job_waits_longer_with_each_death(backend: &dyn Backend) {
    let timing = Timing { lease: Duration::ZERO, death_backoff: Duration::from_millis(200) };
    let store = backend.open(Settings { timing, ..Settings::default() }).await.unwrap();
    created(&*store, new_job("a")).await;
    for waits_ms in [200, 400] {
        claimed(&*store).await;
        store.reap().await.unwrap();
        let taken_back_ms = job(&*store, "a").await.updated_at_ms;
        until("it may start again", || async {
            let claims = store.claim("worker", 1).await.unwrap();
            let Some(claim) = claims.first() else { return false };
            assert!(claim.job.updated_at_ms - taken_back_ms >= waits_ms);
            store.release(&[claim.token]).await.unwrap();
            true
        })
        .await;
    }
}

pub(crate) async fn the_third_death_fails_the_job(backend: &dyn Backend) {
    let store = backend.open(short_leases()).await.unwrap();
    created(&*store, with_callback("a")).await;
    for _ in 0..2 {
        let token = claimed(&*store).await.token;
        store.progress(token, vec![told(40)]).await.unwrap();
        assert_eq!(store.reap().await.unwrap(), Reaped { requeued: 1, ..Reaped::default() });
    }
    claimed(&*store).await;
    assert_eq!(store.reap().await.unwrap(), Reaped { poisoned: 1, ..Reaped::default() });
    let job = job(&*store, "a").await;
    assert_eq!((job.state, job.error.unwrap().code), (JobState::Failed, FailureCode::WorkerCrashed));
    assert_eq!(store.claim("worker", 1).await.unwrap(), []);
    assert_eq!(due(&*store).await.event, story(&*store, "a").await.pop().unwrap());

    // Its caller may try once more, with all three lives.
    submit(&*store, with_callback("a")).await;
    claimed(&*store).await;
    assert_eq!(store.reap().await.unwrap().requeued, 1);
}

pub(crate) async fn a_dead_workers_job_that_was_to_end_is_cancelled(backend: &dyn Backend) {
    let store = backend.open(short_leases()).await.unwrap();
    running(&*store, new_job("a")).await;
    store.cancel("acme", &id("a")).await.unwrap();
    assert_eq!(store.reap().await.unwrap(), Reaped { cancelled: 1, ..Reaped::default() });
    assert_eq!(job(&*store, "a").await.state, JobState::Cancelled);
    story(&*store, "a").await;
}

pub(crate) async fn a_restart_takes_everything_back_at_once(backend: &dyn Backend) {
    let store = open(backend).await;
    let stale = running(&*store, new_job("a")).await.token;
    created(&*store, with_callback("b")).await;
    let sent = due(&*store).await;
    store.close().await;

    let store = open(backend).await;
    assert_eq!(store.claim("worker", 5).await.unwrap().len(), 1, "only b was queued");
    none_due(&*store).await;
    assert_eq!(store.recover().await.unwrap(), Reaped { requeued: 2, ..Reaped::default() });
    let mut claims = store.claim("one", 5).await.unwrap();
    claims.extend(store.claim("two", 5).await.unwrap());
    assert_eq!(claims.len(), 2);
    assert_eq!(store.progress(stale, vec![told(1)]).await.unwrap(), Held::Lost);
    // What b was told of is passed over by the news of its being taken back.
    assert_eq!(due(&*store).await.event.sequence, sent.event.sequence + 1);
}

pub(crate) async fn a_restart_counts_deaths_too(backend: &dyn Backend) {
    let store = open(backend).await;
    created(&*store, new_job("a")).await;
    for _ in 0..2 {
        claimed(&*store).await;
        assert_eq!(store.recover().await.unwrap().requeued, 1);
    }
    claimed(&*store).await;
    assert_eq!(store.recover().await.unwrap(), Reaped { poisoned: 1, ..Reaped::default() });
    story(&*store, "a").await;
}

pub(crate) async fn a_job_that_a_worker_died_of_runs_alone(backend: &dyn Backend) {
    let store = backend.open(short_leases()).await.unwrap();
    for name in ["poison", "innocent"] {
        created(&*store, new_job(name)).await;
    }
    assert_eq!(store.claim("dies", 5).await.unwrap().len(), 2);
    store.reap().await.unwrap();
    created(&*store, new_job("new")).await;
    let ids =
        |claims: &[spinelift::store::Claim]| claims.iter().map(|claim| claim.job.id.to_string()).collect::<Vec<_>>();
    for name in ["poison", "innocent"] {
        let claims = store.claim("worker", 5).await.unwrap();
        assert_eq!(ids(&claims), [name]);
        assert_eq!(store.claim("worker", 5).await.unwrap(), [], "beside one that may kill it");
        store.finish(claims[0].token, vec![], completed(name)).await.unwrap();
    }
    // What is older than a suspect may run, and what is younger waits for it.
    created(&*store, new_job("suspect")).await;
    assert_eq!(ids(&store.claim("dies", 1).await.unwrap()), ["new"]);
    assert_eq!(ids(&store.claim("dies", 1).await.unwrap()), ["suspect"]);
    store.reap().await.unwrap();
    let new = store.claim("worker", 5).await.unwrap().remove(0);
    store.release(&[new.token]).await.unwrap();
    created(&*store, new_job("last")).await;
    let new = store.claim("worker", 5).await.unwrap().remove(0);
    assert_eq!(new.job.id, id("new"));
    store.finish(new.token, vec![], completed("new")).await.unwrap();
    assert_eq!(ids(&store.claim("worker", 5).await.unwrap()), ["suspect"]);
    assert_eq!(ids(&store.claim("other", 5).await.unwrap()), ["last"]);
}
