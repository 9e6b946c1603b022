//! No accepted job is ever lost: the real binary on real files, killed, stopped, starved of disk, and asked again.
//!
//! The random part is short by default. `SURVIVAL_KILLS=250 SURVIVAL_JOBS=5000 cargo test --release --test survival
//! random -- --nocapture` is the long form, and `-- --ignored` adds the minute-long pause. docs/reliability.md has the
//! figures of a run.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking, and reports")]

#[path = "survival/caller.rs"]
mod caller;
#[path = "survival/disk.rs"]
mod disk;
#[path = "survival/ledger.rs"]
mod ledger;
#[path = "survival/server.rs"]
mod server;
#[path = "survival/world.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use caller::{SETTLE, client, next_random, setting};
use disk::SmallDisk;
use ledger::Entry;
use server::{POINTS, Server};
use world::World;

/// Callers that submit at the same time.
const SUBMITTERS: usize = 16;

/// The request of a job, different for each, so that none is answered from the cache.
fn request(world: &World, number: usize, callback: bool) -> Value {
    let detail = 0.001 + (number % 49_000) as f64 * 1e-6;
    json!({
        "job_id": format!("job-{number}"),
        "image_url": world.image_url(),
        "parameters": { "detail_factor": detail },
        "callback_url": callback.then(|| world.callback_url()),
    })
}

async fn submit(client: &reqwest::Client, url: &str, request: &Value) {
    caller::submit(client, &[url.to_owned()], &request.into()).await;
}

