//! A worker that comes back after its job was given to another: it may not write, and nobody hears of what it did.

use std::time::{Duration, Instant};

use sqlx::Executor;

use super::audit;
use super::caller::{SETTLE, setting};
use super::nodes::{Fleet, logs, metric, post, status};
use super::server::Server;

/// Longer than a lease of 30 s and all that it takes to give its job to another. The long form stops it for twice a lease.
const STOP: usize = 36;

/// How often a job is taken from its worker until the worker finds out by a write, not by a heartbeat.
const TRIES: u64 = 5;

/// Attempts that ended as their job was another's.
const LOST: &str = "spinelift_jobs_finished_total{outcome=\"lost\"}";

/// How long one try may take: its image is waited for 5 s.
const TRY: Duration = Duration::from_secs(10);

/// Submits a job, and waits until a worker waits for its image. It does so for 5 s at most.
async fn begun(fleet: &Fleet, job: &str, image_url: &str, api: &Server) {
    assert_eq!(post(api, &fleet.request(job, image_url, true)).await.unwrap().status(), 202);
    fleet.sources.asked_for(job, 1).await;
}

/// Waits until a job is said to be done.
async fn done(api: &Server, job: &str, nodes: &[&Server]) {
    let began = Instant::now();
    while status(api, job).await["status"] == "processing" {
        assert!(began.elapsed() < SETTLE, "{}", logs(nodes));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_stopped_for_longer_than_its_lease_has_lost_its_job() {
    let Some(fleet) = Fleet::new().await else { return };
    let (api, stopped) = (fleet.node("api").await, fleet.node("worker").await);
    audit::begin(&fleet).await;
    let jobs = stopped_with_a_job(&fleet, &api, &stopped).await;
    let job = &format!("job-{jobs}");
    let began = Instant::now();
    let other = fleet.node("worker").await;
    done(&api, job, &[&api, &other]).await;
    let taken_over = began.elapsed();
    let before = (status(&api, job).await, events(&fleet, job).await);
    let stop = Duration::from_secs(setting("FLEET_STOP_SECONDS", STOP) as u64);
    tokio::time::sleep(stop.saturating_sub(began.elapsed())).await;
    // Its image comes at the same moment as it wakes up.
    fleet.sources.open(job);
    stopped.signal("CONT");
    let began = Instant::now();
    while metric(&stopped, LOST).await != Some(1) {
        assert!(began.elapsed() < SETTLE, "{}", stopped.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = metric(&stopped, "spinelift_stale_writes_total").await.unwrap();
    println!("taken over {taken_over:?} after the stop; after {stop:?} it found out, by {refused} refused writes");
    // It works on, and what it had is not told.
    other.signal("STOP");
    let next = fleet.request("next", &fleet.world.image_url(), true);
    post(&api, &next).await.unwrap().error_for_status().unwrap();
    done(&api, "next", &[&api, &stopped]).await;
    other.signal("CONT");
    assert_eq!((status(&api, job).await, events(&fleet, job).await), before);
    fleet.world.called_back([job.clone(), "next".to_owned()].into_iter(), || stopped.log()).await;
    assert_eq!(fleet.world.ends_heard(job).len(), 1);
    fleet.expect_completed_once(jobs + 1, |_| true).await;
    assert_eq!(audit::takeovers(&fleet).await.deaths, 1);
}

/// Stops a worker while it waits for an image; the number of the job, counted from 1. It waits for 5 s at most: where the
/// machine stood still for so long, that job is done, and another is submitted.
async fn stopped_with_a_job(fleet: &Fleet, api: &Server, worker: &Server) -> usize {
    for number in 1.. {
        let job = format!("job-{number}");
        begun(fleet, &job, &fleet.sources.gated(&job), api).await;
        worker.signal("STOP");
        if fleet.count("SELECT count(*) FROM jobs WHERE state = 'running'").await == 1 {
            return number;
        }
        worker.signal("CONT");
        fleet.settled(&[worker]).await;
    }
    unreachable!()
}

/// What was told of a job.
async fn events(fleet: &Fleet, job: &str) -> Vec<(i64, String, String)> {
    let sql = "SELECT sequence, state, message FROM events WHERE job = (SELECT key FROM jobs WHERE id = $1) ORDER BY sequence";
    sqlx::query_as(sql).bind(job).fetch_all(&mut fleet.connect().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_write_is_refused_and_counted() {
    let Some(fleet) = Fleet::new().await else { return };
    let nodes = tokio::join!(fleet.node("api"), fleet.node("worker"), fleet.node("worker"));
    let (api, late, other) = (&nodes.0, &nodes.1, &nodes.2);
    audit::begin(&fleet).await;
    let (mut tries, mut taken) = (0, 0);
    while metric(late, "spinelift_stale_writes_total").await == Some(0) {
        assert!(tries < TRIES, "it never wrote late:\n{}", late.log());
        let job = format!("job-{tries}");
        tries += 1;
        let lost_before = metric(late, LOST).await.unwrap();
        other.signal("STOP");
        begun(&fleet, &job, &fleet.sources.gated_for(2, &job), api).await;
        // As if its lease had ended and it did not know, as happens to who stands still in the middle of a write. A
        // heartbeat may come in between, and be the first to find out; then it is tried again.
        let end = "UPDATE jobs SET lease_until_ms = 1 WHERE state = 'running'";
        fleet.connect().await.execute(end).await.unwrap();
        other.signal("CONT");
        // While the next one has the job, and waits for the image as well, the first one gets it or gives it up.
        fleet.sources.asked_for(&job, 2).await;
        let (before, began) = (ended(late).await, Instant::now());
        fleet.sources.open(&job);
        while ended(late).await == before && began.elapsed() < TRY {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        fleet.sources.open(&job);
        done(api, &job, &[api, late, other]).await;
        // Unless it gave the image up before it lost the job.
        if audit::takeovers(&fleet).await.deaths > taken {
            taken += 1;
            assert!(metric(late, LOST).await.unwrap() > lost_before, "a late write was accepted:\n{}", late.log());
        }
    }
    println!("its late write was refused and counted at try {tries}");
    fleet.world.called_back((0..tries).map(|number| format!("job-{number}")), || late.log()).await;
    fleet.expect_completed_once(tries as usize, |_| true).await;
}

/// Attempts of a node that have ended, however.
async fn ended(node: &Server) -> u64 {
    let mut sum = 0;
    for outcome in ["completed", "lost", "retried"] {
        sum += metric(node, &format!("spinelift_jobs_finished_total{{outcome=\"{outcome}\"}}")).await.unwrap();
    }
    sum
}
