//! Jobs from submission to callback, with real stores, real sockets, and everything that can go wrong in between.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking, and reports")]

#[path = "readme/blocks.rs"]
mod blocks;
#[path = "worker/documented.rs"]
mod documented;
#[path = "worker/faulty.rs"]
mod faulty;
#[path = "worker/hanging.rs"]
mod hanging;
#[path = "net/hostile.rs"]
mod hostile;
#[path = "worker/schedule.rs"]
mod schedule;
#[path = "worker/secrecy.rs"]
mod secrecy;
#[path = "worker/verify.rs"]
#[rustfmt::skip]
#[expect(unreachable_pub, reason = "it is the document's code, word by word")]
mod verify;
#[path = "worker/world.rs"]
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use faulty::Faulty;
use hostile::{Act, Hostile, answer};
use serde_json::Value;
use spinelift::job::{FailureCode, JobId, JobState};
use spinelift::signature::{Secret, verify};
use spinelift::store::{Cancel, DeliveryState, LEASE};
use world::{PATIENCE, World, fetched, image, large_image, result, store_of, with_callback};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Serves the small image.
async fn images() -> Hostile {
    Hostile::always(answer("200 OK", "", &image())).await
}

/// Accepts connections and never answers.
async fn silent() -> Hostile {
    Hostile::always(Act::SayAndHang(Vec::new())).await
}

/// Sends an image very slowly, for ever.
async fn dripping() -> Hostile {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    Hostile::always(Act::Drip(head, vec![0; 8192], Duration::from_millis(100))).await
}

fn code(job: &spinelift::store::Job) -> Option<FailureCode> {
    job.error.as_ref().map(|failure| failure.code)
}

#[tokio::test]
async fn an_uploaded_image_becomes_a_mesh() {
    let mut world = World::new().await;
    world.start();
    let upload = world.upload("a", image()).await;
    let job = world.run(upload).await;
    let mesh = result(&world.app.blobs, &job).await;
    assert_eq!(mesh["vertices"].as_array().unwrap().len(), 12);
    assert_eq!((job.attempt, job.progress), (1, 100));
    world.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_fetched_image_is_kept_for_drawings() {
    let (mut world, source) = (World::new().await, images().await);
    world.start();
    let job = world.run(fetched("a", &source.url)).await;
    let mesh = result(&world.app.blobs, &job).await;
    let source_hash = job.result.unwrap().source_hash;
    assert_eq!(mesh["metadata"]["source_sha256"], source_hash);
    assert_eq!(world.app.blobs.get(&source_hash).await.unwrap(), image());
    assert_eq!(source.connections(), 1);
}

#[tokio::test]
async fn progress_names_every_stage_once_and_never_falls() {
    let mut world = World::new().await;
    world.start();
    let job = world.run(world.upload("a", large_image()).await).await;
    let events = world.events(&job).await;
    let told: Vec<u8> = events.iter().map(|event| event.progress).collect();
    assert_eq!(told, [0, 10, 20, 30, 40, 50, 70, 85, 95, 100]);
    assert!(events.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence));
    assert!(events[1..9].iter().all(|event| event.state == JobState::Running));
}

