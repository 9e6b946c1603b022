//! The command `admin` as an operator meets it, beside a service that runs.

#![cfg(all(unix, feature = "cli", feature = "serve"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "serve/running.rs"]
mod running;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use running::{DEADLINE, Running, command};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Status, standard output, standard error.
#[track_caller]
fn admin(folder: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(folder, &[&["admin"], arguments].concat()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The JSON of a command that is done.
#[track_caller]
fn done(folder: &TempDir, arguments: &[&str]) -> Value {
    let (status, out, said) = admin(folder, &[arguments, &["--json"]].concat());
    assert_eq!(status, 0, "{arguments:?}: {out}{said}");
    serde_json::from_str(&out).unwrap()
}

/// What a command that could not do all says.
#[track_caller]
fn refused(folder: &TempDir, arguments: &[&str]) -> String {
    let (status, out, said) = admin(folder, arguments);
    assert_eq!(status, 1, "{arguments:?}: {out}{said}");
    said
}

fn serve(folder: &TempDir) -> Running {
    Running::start(command(folder, &["serve", "--dev", "--port", "0"]))
}

#[track_caller]
fn post(service: &Running, body: &Value) {
    let body = body.to_string();
    let mut stream = service.connect();
    let head = "POST /api/v1/mesh/generate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length: ";
    write!(stream, "{head}{}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

/// What an image server does with each request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answers {
    Image,
    NotFound,
    /// 503, so that the job waits for another attempt.
    Later,
    /// Nothing, so that the job runs on.
    Never,
}

/// A server of images that does as it is told.
struct Images {
    url: String,
    answers: Arc<Mutex<Answers>>,
}

impl Images {
    fn new(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/star.png?token=s3cret", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(answers));
        let told = Arc::clone(&answers);
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let (status, body) = match *told.lock().unwrap() {
                    Answers::Image => ("200 OK", include_bytes!("../testdata/corpus/tiny-star-12.png").as_slice()),
                    Answers::NotFound => ("404 Not Found", &[][..]),
                    Answers::Later => ("503 Service Unavailable\r\nretry-after: 600", &[][..]),
                    Answers::Never => {
                        open.push(stream);
                        continue;
                    }
                };
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(&[head.as_bytes(), body].concat());
            }
        });
        Self { url, answers }
    }

    fn now(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    fn job(&self, id: &str) -> Value {
        json!({ "job_id": id, "image_url": self.url })
    }
}

/// The job once it is as wanted.
#[track_caller]
fn once(folder: &TempDir, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let job = done(folder, &["show", id]);
        if wanted(&job) {
            return job;
        }
        assert!(start.elapsed() < DEADLINE, "still {job:#}");
        thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap()).collect()
}

/// Each event follows from the one before.
#[track_caller]
fn expect_sequence(job: &Value) {
    let sequences: Vec<u64> =
        job["events"].as_array().unwrap().iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>(), "{job:#}");
}

#[test]
fn a_job_that_failed_is_found_and_done_after_all() {
    let folder = TempDir::new().unwrap();
    let mut service = serve(&folder);
    let images = Images::new(Answers::NotFound);
    for id in ["hero", "villain"] {
        post(&service, &images.job(id));
        once(&folder, id, |job| job["state"] == "failed");
    }
    let list = done(&folder, &["jobs", "--state", "failed", "--code", "SOURCE_NOT_FOUND"]);
    assert_eq!(ids(&list), ["villain", "hero"]);
    assert_eq!((&list["jobs"][0]["owner"], &list["next_cursor"]), (&json!(""), &Value::Null));
    let first = done(&folder, &["jobs", "--limit", "1"]);
    let cursor = first["next_cursor"].to_string();
    assert_eq!(ids(&done(&folder, &["jobs", "--limit", "1", "--before", &cursor])), ["hero"]);

    images.now(Answers::Image);
    let (_, out, said) = admin(&folder, &["retry", "hero"]);
    assert!(out.contains("1 started anew\n") && said.is_empty(), "{out}{said}");
    let hero = once(&folder, "hero", |job| job["state"] == "completed");
    assert_eq!((&hero["attempt"], &hero["error"], &hero["progress"]), (&json!(1), &Value::Null, &json!(100)));
    assert!(hero["result"]["bytes"].as_u64() > Some(0), "{hero:#}");
    expect_sequence(&hero);
    let rest = done(&folder, &["retry", "--state", "failed", "--code", "source_not_found"]);
    assert_eq!(rest, json!({ "restarted": 1, "hurried": 0, "left_alone": 0, "refused": [] }));
    once(&folder, "villain", |job| job["state"] == "completed");
    let refusal = refused(&folder, &["retry", "hero", "nobody"]);
    assert!(
        refusal.contains("job hero: it has its result") && refusal.contains("job nobody: there is none"),
        "{refusal}"
    );

    service.signal("-TERM");
    service.wait_for("stopped");
    assert_eq!(service.ended().0, 0);
}

