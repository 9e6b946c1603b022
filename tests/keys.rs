//! The command `keys` as an operator meets it, beside a service that runs.

#![cfg(all(unix, feature = "cli", feature = "serve"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "serve/running.rs"]
mod running;

use std::fs;
use std::io::{Read, Write};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use running::{Running, command};
use serde_json::Value;
use tempfile::TempDir;

const JOBS: &str = "/api/v1/mesh/jobs";

/// Two seconds between looks, and as much again for a busy machine.
const HEARD: Duration = Duration::from_secs(4);

/// Status, standard output, standard error.
fn keys(folder: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    keys_with(folder, arguments, &[])
}

fn keys_with(folder: &TempDir, arguments: &[&str], vars: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = command(folder, &[&["keys"], arguments].concat());
    let Output { status, stdout, stderr } = command.envs(vars.iter().copied()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The secret of a new key.
#[track_caller]
fn added(folder: &TempDir, arguments: &[&str]) -> String {
    let (status, out, said) = keys(folder, &[&["add"], arguments].concat());
    assert_eq!(status, 0, "{said}");
    let secret = out.strip_suffix('\n').unwrap();
    assert!(secret.starts_with("spl_") && secret.len() == 47 && !secret.contains(char::is_whitespace), "{out}");
    assert!(said.contains("Authorization: Bearer") && !said.contains(secret), "{said}");
    secret.to_owned()
}

fn bearer(secret: &str) -> String {
    format!("Authorization: Bearer {secret}")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

fn json(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Waits until the list of jobs is answered so, for as long as the service may take to hear of a key.
#[track_caller]
fn heard(service: &Running, secret: &str, expected: &str) {
    let start = Instant::now();
    loop {
        let answer = service.get(JOBS, &[&bearer(secret)]);
        if status(&answer) == expected {
            return;
        }
        assert!(start.elapsed() < HEARD, "still {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A job for a small image, done; its link.
fn result_url(service: &Running, secret: &str) -> String {
    let image = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/corpus/tiny-star-12.png")).unwrap();
    let begin = "--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n";
    let body = [begin.as_bytes(), &image, b"\r\n--B--\r\n"].concat();
    let mut stream = service.connect();
    write!(
        stream,
        "POST /api/v1/mesh/generate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nprefer: wait=30\r\n{}\r\n\
         content-type: multipart/form-data; boundary=B\r\ncontent-length: {}\r\n\r\n",
        bearer(secret),
        body.len()
    )
    .unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), "200", "{answer}");
    let url = json(&answer)["result_url"].as_str().unwrap().to_owned();
    url[url.find("/api").unwrap()..].to_owned()
}

#[test]
fn a_service_hears_of_keys_while_it_runs() {
    let folder = TempDir::new().unwrap();
    let mut service = Running::start(command(&folder, &["serve", "--port", "0"]));
    assert_eq!(status(&service.get(JOBS, &[])), "200", "no key, no need of one");

    let old = added(&folder, &["rails"]);
    service.wait_for("API keys have changed");
    heard(&service, "spl_wrong", "401");
    heard(&service, &old, "200");
    let link = result_url(&service, &old);
    assert_eq!(status(&service.get(&link, &[])), "200");

    // The secret is changed: both open the same jobs, and the links of both are good.
    let new = added(&folder, &["rails"]);
    heard(&service, &new, "200");
    assert_eq!(json(&service.get(JOBS, &[&bearer(&new)]))["jobs"].as_array().unwrap().len(), 1);
    let new_link = result_url(&service, &new);
    let (code, out, said) = keys(&folder, &["revoke", "1"]);
    assert!(code == 0 && out.is_empty() && said.contains("revoked"), "{said}");
    heard(&service, &old, "401");
    assert_eq!(status(&service.get(&link, &[])), "401", "a key takes its links along");
    assert_eq!(status(&service.get(&new_link, &[])), "200");
    assert_eq!(status(&service.get(JOBS, &[&bearer(&new)])), "200");

    // By its name the rest goes; nobody is let in then, with a key or without.
    assert_eq!(keys(&folder, &["revoke", "rails"]).0, 0);
    heard(&service, &new, "401");
    assert_eq!(status(&service.get(&new_link, &[])), "401");
    assert_eq!(status(&service.get(JOBS, &[])), "401");
    assert_eq!(status(&service.get("/health", &[])), "200");

    let (code, list, _) = keys(&folder, &["list"]);
    assert_eq!((code, list.lines().count()), (0, 3), "{list}");
    service.signal("-TERM");
    service.wait_for("stopped");
    let (_, said) = service.ended();
    for secret in [&old, &new] {
        assert!(!list.contains(secret.as_str()) && !said.contains(secret.as_str()));
    }
}

#[test]
fn keys_that_were_added_before_the_first_start_let_a_service_out() {
    let folder = TempDir::new().unwrap();
    let secret = added(&folder, &["app", "--scope", "read", "--rate", "2/1h"]);
    // Keys in the database are keys: no --insecure is needed, nor once all of them are revoked.
    let start = || {
        let mut command = command(&folder, &["serve", "--port", "0"]);
        command.env("HOST", "0.0.0.0").env("LOG_FORMAT", "json").env("CORS_ORIGINS", "*");
        command
    };
    let mut child = start().stderr(Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.contains("listening"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(keys(&folder, &["revoke", "app"]).0, 0);
    let mut service = Running::start({
        let mut command = command(&folder, &["serve", "--port", "0"]);
        command.env("CORS_ORIGINS", "*");
        command
    });
    service.wait_for("nobody is let in");
    assert_eq!(status(&service.get(JOBS, &[&bearer(&secret)])), "401");
    assert_eq!(status(&service.get(JOBS, &[])), "401");
}

#[test]
fn a_keys_rate_and_scopes_hold() {
    let folder = TempDir::new().unwrap();
    let secret = added(&folder, &["app", "--scope", "read", "--rate", "3/1h"]);
    let admin = added(&folder, &["prometheus", "--scope", "admin", "--rate", "none"]);
    let service = Running::start(command(&folder, &["serve", "--port", "0"]));
    let list = service.get(JOBS, &[&bearer(&secret)]);
    assert!(list.contains("ratelimit-policy: \"default\";q=3;w=3600\r\n"), "{list}");
    assert!(list.contains("ratelimit: \"default\";r=2;t=1200\r\n"), "{list}");
    assert_eq!(status(&service.get("/metrics", &[&bearer(&secret)])), "403");
    assert_eq!(status(&service.get("/metrics", &[])), "401");
    let metrics = service.get("/metrics", &[&bearer(&admin)]);
    assert!(status(&metrics) == "200" && !metrics.contains("ratelimit:"), "{metrics}");
    assert_eq!(status(&service.get(JOBS, &[&bearer(&admin)])), "403");
    assert_eq!(status(&service.get(JOBS, &[&bearer(&secret)])), "200");
    let refused = service.get(JOBS, &[&bearer(&secret)]);
    assert!(status(&refused) == "429" && refused.contains("retry-after: 1200\r\n"), "{refused}");
    let list = keys(&folder, &["list"]).1;
    assert!(list.contains("app         read    3/3600s") && list.contains("prometheus  admin   none"), "{list}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = TempDir::new().unwrap();
    // Nothing is made only to be looked at.
    for arguments in [&["list"][..], &["revoke", "app"]] {
        let (status, out, said) = keys(&folder, arguments);
        assert!(status == 1 && out.is_empty() && said.contains("DATABASE_URL"), "{arguments:?}: {status} {said}");
    }
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    added(&folder, &["other"]);
    for (arguments, hint) in [
        (&["add", "a b"][..], "digits"),
        (&["add", "12"], "digits alone"),
        (&["add", "x\r\ny"], "\\r\\n"),
        (&["add", "app", "--scope", "write"], "submit, read and admin"),
        (&["add", "app", "--scope", ""], "submit, read and admin"),
        (&["add", "app", "--rate", "fast"], "600/60s"),
        (&["revoke", "app"], "keys list"),
        (&["revoke", "7"], "keys list"),
        (&["add"], "Usage"),
    ] {
        let (status, out, said) = keys(&folder, arguments);
        assert!(status == 2 && out.is_empty() && said.contains(hint), "{arguments:?}: {status} {said}");
    }
    let (status, _, said) = keys_with(&folder, &["list"], &[("PORT", "x")]);
    assert!(status == 2 && said.contains("PORT"), "{said}");
    fs::write(folder.path().join("notes.txt"), "notes, and many of them. ".repeat(100)).unwrap();
    let (status, _, said) = keys_with(&folder, &["list"], &[("DATABASE_URL", "sqlite:notes.txt")]);
    assert!(status == 1 && said.contains("not an SQLite database"), "{said}");
}

#[test]
fn the_file_of_settings_names_the_database_and_its_own_keys_are_told_of() {
    let folder = TempDir::new().unwrap();
    let env = "DATABASE_URL=sqlite:elsewhere/jobs.db\nAPI_KEYS=rails:0123456789abcdef0123\n";
    fs::write(folder.path().join(".env"), env).unwrap();
    let (_, _, said) = keys(&folder, &["add", "rails"]);
    assert!(said.contains("elsewhere/jobs.db, which is new"), "{said}");
    assert!(folder.path().join("elsewhere/jobs.db").is_file());
    let (_, _, said) = keys(&folder, &["add", "artist"]);
    assert!(said.contains("elsewhere/jobs.db: scopes"), "{said}");
    let (_, out, said) = keys(&folder, &["list"]);
    assert!(out.contains("rails") && said.contains("1 in the setting API_KEYS"), "{said}");
    let said = keys(&folder, &["revoke", "rails"]).2;
    assert!(said.contains("still has a key in the setting"), "{said}");
    assert!(!said.contains("0123456789abcdef0123"));
}

#[test]
fn a_secret_that_nobody_could_read_opens_nothing() {
    let folder = TempDir::new().unwrap();
    let mut add = command(&folder, &["keys", "add", "app"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let Output { status, stderr, .. } = add.stdout(full).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.code() == Some(1) && said.contains("revoked"), "{said}");
    let list = keys(&folder, &["list"]).1;
    // When it was added, and when revoked.
    assert_eq!(list.lines().nth(1).unwrap().matches('Z').count(), 2, "{list}");
}
