//! The real binary over a bucket: jobs, links, outages, kills, and what it says when it cannot start.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client;
use super::running::{Running, command};
use super::s3::{BUCKET, KEY_ID, S3, SECRET};
use super::server::Server;
use super::world::World;

/// How long a job may take to end: its waits while the bucket is away, and a busy machine.
const SETTLE: Duration = Duration::from_secs(120);

fn settings(server: &S3) -> Vec<(&'static str, String)> {
    vec![
        ("STORAGE_BACKEND", "s3".into()),
        ("S3_BUCKET", BUCKET.into()),
        ("S3_ENDPOINT", server.url()),
        ("S3_ACCESS_KEY_ID", KEY_ID.into()),
        ("S3_SECRET_ACCESS_KEY", SECRET.into()),
    ]
}

async fn start(folder: &Path, server: &S3, more: &[(&str, &str)]) -> Server {
    let settings = settings(server);
    let mut all: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.extend(more);
    Server::start(folder, &all).await
}

async fn submit(service: &Server, world: &World, number: usize) {
    let request = json!({
        "image_url": world.image_url(),
        "job_id": format!("job-{number}"),
        "callback_url": world.callback_url(),
        "detail_factor": 0.001 + number as f64 * 1e-4,
    });
    let post = client().post(service.url("/api/v1/mesh/generate")).header("content-type", "application/json");
    let status = post.body(request.to_string()).send().await.unwrap().status().as_u16();
    assert!(matches!(status, 200 | 202), "{status}");
}

