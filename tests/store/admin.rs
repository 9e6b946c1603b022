//! What an operator does: looks for jobs of every owner, starts them again, calls them off, deletes them.

use std::time::Duration;

use spinelift::job::{FailureCode, JobState};
use spinelift::store::{
    Beat, Cancel, DeliveryOutcome, Job, JobFilter, JobKey, NewJob, Node, OwnerQueue, Retry, Store, To,
};

use super::fixture::*;

fn of(owner: &str, name: &str) -> NewJob {
    NewJob { owner: owner.into(), ..new_job(name) }
}

/// The ids that a filter finds.
async fn found(store: &dyn Store, filter: &JobFilter) -> Vec<String> {
    let found = store.find_jobs(filter, 100).await.unwrap();
    assert_eq!(found.unreadable, []);
    let ids: Vec<String> = found.jobs.iter().map(|job| job.id.to_string()).collect();
    assert_eq!(store.count_jobs(filter).await.unwrap(), ids.len() as u64, "{filter:?}");
    ids
}

async fn ended(store: &dyn Store, name: &str, outcome: spinelift::store::Outcome) -> Job {
    let claim = running(store, new_job(name)).await;
    store.finish(claim.token, vec![], outcome).await.unwrap();
    job(store, name).await
}

async fn retried(store: &dyn Store, job: JobKey) -> Option<Retry> {
    let mut answers = store.retry_jobs(&[job]).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

pub(crate) async fn jobs_of_every_owner_are_found(backend: &dyn Backend) {
    let store = open(backend).await;
    let a = created(&*store, NewJob { batch: Some("b".into()), ..of("acme", "a") }).await;
    created(&*store, of("", "b")).await;
    created(
        &*store,
        NewJob { batch: Some("b".into()), callback_url: Some("https://x.example/".into()), ..of("zoo", "c") },
    )
    .await;
    let claim = claimed(&*store).await;
    store.finish(claim.token, vec![], failed(FailureCode::SourceTimeout)).await.unwrap();
    let all = JobFilter::default();
    assert_eq!(found(&*store, &all).await, ["c", "b", "a"]);
    let owner = |owner: &str| JobFilter { owner: Some(owner.into()), ..JobFilter::default() };
    assert_eq!(found(&*store, &owner("")).await, ["b"]);
    assert_eq!(found(&*store, &owner("nobody")).await, [""; 0]);
    let states = vec![JobState::Failed, JobState::Completed];
    assert_eq!(found(&*store, &JobFilter { states, ..all.clone() }).await, ["a"]);
    assert_eq!(found(&*store, &JobFilter { batch: Some("b".into()), ..all.clone() }).await, ["c", "a"]);
    let code = |code| JobFilter { code: Some(code), ..JobFilter::default() };
    assert_eq!(found(&*store, &code(FailureCode::SourceTimeout)).await, ["a"]);
    assert_eq!(found(&*store, &code(FailureCode::Internal)).await, [""; 0]);
    assert_eq!(found(&*store, &JobFilter { callbacks_owed: Some(true), ..all.clone() }).await, ["c"]);
    assert_eq!(found(&*store, &JobFilter { callbacks_owed: Some(false), ..all.clone() }).await, ["b", "a"]);
    assert_eq!(found(&*store, &JobFilter { older_than: Some(Duration::from_secs(60)), ..all.clone() }).await, [""; 0]);
    assert_eq!(found(&*store, &JobFilter { older_than: Some(Duration::ZERO), ..all.clone() }).await.len(), 3);
    // Pages go on from the last.
    let page = store.find_jobs(&all, 2).await.unwrap();
    assert_eq!(page.jobs.len(), 2);
    assert_eq!(found(&*store, &JobFilter { before: page.last(), ..all }).await, ["a"]);
    assert_eq!(a.owner, "acme");
}

pub(crate) async fn an_id_finds_the_job_of_each_owner(backend: &dyn Backend) {
    let store = open(backend).await;
    assert_eq!(store.jobs_named(&id("same")).await.unwrap(), []);
    for owner in ["zoo", "", "acme", "other"] {
        created(&*store, of(owner, if owner == "other" { "another" } else { "same" })).await;
    }
    let jobs = store.jobs_named(&id("same")).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.owner.as_str()).collect::<Vec<_>>(), ["", "acme", "zoo"]);
    assert_eq!(jobs[1], job(&*store, "same").await);
}