#[tokio::test]
async fn a_fast_job_writes_its_progress_with_its_end() {
    let mut world = World::new().await;
    let store = Faulty::over(store_of(&world));
    world.app.store = store.clone();
    world.start();
    let job = world.run(world.upload("a", image()).await).await;
    assert_eq!(job.state, JobState::Completed);
    assert_eq!(world.events(&job).await.len(), 10);
    assert_eq!(store.progress_writes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_source_that_comes_back_is_tried_again() {
    let mut world = World::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let source = Hostile::by(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => answer("503 Service Unavailable", "", b""),
        _ => answer("200 OK", "", &image()),
    })
    .await;
    world.start();
    let began = Instant::now();
    let job = world.run(fetched("a", &source.url)).await;
    assert_eq!((job.state, job.attempt), (JobState::Completed, 2));
    assert!(began.elapsed() > Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(world.metric("spinelift_jobs_finished_total{outcome=\"retried\"}"), 1.0);
}

#[tokio::test]
async fn what_cannot_succeed_is_not_tried_again() {
    let mut world = World::new().await;
    let gone = Hostile::always(answer("404 Not Found", "", b"")).await;
    let text = Hostile::always(answer("200 OK", "content-type: image/png\r\n", b"<html>no image</html>")).await;
    world.start();
    let cases = [
        ("gone", gone.url.as_str(), FailureCode::SourceNotFound),
        ("text", &text.url, FailureCode::ImageFormatUnsupported),
        ("inside", "http://169.254.169.254/", FailureCode::UrlNotAllowed),
    ];
    for (id, url, expected) in cases {
        let job = world.run(fetched(id, url)).await;
        assert_eq!((job.state, code(&job), job.attempt), (JobState::Failed, Some(expected), 1));
    }
    assert_eq!((gone.connections(), text.connections()), (1, 1));
}

#[tokio::test]
async fn an_image_that_is_no_longer_stored_fails_its_job() {
    let mut world = World::new().await;
    let upload = world.upload("a", image()).await;
    world.app.blobs.delete(upload.source_hash.as_ref().unwrap()).await.unwrap();
    world.start();
    let job = world.run(upload).await;
    assert_eq!((job.state, code(&job)), (JobState::Failed, Some(FailureCode::Internal)));
    assert!(job.error.unwrap().message.contains("submit it again"));
}

#[tokio::test]
async fn a_running_job_is_called_off_at_once() {
    let (mut world, source) = (World::new().await, silent().await);
    world.start();
    world.submit(fetched("a", &source.url)).await;
    let job = world.job_once("a", |job| job.state == JobState::Running).await;
    let began = Instant::now();
    let cancel = world.app.store.cancel("", &job.id).await.unwrap().unwrap();
    assert!(matches!(cancel, Cancel::Requested(_)), "{cancel:?}");
    let job = world.ended("a").await;
    assert_eq!((job.state, code(&job)), (JobState::Cancelled, Some(FailureCode::Cancelled)));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_queued_job_that_is_called_off_is_never_begun() {
    let (mut world, source) = (World::with(|config| config.jobs.concurrent = 1).await, silent().await);
    world.start();
    world.submit(fetched("first", &source.url)).await;
    world.job_once("first", |job| job.state == JobState::Running).await;
    let second = world.submit(fetched("second", &source.url)).await;
    assert!(matches!(world.app.store.cancel("", &second.id).await.unwrap(), Some(Cancel::Done(_))));
    let first = world.job("first").await;
    world.app.store.cancel("", &first.id).await.unwrap();
    world.ended("first").await;
    assert_eq!((world.job("second").await.attempt, source.connections()), (0, 1));
}

#[tokio::test]
async fn no_more_jobs_run_at_once_than_may() {
    let (mut world, source) = (World::with(|config| config.jobs.concurrent = 2).await, silent().await);
    world.start();
    for number in 0..5 {
        world.submit(fetched(&format!("job-{number}"), &source.url)).await;
    }
    world.job_once("job-1", |job| job.state == JobState::Running).await;
    // Two more rounds of looking at the queue.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.app.store.queue().await.unwrap().running, 2);
    assert_eq!(source.connections(), 2);
}

#[tokio::test]
async fn a_fetch_out_of_time_is_ended() {
    let mut world = World::with(|config| config.jobs.timeout = Duration::from_millis(400)).await;
    let source = dripping().await;
    world.start();
    let began = Instant::now();
    let job = world.run(fetched("a", &source.url)).await;
    assert_eq!((job.state, code(&job), job.attempt), (JobState::Failed, Some(FailureCode::JobTimeout), 1));
    assert!(job.error.unwrap().message.contains("0.4 s"));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_engine_out_of_time_is_ended() {
    let mut world = World::with(|config| config.jobs.timeout = Duration::from_millis(5)).await;
    world.start();
    let job = world.run(world.upload("a", large_image()).await).await;
    assert_eq!(code(&job), Some(FailureCode::JobTimeout), "{:?}", job.error);
}

#[tokio::test]
async fn a_panic_fails_its_job_and_no_other() {
    let mut world = World::new().await;
    let store = Faulty::over(store_of(&world));
    world.app.store = store.clone();
    world.start();
    store.cache_panics.store(true, Ordering::SeqCst);
    let job = world.run(world.upload("bad", image()).await).await;
    assert_eq!((job.state, code(&job)), (JobState::Failed, Some(FailureCode::Internal)));
    store.cache_panics.store(false, Ordering::SeqCst);
    assert_eq!(world.run(world.upload("good", image()).await).await.state, JobState::Completed);
}

#[tokio::test]
async fn an_equal_request_is_answered_from_the_cache() {
    let (mut world, source) = (World::new().await, images().await);
    world.start();
    let first = world.run(world.upload("first", image()).await).await;
    let second = world.run(fetched("second", &source.url)).await;
    assert_eq!(first.result, second.result);
    assert_eq!(world.metric("spinelift_cache_total{outcome=\"hit\"}"), 1.0);
    assert_eq!(world.metric("spinelift_stage_seconds_count{stage=\"edges\"}"), 1.0);
}

#[tokio::test]
async fn a_cached_result_whose_blob_is_gone_is_made_again() {
    let mut world = World::new().await;
    world.start();
    let first = world.run(world.upload("first", image()).await).await;
    world.app.blobs.delete(&first.result.unwrap().hash).await.unwrap();
    let second = world.run(world.upload("second", image()).await).await;
    result(&world.app.blobs, &second).await;
    assert_eq!(world.metric("spinelift_cache_total{outcome=\"hit\"}"), 0.0);
}

#[tokio::test]
async fn an_end_that_cannot_be_written_is_written_again() {
    let mut world = World::new().await;
    let store = Faulty::over(store_of(&world));
    world.app.store = store.clone();
    store.ends_fail.store(2, Ordering::SeqCst);
    world.start();
    let job = world.run(world.upload("a", image()).await).await;
    assert_eq!((job.state, job.attempt), (JobState::Completed, 1));
    assert_eq!(store.ends_fail.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_job_whose_heartbeats_fail_stops_and_is_taken_back() {
    let (mut world, source) = (World::new().await, silent().await);
    let store = Faulty::over(store_of(&world));
    world.app.store = store.clone();
    store.heartbeats_fail.store(true, Ordering::SeqCst);
    world.start();
    world.submit(fetched("a", &source.url)).await;
    let lost = "spinelift_jobs_finished_total{outcome=\"lost\"}";
    world.metric_at_least(lost, 1.0).await;
    store.heartbeats_fail.store(false, Ordering::SeqCst);
    world.job_once("a", |job| job.state == JobState::Running).await;
    // It could be given back, so nobody died of it.
    assert_eq!(world.metric("spinelift_worker_deaths_total"), 0.0);
    assert_eq!(world.metric("spinelift_stale_writes_total"), 0.0);
}

#[tokio::test]
async fn heartbeats_keep_a_long_job() {
    let (mut world, source) = (World::new().await, dripping().await);
    world.start();
    world.submit(fetched("a", &source.url)).await;
    tokio::time::sleep(world.pace.lease * 2).await;
    let job = world.job("a").await;
    assert_eq!((job.state, job.attempt), (JobState::Running, 1));
    assert_eq!(world.metric("spinelift_worker_deaths_total"), 0.0);
}

#[tokio::test]
async fn a_polite_stop_gives_jobs_back() {
    let (mut world, source) = (World::new().await, silent().await);
    world.start();
    world.submit(fetched("a", &source.url)).await;
    world.job_once("a", |job| job.state == JobState::Running).await;
    let began = Instant::now();
    world.stop(Duration::from_millis(100)).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let job = world.job("a").await;
    assert_eq!((job.state, job.attempt), (JobState::Queued, 0));
    world.start();
    world.job_once("a", |job| job.state == JobState::Running).await;
}

#[tokio::test]
async fn a_polite_stop_lets_jobs_finish() {
    let mut world = World::new().await;
    world.start();
    world.submit(world.upload("a", large_image()).await).await;
    world.job_once("a", |job| job.state != JobState::Queued).await;
    world.stop(PATIENCE).await;
    assert_eq!(world.job("a").await.state, JobState::Completed);
}

#[tokio::test]
async fn what_a_crash_leaves_behind_is_taken_back_at_the_next_start() {
    let (mut world, source) = (World::new().await, silent().await);
    world.start();
    world.submit(fetched("a", &source.url)).await;
    world.job_once("a", |job| job.state == JobState::Running).await;
    world.crash();
    let began = Instant::now();
    world.start();
    world.job_once("a", |job| job.state == JobState::Running && job.attempt == 2).await;
    assert!(began.elapsed() < world.pace.lease, "{:?}", began.elapsed());
}

/// Notes what is posted. Answers by how often it has heard of an end, and is content with all progress.
async fn receiver(
    status: impl Fn(usize) -> &'static str + Send + Sync + 'static,
) -> (Hostile, Arc<Mutex<Vec<String>>>) {
    let posts = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&posts);
    let server = Hostile::by(move |request| {
        let mut posts = noted.lock().unwrap();
        posts.push(request.to_owned());
        if is_end(request) { answer(status(ends(&posts).len()), "", b"thanks") } else { answer("200 OK", "", b"") }
    })
    .await;
    (server, posts)
}

fn header<'a>(post: &'a str, name: &str) -> Option<&'a str> {
    post.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn body(post: &str) -> Value {
    serde_json::from_str(post.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn is_end(post: &str) -> bool {
    body(post)["status"] != "processing"
}

/// Those posts that tell of an end.
fn ends(posts: &[String]) -> Vec<String> {
    posts.iter().filter(|post| is_end(post)).cloned().collect()
}

/// Once so many posts have come that tell of an end.
async fn ends_come(posts: &Mutex<Vec<String>>, count: usize) -> Vec<String> {
    let began = Instant::now();
    loop {
        let ends = ends(&posts.lock().unwrap());
        if ends.len() >= count {
            return ends;
        }
        assert!(began.elapsed() < PATIENCE, "{ends:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_receiver_hears_the_end_signed_and_with_a_link() {
    let mut world = World::with(|config| config.access.callback_secrets = vec![SECRET.into()]).await;
    let (server, posts) = receiver(|_| "200 OK").await;
    world.start();
    let job = world.run(with_callback(world.upload("job-7", image()).await, &server.url)).await;
    let post = &ends_come(&posts, 1).await[0];
    let sent = body(post);
    assert_eq!((&sent["job_id"], &sent["progress"]), (&"job-7".into(), &100.into()));
    assert_eq!(sent["sequence"], job.sequence);
    assert_eq!(sent["result_url"], "http://127.0.0.1:8000/api/v1/mesh/job-7/result");
    assert_eq!(header(post, "content-type"), Some("application/json"));
    let id = header(post, "webhook-id").unwrap();
    assert_eq!(header(post, "x-request-id"), Some("request-1"));
    assert_eq!(id, format!("msg_job-7_{}", job.sequence));
    let (sent_at, signatures) =
        (header(post, "webhook-timestamp").unwrap(), header(post, "webhook-signature").unwrap());
    let bytes = Bytes::from(post.split_once("\r\n\r\n").unwrap().1.to_owned());
    let secret = Secret::parse(SECRET).unwrap();
    assert_eq!(verify(&[secret], id, sent_at, signatures, &bytes, Utc::now().timestamp()), Ok(()));
}

#[tokio::test]
async fn a_receiver_hears_in_order_and_the_end_last() {
    let mut world = World::new().await;
    let (server, posts) = receiver(|_| "204 No Content").await;
    world.start();
    world.run(with_callback(world.upload("a", large_image()).await, &server.url)).await;
    ends_come(&posts, 1).await;
    let sequences: Vec<u64> = posts.lock().unwrap().iter().map(|p| body(p)["sequence"].as_u64().unwrap()).collect();
    assert!(sequences.is_sorted() && sequences.len() < 12, "{sequences:?}");
    assert!(header(&posts.lock().unwrap()[0], "webhook-signature").is_none());
}

#[tokio::test]
async fn a_receiver_that_keeps_up_hears_of_every_stage() {
    let mut world = World::new().await;
    let (server, posts) = receiver(|_| "204 No Content").await;
    world.submit(with_callback(world.upload("a", large_image()).await, &server.url)).await;
    // The first event's callback has gone before the work begins, however busy the machine is: what is owed when a stage
    // is told decides what is told.
    world.put_jobs_off(Duration::from_secs(2)).await;
    world.start();
    let job = world.ended("a").await;
    ends_come(&posts, 1).await;
    let heard: Vec<u64> = posts.lock().unwrap().iter().map(|p| body(p)["sequence"].as_u64().unwrap()).collect();
    assert_eq!(job.sequence, 10);
    assert_eq!(heard, (1..=job.sequence).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_receiver_that_is_slow_hears_the_newest_alone() {
    let mut world = World::leasing(LEASE, |_| {}).await;
    let server = silent().await;
    world.start();
    let job = world.run(with_callback(world.upload("a", large_image()).await, &server.url)).await;
    let records = world.app.store.deliveries(job.key, u64::MAX, 100).await.unwrap();
    let state = |state: DeliveryState| records.iter().filter(|record| record.state == state).count();
    // One is in flight, and the end alone waits behind it.
    assert_eq!((state(DeliveryState::Sending), state(DeliveryState::Waiting)), (1, 1), "{records:?}");
    assert_eq!((records[0].state, records[0].sequence), (DeliveryState::Waiting, job.sequence));
}

#[tokio::test]
async fn a_failed_job_is_told_with_its_reason() {
    let mut world = World::new().await;
    let (server, posts) = receiver(|_| "200 OK").await;
    world.start();
    world.run(with_callback(world.upload("a", Bytes::from_static(b"no image")).await, &server.url)).await;
    let told = body(&ends_come(&posts, 1).await[0]);
    assert_eq!((&told["status"], &told["error"]["code"]), (&"failed".into(), &"IMAGE_FORMAT_UNSUPPORTED".into()));
    assert_eq!(told.get("result_url"), None);
}

/// Once every callback is delivered or given up.
async fn nothing_is_owed(world: &World) {
    let began = Instant::now();
    while world.app.store.queue().await.unwrap().deliveries > 0 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A job that fails at once.
async fn ended_job(world: &World, id: &str, callback: &str) {
    let missing = world.upload(id, image()).await;
    let mut job = with_callback(missing, callback);
    job.request["source"]["blob"] = "0".repeat(64).into();
    world.submit(job).await;
}

#[tokio::test]
async fn a_receiver_that_fails_hears_the_same_again() {
    let mut world = World::new().await;
    let (server, posts) = receiver(|count| if count == 1 { "500 Oh" } else { "200 OK" }).await;
    world.start();
    ended_job(&world, "a", &server.url).await;
    let began = Instant::now();
    let posts = ends_come(&posts, 2).await;
    assert!(began.elapsed() > Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(header(&posts[0], "webhook-id"), header(&posts[1], "webhook-id"));
    assert_eq!(body(&posts[0]), body(&posts[1]));
    nothing_is_owed(&world).await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_or_refused_is_not_called_again() {
    let mut world = World::new().await;
    let (server, posts) = receiver(|_| "410 Gone").await;
    world.start();
    ended_job(&world, "gone", &server.url).await;
    ended_job(&world, "refused", "http://169.254.169.254/").await;
    world.metric_at_least("spinelift_deliveries_total{outcome=\"given_up\"}", 2.0).await;
    nothing_is_owed(&world).await;
    assert_eq!(ends(&posts.lock().unwrap()).len(), 1);
}

#[tokio::test]
async fn a_redirect_is_no_way_to_a_receiver() {
    let mut world = World::new().await;
    let (elsewhere, posts) = receiver(|_| "200 OK").await;
    let header = format!("location: {}\r\n", elsewhere.url);
    let server = Hostile::always(answer("307 Temporary Redirect", &header, b"")).await;
    world.start();
    ended_job(&world, "a", &server.url).await;
    world.metric_at_least("spinelift_deliveries_total{outcome=\"retried\"}", 1.0).await;
    assert!(posts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn receivers_that_hang_hold_up_nobody_else() {
    let (mut world, hanging) = (World::new().await, silent().await);
    let (server, posts) = receiver(|_| "200 OK").await;
    for number in 0..300 {
        ended_job(&world, &format!("hanging-{number}"), &hanging.url).await;
    }
    for number in 0..10 {
        ended_job(&world, &format!("good-{number}"), &server.url).await;
    }
    world.start();
    world.ended("good-9").await;
    let began = Instant::now();
    ends_come(&posts, 10).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(hanging.connections() <= 4, "{}", hanging.connections());
}

#[tokio::test]
async fn ends_that_wait_while_their_receiver_is_down_are_sent_when_it_is_back() {
    let mut world = World::new().await;
    let nowhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nowhere.local_addr().unwrap();
    drop(nowhere);
    let mut keys = Vec::new();
    for number in 0..20 {
        let id = format!("job-{number}");
        let job = with_callback(fetched(&id, "http://127.0.0.1:9/"), &format!("http://{address}/{number}"));
        keys.push(world.submit(job).await.key);
        world.app.store.cancel("", &JobId::parse(&id).unwrap()).await.unwrap();
    }
    world.start();
    world.metric_at_least("spinelift_deliveries_total{outcome=\"retried\"}", 5.0).await;
    let back = tokio::net::TcpListener::bind(address).await.unwrap();
    let _server = Hostile::on(back, |_| answer("200 OK", "", b""));
    nothing_is_owed(&world).await;
    for key in keys {
        let end = world.app.store.deliveries(key, u64::MAX, 1).await.unwrap().remove(0);
        let errors: Vec<_> = end.attempts.iter().filter_map(|past| past.attempt.error.as_deref()).collect();
        assert!(errors.len() <= 1 && !errors.iter().any(|error| error.starts_with("not sent")), "{errors:?}");
        assert_eq!(end.state, DeliveryState::Delivered);
    }
}

#[tokio::test]
async fn blobs_that_nobody_needs_are_swept() {
    let mut world = World::new().await;
    world.pace.orphan_age = Duration::ZERO;
    let orphan = world.app.blobs.put(Bytes::from_static(b"nobody's")).await.unwrap();
    let upload = world.upload("a", image()).await;
    let needed = upload.source_hash.clone().unwrap();
    world.submit(upload).await;
    let left_behind = world.folder.path().join("blobs/sha256/00").join(format!("{}#1", "0".repeat(64)));
    std::fs::create_dir_all(left_behind.parent().unwrap()).unwrap();
    std::fs::write(&left_behind, b"half").unwrap();
    world.app.config = Arc::new({
        let mut config = (*world.app.config).clone();
        config.jobs.concurrent = 1;
        config
    });
    world.start();
    let began = Instant::now();
    while world.app.blobs.has(&orphan).await.unwrap() || left_behind.exists() {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(world.app.blobs.has(&needed).await.unwrap());
}

#[tokio::test]
async fn blobs_of_another_database_are_left_alone() {
    let mut world = World::new().await;
    world.pace.orphan_age = Duration::ZERO;
    assert!(world.app.blobs.belong_to("another database").await.unwrap());
    let anothers = world.app.blobs.put(Bytes::from_static(b"another's")).await.unwrap();
    // Several sweeps.
    world.pace.sweep = Duration::from_millis(50);
    world.start();
    world.run(world.upload("a", image()).await).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(world.app.blobs.has(&anothers).await.unwrap());
}

#[tokio::test]
async fn what_was_fetched_and_is_no_image_is_not_kept() {
    let mut world = World::new().await;
    let source = Hostile::always(answer("200 OK", "", b"<html>no image</html>")).await;
    world.start();
    assert_eq!(world.run(fetched("a", &source.url)).await.state, JobState::Failed);
    let hash = spinelift::blob::sha256(b"<html>no image</html>");
    assert!(!world.app.blobs.has(&hash).await.unwrap());
}