/// The status of a job once it is completed, its callback included.
async fn completed(service: &Server, world: &World, number: usize) -> Value {
    let (job, began) = (format!("job-{number}"), Instant::now());
    loop {
        let status = service.get(&format!("/api/v1/mesh/{job}/status")).await.unwrap();
        assert_ne!(status["status"], "failed", "{status}\n{}", service.log());
        if status["status"] == "completed" && !world.final_callbacks(&job).is_empty() {
            return status;
        }
        assert!(began.elapsed() < SETTLE, "{status}\n{}", service.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn json_at(url: &str) -> Value {
    let answer = client().get(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{url}");
    assert_eq!(answer.headers()["content-type"], "application/json");
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

async fn ready(service: &Server) -> u16 {
    client().get(service.url("/ready")).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_job_is_done_and_its_links_lead_where_the_settings_say() {
    let Some(server) = S3::start() else { return };
    let (folder, world) = (tempfile::tempdir().unwrap(), World::start().await);
    let mut service = start(folder.path(), &server, &[]).await;
    assert_eq!(ready(&service).await, 200);
    submit(&service, &world, 0).await;
    let status = completed(&service, &world, 0).await;
    let url = status["result_url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&service.url("/api/v1/mesh/job-0/result")), "{url}");
    let mesh = json_at(&url).await;
    // Drawn of the image, which was kept too.
    assert!(client().get(format!("{url}?format=png")).send().await.unwrap().status().is_success());
    service.stop().await;

    service.set("RESULT_LINKS", "storage");
    service.again().await;
    submit(&service, &world, 1).await;
    for number in [0, 1] {
        let status = completed(&service, &world, number).await;
        let url = status["result_url"].as_str().unwrap().to_owned();
        assert!(url.starts_with(&server.url()), "{url}");
        assert!(json_at(&url).await["vertices"].is_array());
    }
    let status = service.get("/api/v1/mesh/job-0/status").await.unwrap();
    assert_eq!(json_at(status["result_url"].as_str().unwrap()).await, mesh);
    let called = world.ends_heard("job-1")[0].1["result_url"].as_str().unwrap().to_owned();
    assert!(called.starts_with(&server.url()), "{called}");
    assert!(json_at(&called).await["vertices"].is_array());
    let events = client().get(service.url("/api/v1/mesh/job-1/events")).send().await.unwrap().text().await.unwrap();
    assert!(events.contains(&format!("\"result_url\":\"{}/", server.url())), "{events}");
    service.stop().await;
}

#[tokio::test]
async fn a_bucket_that_is_away_for_a_while_costs_time_and_no_job() {
    let Some(mut server) = S3::start() else { return };
    let (folder, world) = (tempfile::tempdir().unwrap(), World::start().await);
    let mut service = start(folder.path(), &server, &[]).await;
    submit(&service, &world, 0).await;
    completed(&service, &world, 0).await;
    server.kill();
    for number in 1..=4 {
        submit(&service, &world, number).await;
    }
    // Each has been tried, and goes back to the queue.
    let began = Instant::now();
    loop {
        let jobs = service.get("/api/v1/mesh/jobs").await.unwrap()["jobs"].as_array().unwrap().clone();
        let waiting = |job: &&Value| job["message"].as_str().is_some_and(|text| text.starts_with("Retrying:"));
        if jobs.iter().filter(waiting).count() == 4 {
            break;
        }
        assert!(began.elapsed() < SETTLE, "{jobs:?}\n{}", service.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ready(&service).await, 503);
    let result = client().get(service.url("/api/v1/mesh/job-0/result")).send().await.unwrap();
    assert_eq!((result.status().as_u16(), result.headers().contains_key("retry-after")), (503, true));
    // Whoever starts meanwhile waits too.
    service.kill();
    service.again().await;
    server.again();
    for number in 0..=4 {
        completed(&service, &world, number).await;
        assert_eq!(world.final_callbacks(&format!("job-{number}")).len(), 1);
    }
    assert_eq!(ready(&service).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_kill_around_the_result_loses_nothing() {
    if cfg!(not(debug_assertions)) {
        println!("skipped: a release build has no points to be killed at");
        return;
    }
    let Some(server) = S3::start() else { return };
    for point in ["before_result", "after_result", "inside_final_transaction"] {
        let (folder, world) = (tempfile::tempdir().unwrap(), World::start().await);
        let mut service = start(folder.path(), &server, &[("SPINELIFT_CRASH_AT", point)]).await;
        let request =
            json!({ "image_url": world.image_url(), "job_id": "job-0", "callback_url": world.callback_url() });
        let post = client().post(service.url("/api/v1/mesh/generate")).header("content-type", "application/json");
        let _ = post.body(request.to_string()).send().await;
        assert!(!service.ended().await.success(), "{point} was not reached");
        service.set("SPINELIFT_CRASH_AT", "");
        service.again().await;
        let status = completed(&service, &world, 0).await;
        assert!(json_at(status["result_url"].as_str().unwrap()).await["vertices"].is_array());
        service.stop().await;
    }
}

fn refused(folder: &TempDir, server: &S3, changed: (&str, &str)) -> (i32, String) {
    let mut command = command(folder, &["serve", "--port", "0"]);
    command.envs(settings(server)).env(changed.0, changed.1);
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_bucket_that_cannot_be_used_is_told_at_the_start() {
    let Some(server) = S3::start() else { return };
    let folder = TempDir::new().unwrap();
    for (changed, status, part) in [
        (("S3_BUCKET", "other"), 1, "S3_BUCKET: there is no bucket \"other\""),
        (("S3_SECRET_ACCESS_KEY", "canary-wrong-secret"), 1, "S3_SECRET_ACCESS_KEY"),
        (("S3_ACCESS_KEY_ID", "canary-wrong-id"), 1, "S3_ACCESS_KEY_ID"),
        (("S3_BUCKET", ""), 2, "S3_BUCKET: is missing"),
        (("STORAGE_BACKEND", "s4"), 2, "STORAGE_BACKEND: \"s4\" is not local or s3"),
    ] {
        let (ended, said) = refused(&folder, &server, changed);
        assert!(ended == status && said.contains(part), "{changed:?} ended with {ended}: {said}");
        assert!(!said.contains(SECRET) && !said.contains("canary-wrong-secret"), "{said}");
    }
}

#[test]
fn a_keys_links_lead_to_the_storage_only_where_there_is_one() {
    let Some(server) = S3::start() else { return };
    let folder = TempDir::new().unwrap();
    let keys = |arguments: &[&str], vars: Vec<(&'static str, String)>| {
        let mut command = command(&folder, &[&["keys"], arguments].concat());
        let Output { status, stdout, stderr } = command.envs(vars).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    };
    let storage = ["add", "web", "--result-links", "storage"];
    let (status, _, said) = keys(&storage, Vec::new());
    assert!(status == 2 && said.contains("STORAGE_BACKEND is local"), "{said}");
    let secret = |arguments: &[&str]| {
        let (status, out, said) = keys(arguments, settings(&server));
        assert_eq!(status, 0, "{said}");
        out.trim().to_owned()
    };
    let (web, app) = (secret(&storage), secret(&["add", "app"]));
    assert!(keys(&["list"], Vec::new()).1.contains("  storage  "));

    let mut command = command(&folder, &["serve", "--port", "0"]);
    command.envs(settings(&server));
    let mut service = Running::start(command);
    service.wait_for("bucket meshes at http://127.0.0.1:");
    // A request's own host is what callers reach the service by.
    let own = "http://127.0.0.1:".to_owned();
    for (key, expected) in [(web, format!("{}/meshes/sha256/", server.url())), (app, own)] {
        let with_key = [format!("Authorization: Bearer {key}")];
        let with_key: Vec<&str> = with_key.iter().map(String::as_str).collect();
        let began = Instant::now();
        let accepted = upload(&service, &with_key);
        assert!(accepted.starts_with("HTTP/1.1 202"), "{accepted}");
        let id = body(&accepted)["job_id"].as_str().unwrap().to_owned();
        let url = loop {
            let status = body(&service.get(&format!("/api/v1/mesh/{id}/status"), &with_key));
            if let Some(url) = status["result_url"].as_str() {
                break url.to_owned();
            }
            assert!(began.elapsed() < SETTLE, "{status}");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(url.contains("/api/v1/mesh/"), !expected.contains("sha256"));
        assert!(url.starts_with(&expected), "{url} does not begin with {expected}");
    }
    service.signal("-TERM");
    assert_eq!(service.ended().0, 0);
}

/// Submits an image with the request.
fn upload(service: &Running, headers: &[&str]) -> String {
    let image = std::fs::read("testdata/corpus/tiny-star-12.png").unwrap();
    let part = "--cut\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n";
    let form = [part.as_bytes(), &image, b"\r\n--cut--\r\n"].concat();
    let mut stream = service.connect();
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!(
        "POST /api/v1/mesh/generate HTTP/1.1\r\nHost: mesh.example\r\nConnection: close\r\n{lines}\
         Content-Type: multipart/form-data; boundary=cut\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&form).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}