pub(crate) async fn all_that_is_kept_of_a_job_is_shown(backend: &dyn Backend) {
    let store = open(backend).await;
    let claim = running(&*store, with_callback("a")).await;
    let delivery = due(&*store).await;
    store.delivered(delivery.token, attempt(503), DeliveryOutcome::RetryAfter(Duration::ZERO)).await.unwrap();
    store.progress(claim.token, vec![told(10), told(20)]).await.unwrap();
    let details = store.job_details(claim.token.job, 100).await.unwrap().unwrap();
    assert_eq!(details.job, job(&*store, "a").await);
    assert_eq!((details.fence, details.deaths, details.run_after_ms), (claim.token.fence, 0, None));
    assert_eq!(details.worker.as_deref(), Some("worker"));
    assert!(details.lease_until_ms.unwrap() > details.job.updated_at_ms);
    assert_eq!(details.callback_url.as_deref(), Some("https://example.com/a/callback"));
    assert_eq!(details.events, all_events(&*store, claim.token.job).await);
    assert_eq!(details.callbacks, store.deliveries(claim.token.job, u64::MAX, 100).await.unwrap());
    assert_eq!(details.callbacks.last().unwrap().attempts[0].attempt, attempt(503));
    // Of much the newest.
    let part = store.job_details(claim.token.job, 1).await.unwrap().unwrap();
    assert_eq!((part.events[0].progress, part.events.len(), part.callbacks.len()), (20, 1, 1));
    store.finish(claim.token, vec![], retry(Duration::from_secs(600))).await.unwrap();
    let waits = store.job_details(claim.token.job, 100).await.unwrap().unwrap();
    assert_eq!((waits.worker, waits.lease_until_ms), (None, None));
    assert!(waits.run_after_ms.unwrap() > waits.job.updated_at_ms + 500_000);
    assert_eq!(store.job_details(JobKey(777), 100).await.unwrap(), None);
}

pub(crate) async fn what_ended_without_a_result_is_started_anew_by_hand(backend: &dyn Backend) {
    let store = open(backend).await;
    // Of whatever it failed, its caller could not have started it.
    let lasting = ended(&*store, "lasting", failed(FailureCode::ImageLoadFailed)).await;
    let cancelled = created(&*store, new_job("cancelled")).await;
    store.cancel("acme", &id("cancelled")).await.unwrap();
    for (name, old) in [("lasting", &lasting), ("cancelled", &cancelled)] {
        let Some(Retry::Restarted(anew)) = retried(&*store, old.key).await else { panic!("{name}") };
        assert_eq!(anew, job(&*store, name).await);
        assert_eq!((anew.state, anew.progress, anew.attempt, &anew.error), (JobState::Queued, 0, 0, &None));
        assert!(!anew.cancel_requested && anew.sequence > old.sequence);
        story(&*store, name).await;
    }
    // The fence goes on, so that an old worker stays fenced out.
    let claims = store.claim("worker", 5).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.token.fence).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(store.queue().await.unwrap().queued, 0);
}