/// Waits until no job is processing.
async fn settle(server: &Server) {
    let began = Instant::now();
    loop {
        let open = server.get("/api/v1/mesh/jobs?status=processing&limit=1").await;
        if open.is_ok_and(|page| page["jobs"].as_array().unwrap().is_empty()) {
            return;
        }
        assert!(began.elapsed() < SETTLE, "jobs do not end:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every job, read once the service is gone.
async fn entries(server: &Server) -> Vec<Entry> {
    let database = server.folder.join("spinelift-data/spinelift.db");
    let mut connection = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    sqlx::query_as(ledger::ENTRIES).fetch_all(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kills_lose_no_job() {
    let (kills, jobs) = (setting("SURVIVAL_KILLS", 12), setting("SURVIVAL_JOBS", 240));
    let seed = setting("SURVIVAL_SEED", std::process::id() as usize | 1) as u64;
    println!("{kills} kills, {jobs} jobs, seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let world = Arc::new(World::start().await);
    let mut server = Server::start(folder.path(), &[]).await;

    let (submitted, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let url = server.url("/api/v1/mesh/generate");
    let submitters: Vec<_> = (0..SUBMITTERS)
        .map(|first| {
            let (url, world, submitted, done) = (url.clone(), world.clone(), submitted.clone(), done.clone());
            tokio::spawn(async move {
                let client = client();
                for number in (first..jobs).step_by(SUBMITTERS) {
                    submit(&client, &url, &request(&world, number, number.is_multiple_of(4))).await;
                    submitted.fetch_add(1, Ordering::Relaxed);
                    // The kills must not end before the jobs, nor the jobs before the kills.
                    while !done.load(Ordering::Relaxed) && submitted.load(Ordering::Relaxed) > jobs * 9 / 10 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            })
        })
        .collect();

    let mut random = seed;
    let mut slowest_start = Duration::ZERO;
    for kill in 0..kills {
        // As many jobs between two kills as there are for each, at a random moment after a start.
        let enough = jobs * 9 / 10 * kill / kills;
        let began = Instant::now();
        while submitted.load(Ordering::Relaxed) < enough && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(next_random(&mut random) % 120_000)).await;
        server.kill();
        slowest_start = slowest_start.max(server.again().await);
    }
    done.store(true, Ordering::Relaxed);
    for submitter in submitters {
        submitter.await.unwrap();
    }
    settle(&server).await;
    deliver(&server, &world, (0..jobs).step_by(4)).await;
    server.stop().await;

    let entries = entries(&server).await;
    let deaths: i64 = entries.iter().map(|entry| entry.deaths).sum();
    let poisoned = entries.iter().filter(|entry| entry.state == "failed").count();
    println!("{deaths} attempts died with their worker, {poisoned} jobs three times; slowest start {slowest_start:?}");
    assert_eq!(entries.len(), jobs, "an accepted job is gone");
    for entry in &entries {
        let number: usize = entry.id.trim_start_matches("job-").parse().unwrap();
        let given_up_rightly = entry.state == "failed" && entry.deaths == 3;
        assert!(entry.state == "completed" || given_up_rightly, "{entry:?}");
        assert_eq!(entry.final_events, 1, "{entry:?}");
        assert_eq!(entry.final_deliveries, i64::from(number.is_multiple_of(4)), "{entry:?}");
        assert!(!entry.sequences_have_gaps, "{entry:?}");
    }
}

/// Waits until every one of the jobs has been called back.
async fn deliver(server: &Server, world: &World, jobs: impl Iterator<Item = usize>) {
    world.called_back(jobs.map(|number| format!("job-{number}")), || server.log()).await;
}

/// Kills itself at a named point of its first job, is started again, and ends the job as if nothing had been.
async fn survives_a_kill_at(point: &str) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let mut server = Server::start(folder.path(), &[("SPINELIFT_CRASH_AT", point)]).await;
    submit_once(&server, &request(&world, 0, true)).await;
    let status = server.ended().await;
    assert!(!status.success(), "{point} was not reached");
    server.set("SPINELIFT_CRASH_AT", "");
    server.again().await;
    submit(&client(), &server.url("/api/v1/mesh/generate"), &request(&world, 0, true)).await;
    settle(&server).await;
    deliver(&server, &world, 0..1).await;
    server.stop().await;
    let entries = entries(&server).await;
    let [entry] = &entries[..] else { panic!("{point}: {entries:?}") };
    assert_eq!((entry.state.as_str(), entry.final_events, entry.final_deliveries), ("completed", 1, 1), "{point}");
    assert!(!entry.sequences_have_gaps, "{point}: {entry:?}");
}

/// Submits to a service that may die of it.
async fn submit_once(server: &Server, request: &Value) {
    let post = client().post(server.url("/api/v1/mesh/generate")).header("content-type", "application/json");
    let _ = post.body(request.to_string()).send().await;
}

#[tokio::test]
async fn a_kill_at_each_named_point_loses_nothing() {
    if cfg!(not(debug_assertions)) {
        println!("skipped: a release build has no points to be killed at");
        return;
    }
    for point in POINTS {
        survives_a_kill_at(point).await;
    }
}

#[tokio::test]
async fn a_callback_that_was_sent_and_not_marked_comes_again_under_the_same_id() {
    if cfg!(not(debug_assertions)) {
        println!("skipped: a release build has no points to be killed at");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let mut server = Server::start(folder.path(), &[("SPINELIFT_CRASH_AT", "after_final_callback")]).await;
    submit_once(&server, &request(&world, 0, true)).await;
    assert!(!server.ended().await.success(), "it was not killed");
    let before = world.ends_heard("job-0");
    assert_eq!(before.len(), 1);
    server.set("SPINELIFT_CRASH_AT", "");
    server.again().await;
    let began = Instant::now();
    while world.ends_heard("job-0").len() < 2 {
        assert!(began.elapsed() < SETTLE, "it is not sent again:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let listed = server.get("/api/v1/mesh/job-0/callbacks?limit=1").await.unwrap()["callbacks"][0].clone();
    server.stop().await;
    let heard = world.ends_heard("job-0");
    assert_eq!(heard, [before[0].clone(), before[0].clone()], "the id and the body are those of the first");
    assert_eq!(listed["id"], heard[0].0);
    // Of the first, nobody lived to write it down.
    assert!(listed["attempts"].as_array().unwrap().len() <= 1, "{listed}");
}

#[tokio::test]
async fn a_job_that_kills_its_worker_takes_no_other_along() {
    if cfg!(not(debug_assertions)) {
        println!("skipped: a release build has no jobs that kill it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let mut server = Server::start(folder.path(), &[("SPINELIFT_CRASH_AT", "job:job-3")]).await;
    let (client, url) = (client(), server.url("/api/v1/mesh/generate"));
    for number in (0..8).filter(|number| *number != 3) {
        submit(&client, &url, &request(&world, number, false)).await;
    }
    submit_once(&server, &request(&world, 3, false)).await;
    let mut deaths = 0;
    while server.ended_within(Duration::from_secs(3)).await.is_some() {
        deaths += 1;
        assert!(deaths <= 3, "it dies for ever:\n{}", server.log());
        server.spawn();
    }
    assert_eq!(deaths, 3);
    settle(&server).await;
    server.stop().await;
    let entries = entries(&server).await;
    assert_eq!(entries.len(), 8);
    for entry in entries {
        let expected = if entry.id == "job-3" { ("failed", 3, 1) } else { ("completed", entry.deaths, 1) };
        assert_eq!((entry.state.as_str(), entry.deaths, entry.final_events), expected, "{entry:?}");
    }
}

#[tokio::test]
async fn a_pause_shorter_than_a_lease_is_not_noticed() {
    pause(Duration::from_secs(2)).await;
}

#[tokio::test]
#[ignore = "takes over a minute"]
async fn a_pause_longer_than_a_lease_ends_every_job_once() {
    pause(Duration::from_secs(60)).await;
}

/// Stops the process with SIGSTOP while it has work, and lets it go on.
async fn pause(length: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let server = Server::start(folder.path(), &[]).await;
    let (client, url) = (client(), server.url("/api/v1/mesh/generate"));
    let jobs = 40;
    for number in 0..jobs {
        submit(&client, &url, &request(&world, number, true)).await;
        if number == jobs / 2 {
            server.signal("STOP");
            tokio::time::sleep(length).await;
            server.signal("CONT");
        }
    }
    settle(&server).await;
    deliver(&server, &world, 0..jobs).await;
    let mut server = server;
    server.stop().await;
    for entry in entries(&server).await {
        assert_eq!(
            (entry.state.as_str(), entry.final_events, entry.final_deliveries),
            ("completed", 1, 1),
            "{entry:?}"
        );
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_file_refuses_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start(folder.path(), &[]).await;
    let mut second = Server::prepared(folder.path(), &[]);
    second.spawn();
    assert!(!second.ended().await.success());
    assert!(second.log().contains("DATABASE_URL"), "{}", second.log());
    assert_eq!(first.get("/health").await.unwrap()["status"], "healthy");
}

#[tokio::test]
async fn a_polite_stop_ends_at_once_when_idle_and_gives_jobs_back_when_busy() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let mut server = Server::start(folder.path(), &[("DRAIN_TIMEOUT", "1")]).await;
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(3), "an idle stop took {:?}", began.elapsed());

    server.again().await;
    let slow = json!({ "job_id": "slow", "image_url": world.slow_image_url() });
    submit(&client(), &server.url("/api/v1/mesh/generate"), &slow).await;
    world.slow_image_asked_for().await;
    server.stop().await;
    let entries = entries(&server).await;
    assert_eq!((entries[0].state.as_str(), entries[0].deaths), ("queued", 0), "released, and not as a death");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let mut server = Server::start(folder.path(), &[("DRAIN_TIMEOUT", "50")]).await;
    let slow = json!({ "job_id": "slow", "image_url": world.slow_image_url() });
    submit(&client(), &server.url("/api/v1/mesh/generate"), &slow).await;
    world.slow_image_asked_for().await;
    let began = Instant::now();
    server.signal("TERM");
    // It hears of one signal at a time; readiness tells when the first has been heard.
    while server.get("/ready").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.signal("TERM");
    assert!(!server.ended().await.success());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_full_disk_refuses_work_and_loses_none() {
    let Some(disk) = SmallDisk::mount("size=3m") else { return };
    let world = World::start().await;
    let mut server = Server::start(disk.path(), &[]).await;
    let (client, url) = (client(), server.url("/api/v1/mesh/generate"));
    let mut accepted = Vec::new();
    // Enough jobs to fill the disk: each leaves a row, some events, an image and a mesh.
    for number in 0..4000 {
        let post = client.post(&url).header("content-type", "application/json");
        let answer = post.body(request(&world, number, false).to_string()).send().await.unwrap();
        match answer.status().as_u16() {
            200 | 202 => accepted.push(number),
            503 => break,
            status => panic!("{status}: {}", answer.text().await.unwrap()),
        }
    }
    assert!(accepted.len() < 4000, "the disk did not fill");
    assert!(server.get("/ready").await.is_err(), "it calls itself ready on a full disk");
    assert_eq!(server.get("/health").await.unwrap()["status"], "healthy");

    disk.remount("size=64m");
    submit(&client, &url, &request(&world, 5000, false)).await;
    settle(&server).await;
    server.stop().await;
    let entries = entries(&server).await;
    for number in accepted.into_iter().chain([5000]) {
        let entry = entries.iter().find(|entry| entry.id == format!("job-{number}"));
        let entry = entry.unwrap_or_else(|| panic!("job-{number} was accepted and is gone"));
        assert_eq!((entry.state.as_str(), entry.final_events), ("completed", 1), "{entry:?}");
    }
}

#[tokio::test]
async fn a_read_only_folder_is_told_at_the_start() {
    let Some(disk) = SmallDisk::mount("size=3m") else { return };
    disk.remount("ro");
    let elsewhere = tempfile::tempdir().unwrap();
    let data = disk.path().join("data.db");
    let url = format!("sqlite:{}", data.display());
    let mut server = Server::prepared(elsewhere.path(), &[("DATABASE_URL", &url)]);
    server.spawn();
    assert!(!server.ended().await.success());
    assert!(server.log().to_lowercase().contains("read-only"), "{}", server.log());
}
