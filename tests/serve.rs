//! The command `serve` as an operator meets it: what it says, where its settings come from, how it ends.

#![cfg(all(unix, feature = "cli", feature = "serve"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "serve/health.rs"]
mod health;
#[path = "serve/running.rs"]
mod running;
#[path = "serve/secrets.rs"]
mod secrets;

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use running::Running;
use tempfile::TempDir;

fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    running::command(folder, &[&["serve"], arguments].concat())
}

fn refused(folder: &TempDir, arguments: &[&str], vars: &[(&str, &str)]) -> (i32, String) {
    let Output { status, stderr, .. } = command(folder, arguments).envs(vars.iter().copied()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn the_first_start_makes_everything_and_says_where_it_is() {
    let folder = TempDir::new().unwrap();
    let mut service = Running::start(command(&folder, &["--dev", "--port", "0"]));
    service.wait_for("warning");
    for part in ["page", "/docs", "/api/v1", "spinelift-data/spinelift.db", "spinelift-data/blobs", "role", "keys"] {
        assert!(service.said.contains(part), "{part} is not in:\n{}", service.said);
    }
    assert!(folder.path().join("spinelift-data/spinelift.db").is_file());
    assert!(folder.path().join("spinelift-data/blobs").is_dir());
    assert!(service.get("/health", &[]).contains("\"healthy\""));
    assert!(service.get("/ready", &[]).starts_with("HTTP/1.1 200"));
    service.signal("-TERM");
    let (status, said) = service.ended();
    assert_eq!(status, 0, "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_limit_of_open_files_is_raised_to_the_hard_one() {
    let folder = TempDir::new().unwrap();
    let mut limited = Command::new("sh");
    limited.args([
        "-c",
        "echo $$ > pid; ulimit -Sn 256; ulimit -Hn 2000; exec \"$0\" serve --dev --port 0",
        env!("CARGO_BIN_EXE_spinelift"),
    ]);
    limited.current_dir(folder.path()).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut service = Running::start(limited);
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", pid.trim())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["2000", "2000"], "{line}");
    service.wait_for("warning: at most 2000 files may be open");
}

#[test]
fn a_stop_is_seen_by_readiness_before_connections_are_refused() {
    let folder = TempDir::new().unwrap();
    let mut service = Running::start(command(&folder, &["--port", "0"]));
    service.signal("-INT");
    service.wait_for("stopping");
    let health = service.get("/health", &[]);
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    // The signal is told of just before readiness changes.
    let start = std::time::Instant::now();
    while !service.get("/ready", &[]).starts_with("HTTP/1.1 503") {
        assert!(start.elapsed() < Duration::from_secs(1));
    }
    let (status, said) = service.ended();
    assert_eq!(status, 0, "{said}");
}

#[test]
fn a_second_signal_ends_at_once() {
    for (name, expected) in [("-INT", 130), ("-TERM", 143)] {
        let folder = TempDir::new().unwrap();
        let mut service = Running::start(command(&folder, &["--port", "0"]));
        service.signal("-TERM");
        service.wait_for("stopping");
        service.signal(name);
        assert_eq!(service.ended().0, expected);
    }
}

#[test]
fn every_wrong_setting_is_told_at_once() {
    let folder = TempDir::new().unwrap();
    let vars = [("PORT", "x"), ("SPINELIFT_LOG_FORMT", "json"), ("API_KEYS", "app:tooshort")];
    let (status, said) = refused(&folder, &[], &vars);
    assert_eq!(status, 2);
    for part in ["3 settings", "PORT: \"x\"", "SPINELIFT_LOG_FORMAT?", "at least 16"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("tooshort"), "{said}");
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was made");
}

#[test]
fn strangers_are_not_let_in_by_accident() {
    let folder = TempDir::new().unwrap();
    let (status, said) = refused(&folder, &["--host", "0.0.0.0"], &[]);
    assert!(status == 2 && said.contains("--insecure"), "{said}");
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was made");
    let (status, said) = refused(&folder, &["--dev", "--host", "0.0.0.0"], &[]);
    assert!(status == 2 && said.contains("--dev"), "{said}");
    for arguments in [&[][..], &["--dev"]] {
        let (status, said) = refused(&folder, arguments, &[("CORS_ORIGINS", "*")]);
        assert!(status == 2 && said.contains("every page"), "{said}");
    }
}

#[test]
fn the_file_is_read_and_the_environment_wins() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(".env"), "# ours\nLOG_FORMAT=json\nPORT=x\nRAILS_ENV='production'\n").unwrap();
    let mut command = command(&folder, &[]);
    command.env("PORT", "0").env("REDIS_URL", "redis://cache");
    let mut service = Running::start(command);
    service.signal("-TERM");
    service.wait_for("\"stopped\"");
    for line in service.said.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["service"] == "spinelift-mesh-service" && line["message"].is_string(), "{line}");
    }
    assert!(service.said.contains("REDIS_URL"), "{}", service.said);
}

#[test]
fn a_broken_file_is_told_by_its_line_and_not_shown() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(".env"), "PORT=0\nAPI_KEYS hunter2 hunter2\n").unwrap();
    let (status, said) = refused(&folder, &[], &[]);
    assert!(status == 2 && said.contains(".env, line 2") && !said.contains("hunter2"), "{said}");
}

#[test]
fn an_address_that_is_taken_is_told() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (status, said) = refused(&folder, &["--port", &port], &[]);
    assert!(status == 1 && said.contains(&port) && said.contains("--port"), "{said}");
}

#[test]
fn a_database_in_use_is_told() {
    let folder = TempDir::new().unwrap();
    let _first = Running::start(command(&folder, &["--port", "0"]));
    let (status, said) = refused(&folder, &["--port", "0"], &[]);
    assert!(status == 1 && said.contains("DATABASE_URL"), "{said}");
}