#[test]
fn a_job_that_waits_for_its_next_attempt_need_wait_no_more() {
    let folder = TempDir::new().unwrap();
    let service = serve(&folder);
    let images = Images::new(Answers::Later);
    post(&service, &images.job("hero"));
    let waiting = once(&folder, "hero", |job| job["state"] == "queued" && job["attempt"] == 1);
    assert!(waiting["run_after"].is_string(), "{waiting:#}");
    let queue = done(&folder, &["queue"]);
    assert_eq!((&queue["total"]["queued"], &queue["total"]["later"]), (&json!(1), &json!(1)));
    images.now(Answers::Image);
    let hurried = done(&folder, &["retry", "--state", "queued"]);
    assert_eq!((&hurried["hurried"], &hurried["restarted"]), (&json!(1), &json!(0)));
    // Long before the ten minutes that the image's server asked for.
    let done_job = once(&folder, "hero", |job| job["state"] == "completed");
    assert_eq!(done_job["attempt"], 2);
    expect_sequence(&done_job);
    drop(service);
}

#[test]
fn a_running_job_is_called_off() {
    let folder = TempDir::new().unwrap();
    let service = serve(&folder);
    let images = Images::new(Answers::Never);
    post(&service, &images.job("hero"));
    let running = once(&folder, "hero", |job| job["state"] == "running");
    assert!(running["worker"].is_string() && running["lease_until"].is_string(), "{running:#}");
    assert!(refused(&folder, &["retry", "hero"]).contains("it is running"));
    assert!(refused(&folder, &["purge", "hero"]).contains("it is running; cancel it first"));
    let nodes = done(&folder, &["nodes"]);
    assert_eq!((&nodes["nodes"][0]["name"], &nodes["nodes"][0]["running"]), (&running["worker"], &json!(1)));
    let (_, out, _) = admin(&folder, &["cancel", "hero"]);
    assert!(out.contains("0 cancelled\n1 running"), "{out}");
    let ended = once(&folder, "hero", |job| job["state"] == "cancelled");
    assert_eq!(ended["error"]["code"], "CANCELLED");
    expect_sequence(&ended);
    assert!(refused(&folder, &["cancel", "hero"]).contains("it has ended and is cancelled"));
    drop(service);
}

#[test]
fn jobs_that_have_ended_are_deleted_and_no_others() {
    let folder = TempDir::new().unwrap();
    let service = serve(&folder);
    let images = Images::new(Answers::NotFound);
    for id in ["a", "b", "c"] {
        post(&service, &images.job(id));
        once(&folder, id, |job| job["state"] == "failed");
    }
    // Nobody listens there, so that its callback stays owed.
    let mut owed = images.job("owed");
    owed["callback_url"] = "http://127.0.0.1:9/?token=s3cret".into();
    post(&service, &owed);
    let details = once(&folder, "owed", |job| {
        job["state"] == "failed" && job["callbacks"][0]["attempts"].as_array().is_some_and(|made| !made.is_empty())
    });
    assert_eq!(details["callbacks"][0]["url"], "http://127.0.0.1:9/?...");
    let (_, shown, _) = admin(&folder, &["show", "owed"]);
    assert!(shown.contains("SOURCE_NOT_FOUND") && shown.contains("attempt"), "{shown}");
    assert!(!shown.contains("s3cret") && !details.to_string().contains("s3cret"), "{shown}");

    let purge = ["purge", "--state", "failed", "--older-than"];
    assert_eq!(done(&folder, &[&purge[..], &["1h"]].concat())["deleted"], 0);
    let dry = done(&folder, &[&purge[..], &["0s", "--dry-run"]].concat());
    assert_eq!(dry, json!({ "to_delete": 3, "kept": 1, "refused": [] }));
    let deleted = done(&folder, &["purge", "a"]);
    assert_eq!(deleted, json!({ "deleted": 1, "refused": [] }));
    let (_, out, _) = admin(&folder, &[&purge[..], &["0s"]].concat());
    assert!(out.starts_with("2 deleted\n1 kept"), "{out}");
    assert!(refused(&folder, &["purge", "owed"]).contains("--drop-callbacks"));
    assert_eq!(ids(&done(&folder, &["jobs"])), ["owed"]);
    assert_eq!(done(&folder, &["purge", "owed", "--drop-callbacks"])["deleted"], 1);
    assert!(service.get("/api/v1/mesh/owed/status", &[]).starts_with("HTTP/1.1 404"));
    assert!(refused(&folder, &["show", "a"]).contains("there is none"));
    // The service goes on.
    images.now(Answers::Image);
    post(&service, &images.job("a"));
    once(&folder, "a", |job| job["state"] == "completed");
}