pub(crate) async fn a_retry_tells_its_callers_receiver_of_the_new_run(backend: &dyn Backend) {
    let store = open(backend).await;
    let claim = running(&*store, with_callback("a")).await;
    store.finish(claim.token, vec![], failed(FailureCode::SourceTimeout)).await.unwrap();
    let first_end = due(&*store).await;
    store.delivered(first_end.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    retried(&*store, claim.token.job).await;
    let again = due(&*store).await;
    assert_eq!((again.event.state, again.event.sequence), (JobState::Queued, first_end.event.sequence + 1));
    store.delivered(again.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    let claim = claimed(&*store).await;
    store.finish(claim.token, vec![], completed("a")).await.unwrap();
    assert_eq!(due(&*store).await.event.state, JobState::Completed);
    story(&*store, "a").await;
}

pub(crate) async fn what_waits_for_a_later_attempt_is_hurried(backend: &dyn Backend) {
    let store = open(backend).await;
    let claim = running(&*store, new_job("a")).await;
    store.finish(claim.token, vec![told(30)], retry(Duration::from_secs(600))).await.unwrap();
    assert_eq!(store.claim("worker", 1).await.unwrap(), []);
    let events = story(&*store, "a").await;
    let Some(Retry::Hurried(hurried)) = retried(&*store, claim.token.job).await else { panic!("not hurried") };
    assert_eq!(hurried, job(&*store, "a").await);
    assert_eq!(story(&*store, "a").await, events, "nothing happened that its caller need hear of");
    // The attempts before still count.
    assert_eq!(claimed(&*store).await.job.attempt, 2);
}

pub(crate) async fn what_runs_can_start_or_has_its_result_is_left_alone(backend: &dyn Backend) {
    let store = open(backend).await;
    let done = ended(&*store, "done", completed("done")).await;
    let claim = running(&*store, new_job("running")).await;
    let waiting = created(&*store, new_job("waiting")).await;
    let before = [job(&*store, "running").await, job(&*store, "waiting").await];
    for key in [done.key, claim.token.job, waiting.key] {
        assert!(matches!(retried(&*store, key).await, Some(Retry::LeftAlone(job)) if job.key == key));
    }
    assert_eq!(job(&*store, "done").await, done);
    assert_eq!([job(&*store, "running").await, job(&*store, "waiting").await], before);
    assert_eq!(store.heartbeat(&[claim.token]).await.unwrap(), [Beat::Alive]);
    assert_eq!(retried(&*store, JobKey(777)).await, None);
    assert_eq!(store.retry_jobs(&[]).await.unwrap(), []);
}

pub(crate) async fn a_retry_has_no_limit_and_is_counted(backend: &dyn Backend) {
    let store = backend.open(Settings { queue_limit: 2, ..Settings::default() }).await.unwrap();
    let failed = ended(&*store, "failed", failed(FailureCode::SourceTimeout)).await;
    for name in ["a", "b"] {
        created(&*store, new_job(name)).await;
    }
    assert!(matches!(retried(&*store, failed.key).await, Some(Retry::Restarted(_))));
    assert_eq!(store.queue().await.unwrap().queued, 3);
    let full = |answer| matches!(answer, spinelift::store::Submitted::QueueFull);
    assert!(full(submit(&*store, new_job("c")).await));
    store.cancel_jobs(&[failed.key]).await.unwrap();
    assert!(full(submit(&*store, new_job("c")).await));
    store.cancel("acme", &id("a")).await.unwrap();
    created(&*store, new_job("c")).await;
}

pub(crate) async fn jobs_are_called_off_by_hand(backend: &dyn Backend) {
    let store = open(backend).await;
    let done = ended(&*store, "done", completed("done")).await;
    let claim = running(&*store, new_job("running")).await;
    let waiting = created(&*store, of("zoo", "waiting")).await;
    let answers = store.cancel_jobs(&[waiting.key, claim.token.job, JobKey(777), done.key]).await.unwrap();
    assert!(matches!(&answers[0], Some(Cancel::Done(job)) if job.state == JobState::Cancelled));
    assert!(matches!(&answers[1], Some(Cancel::Requested(job)) if job.state == JobState::Running));
    assert_eq!(answers[2], None);
    assert_eq!(answers[3], Some(Cancel::AlreadyFinal(done)));
    assert_eq!(store.heartbeat(&[claim.token]).await.unwrap(), [Beat::CancelRequested]);
    let waiting = store.jobs_named(&id("waiting")).await.unwrap().remove(0);
    legal_story(&*store, &waiting).await;
}

pub(crate) async fn only_what_has_ended_and_is_still_meant_is_deleted(backend: &dyn Backend) {
    let store = open(backend).await;
    let done = ended(&*store, "done", completed("done")).await;
    let failed = ended(&*store, "failed", failed(FailureCode::SourceTimeout)).await;
    let claim = running(&*store, new_job("running")).await;
    let waiting = created(&*store, new_job("waiting")).await;
    let keys = [done.key, failed.key, claim.token.job, waiting.key, JobKey(777)];
    let states = vec![JobState::Failed];
    let old = JobFilter { older_than: Some(Duration::from_secs(60)), ..JobFilter::default() };
    assert_eq!(store.purge_jobs(&keys, &old).await.unwrap(), 0);
    assert_eq!(store.purge_jobs(&[done.key], &JobFilter { states: states.clone(), ..old }).await.unwrap(), 0);
    assert_eq!(store.purge_jobs(&keys, &JobFilter { states, ..JobFilter::default() }).await.unwrap(), 1);
    assert_eq!(found(&*store, &JobFilter::default()).await, ["waiting", "running", "done"]);
    assert_eq!(all_events(&*store, failed.key).await, [], "its events go with it");
    assert_eq!(store.purge_jobs(&keys, &JobFilter::default()).await.unwrap(), 1);
    assert_eq!(found(&*store, &JobFilter::default()).await, ["waiting", "running"]);
    assert_eq!(store.heartbeat(&[claim.token]).await.unwrap(), [Beat::Alive]);
    // Its id is free again.
    created(&*store, new_job("done")).await;
}

pub(crate) async fn a_job_whose_callback_is_owed_is_deleted_only_if_that_is_meant(backend: &dyn Backend) {
    let store = open(backend).await;
    let claim = running(&*store, with_callback("a")).await;
    store.finish(claim.token, vec![], completed("a")).await.unwrap();
    let key = claim.token.job;
    let settled = JobFilter { callbacks_owed: Some(false), ..JobFilter::default() };
    assert_eq!(store.purge_jobs(&[key], &settled).await.unwrap(), 0);
    let delivery = due(&*store).await;
    assert_eq!(store.purge_jobs(&[key], &settled).await.unwrap(), 0, "it is in flight");
    assert_eq!(store.purge_jobs(&[key], &JobFilter::default()).await.unwrap(), 1);
    let late = store.delivered(delivery.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    assert_eq!(late, spinelift::store::Held::Lost);
    none_due(&*store).await;
}

pub(crate) async fn much_is_changed_in_parts(backend: &dyn Backend) {
    let store = open(backend).await;
    let jobs = (0..450).map(|n| new_job(&format!("job-{n}"))).collect();
    store.submit(jobs).await.unwrap();
    let all = store.find_jobs(&JobFilter::default(), 1000).await.unwrap();
    let keys: Vec<JobKey> = all.jobs.iter().map(|job| job.key).collect();
    let cancelled = store.cancel_jobs(&keys).await.unwrap();
    assert!(cancelled.len() == 450 && cancelled.iter().all(|one| matches!(one, Some(Cancel::Done(_)))));
    let retried = store.retry_jobs(&keys).await.unwrap();
    let in_order =
        retried.iter().zip(&keys).all(|(one, key)| matches!(one, Some(Retry::Restarted(job)) if job.key == *key));
    assert!(retried.len() == 450 && in_order);
    store.cancel_jobs(&keys).await.unwrap();
    assert_eq!(store.purge_jobs(&keys, &JobFilter::default()).await.unwrap(), 450);
}

pub(crate) async fn the_queue_is_known_by_owner(backend: &dyn Backend) {
    let store = open(backend).await;
    ended(&*store, "ended", completed("ended")).await;
    assert_eq!(store.owner_queues().await.unwrap(), []);
    let claim = running(&*store, of("acme", "later")).await;
    store.finish(claim.token, vec![], retry(Duration::from_secs(600))).await.unwrap();
    running(&*store, of("zoo", "running")).await;
    for owner in ["acme", "acme", ""] {
        let name = format!("waiting-{}", store.find_jobs(&JobFilter::default(), 100).await.unwrap().jobs.len());
        created(&*store, NewJob { owner: owner.into(), ..with_callback(&name) }).await;
    }
    let queues = store.owner_queues().await.unwrap();
    let numbers = |queue: &OwnerQueue| (queue.owner.clone(), queue.queued, queue.later, queue.running, queue.callbacks);
    let expected = [("acme".into(), 3, 1, 0, 2), (String::new(), 1, 0, 0, 1), ("zoo".into(), 0, 0, 1, 0)];
    assert_eq!(queues.iter().map(numbers).collect::<Vec<_>>(), expected);
    assert!(queues.iter().all(|queue| queue.oldest < Duration::from_secs(60)));
    until("the oldest has waited", || async { store.owner_queues().await.unwrap()[0].oldest > Duration::ZERO }).await;
}

fn node(name: &str) -> Node {
    Node {
        name: name.into(),
        role: "worker".into(),
        version: "0.1.0".into(),
        host: "mesh-1".into(),
        pid: u32::MAX,
        slots: 10,
        draining: false,
    }
}

pub(crate) async fn nodes_come_and_go(backend: &dyn Backend) {
    let store = open(backend).await;
    assert_eq!(store.nodes().await.unwrap(), []);
    store.note_node(&node("worker")).await.unwrap();
    running(&*store, new_job("a")).await;
    store.note_node(&node("idle")).await.unwrap();
    let first = store.nodes().await.unwrap();
    assert_eq!(first.iter().map(|seen| &seen.node).collect::<Vec<_>>(), [&node("worker"), &node("idle")]);
    assert_eq!(first.iter().map(|seen| seen.running).collect::<Vec<_>>(), [1, 0], "by the jobs' rows");
    assert!(first[0].started_at_ms > 1_700_000_000_000 && first[0].unseen_for < Duration::from_secs(60));
    until("it is seen again", || async {
        store.note_node(&Node { draining: true, ..node("worker") }).await.unwrap();
        store.nodes().await.unwrap()[0].seen_at_ms > first[0].seen_at_ms
    })
    .await;
    let again = store.nodes().await.unwrap();
    assert!(again.len() == 2 && again[0].node.draining && !again[1].node.draining);
    assert_eq!(again[0].started_at_ms, first[0].started_at_ms);
    store.forget_node("worker").await.unwrap();
    store.forget_node("unknown").await.unwrap();
    assert_eq!(store.nodes().await.unwrap().len(), 1);
    // What a node holds is not decided by whether it is in the list.
    assert_eq!(store.reap().await.unwrap().requeued, 0);
}

pub(crate) async fn a_closed_store_answers_no_operator(backend: &dyn Backend) {
    let store = open(backend).await;
    store.close().await;
    let closed = |error| matches!(error, spinelift::store::StoreError::Closed);
    assert!(closed(store.find_jobs(&JobFilter::default(), 1).await.unwrap_err()));
    assert!(closed(store.retry_jobs(&[JobKey(1)]).await.unwrap_err()));
    assert!(closed(store.note_node(&node("a")).await.unwrap_err()));
    assert!(closed(store.claim_deliveries("sender", 1, To::ANYBODY).await.unwrap_err()));
}