#[test]
fn nodes_are_listed_while_they_live_and_counted() {
    let folder = TempDir::new().unwrap();
    let mut service = serve(&folder);
    let start = Instant::now();
    while done(&folder, &["nodes"])["nodes"].as_array().unwrap().is_empty() {
        assert!(start.elapsed() < DEADLINE);
    }
    let nodes = done(&folder, &["nodes"]);
    let node = &nodes["nodes"][0];
    assert_eq!((&node["role"], &node["slots"], &node["living"]), (&json!("all"), &json!(10), &json!(true)));
    assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
    let (_, table, _) = admin(&folder, &["nodes"]);
    assert!(table.contains(node["name"].as_str().unwrap()) && table.contains("0 of 10"), "{table}");
    let metrics = service.get("/metrics", &[]);
    for line in ["spinelift_nodes{role=\"all\"} 1", "spinelift_nodes{role=\"api\"} 0"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    service.signal("-TERM");
    service.wait_for("stopped");
    let (status, out, said) = admin(&folder, &["nodes"]);
    assert!(status == 0 && out.is_empty() && said.contains("no node was seen"), "{out}{said}");
}

#[test]
fn a_job_of_several_owners_is_told_apart() {
    let folder = TempDir::new().unwrap();
    let service = {
        let mut command = command(&folder, &["serve", "--port", "0"]);
        command
            .env("API_KEYS", "rails:0123456789abcdef0123,studio:abcdef0123456789abcd")
            .env("ALLOWED_HOSTS", "127.0.0.1:9");
        Running::start(command)
    };
    for secret in ["0123456789abcdef0123", "abcdef0123456789abcd"] {
        let body = json!({ "job_id": "hero", "image_url": "http://127.0.0.1:9/a.png" }).to_string();
        let mut stream = service.connect();
        write!(
            stream,
            "POST /api/v1/mesh/generate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {secret}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
    let refusal = refused(&folder, &["show", "hero"]);
    assert!(refusal.contains("rails, studio") && refusal.contains("--owner"), "{refusal}");
    assert_eq!(done(&folder, &["show", "hero", "--owner", "studio"])["owner"], "studio");
    assert!(refused(&folder, &["show", "hero", "--owner", "other"]).contains("other has none"));
    let cancelled = done(&folder, &["cancel", "--owner", "rails"]);
    assert_eq!(cancelled["cancelled"].as_u64().unwrap() + cancelled["requested"].as_u64().unwrap(), 1, "{cancelled}");
    let queue = done(&folder, &["queue"]);
    assert!(queue["owners"].as_array().unwrap().iter().any(|owner| owner["owner"] == "studio"), "{queue:#}");
    let said = admin(&folder, &["jobs"]);
    assert!(!said.1.contains("0123456789abcdef"), "{said:?}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = TempDir::new().unwrap();
    // Nothing is made only to be looked at.
    for arguments in [&["jobs"][..], &["nodes"], &["retry", "a"]] {
        let said = refused(&folder, arguments);
        assert!(said.contains("DATABASE_URL"), "{arguments:?}: {said}");
    }
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
    for (arguments, hint) in [
        (&["jobs", "--state", "done"][..], "queued, running, completed"),
        (&["jobs", "--code", "SLOW"], "SOURCE_TIMEOUT"),
        (&["jobs", "--older-than", "soon"], "12h or 7d"),
        (&["jobs", "--limit", "0"], "1..=1000"),
        (&["show", "../etc"], "64 of A-Z"),
        (&["retry"], "Usage"),
        (&["retry", "a", "--state", "failed"], "cannot be used with"),
        (&["retry", "--owner", "rails"], "--state"),
        (&["retry", "--state", "completed"], "failed, cancelled, queued"),
        (&["cancel", "--state", "failed"], "queued, running"),
        (&["purge", "--state", "running", "--older-than", "1h"], "completed, failed, cancelled"),
        (&["purge", "--state", "failed"], "--older-than"),
        (&["purge", "--older-than", "1h"], "--state"),
    ] {
        let (status, out, said) = admin(&folder, arguments);
        assert!(status == 2 && out.is_empty() && said.contains(hint), "{arguments:?}: {status} {said}");
    }
}

/// Every name of an object and of what is in it.
fn names(value: &Value, found: &mut Vec<String>) {
    match value {
        // The parameters and the details of an error have names of their own.
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            found.push(name.clone());
            if name != "parameters" && name != "details" {
                names(field, found);
            }
        }),
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

#[test]
fn every_name_of_the_json_is_documented() {
    let folder = TempDir::new().unwrap();
    let service = serve(&folder);
    let images = Images::new(Answers::NotFound);
    let mut job = images.job("hero");
    job["callback_url"] = "http://127.0.0.1:9/".into();
    post(&service, &job);
    once(&folder, "hero", |job| job["state"] == "failed" && job["callbacks"][0]["attempts"][0].is_object());
    let mut found = Vec::new();
    for arguments in [
        &["jobs"][..],
        &["show", "hero"],
        &["nodes"],
        &["queue"],
        &["purge", "--state", "failed", "--older-than", "0s", "--dry-run"],
        &["retry", "--state", "failed"],
        &["cancel", "--owner", ""],
    ] {
        names(&done(&folder, arguments), &mut found);
    }
    let (_, refusals, _) = admin(&folder, &["purge", "nobody", "--json"]);
    names(&serde_json::from_str(&refusals).unwrap(), &mut found);
    let text = include_str!("../docs/operations.md");
    assert!(found.len() > 60, "{found:?}");
    for name in found {
        assert!(text.contains(&format!("`{name}`")), "{name} is not in docs/operations.md");
    }
}
