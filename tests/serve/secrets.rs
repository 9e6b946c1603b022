//! A tour of everything with DEBUG on, in both forms of the log: no secret in a line or in an answer.

use std::io::{Read, Write};

use super::*;

const KEY: &str = "canary-key-0123456789abcdef";
const WRONG_KEY: &str = "canary-wrong-key-0123456789";
const CALLBACK_SECRET: &str = "whsec_Y2FuYXJ5LWNhbGxiYWNrLXNlY3JldC0wMTIzNDU2Nzg5";
const USER_INFO: &str = "canary-userinfo";
const IMAGE_TOKEN: &str = "canary-image-token";
const CALLBACK_TOKEN: &str = "canary-callback-token";
const DATABASE_PASSWORD: &str = "canary-database-password";

#[track_caller]
fn expect_no_secret(text: &str) {
    let secrets = [KEY, WRONG_KEY, &CALLBACK_SECRET[6..], USER_INFO, IMAGE_TOKEN, CALLBACK_TOKEN, DATABASE_PASSWORD];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in:\n{text}");
    }
}

fn ask(service: &Running, method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut stream = service.connect();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}");
    write!(stream, "{head}\r\n{body}").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn tour(log_format: &str) {
    let folder = TempDir::new().unwrap();
    // Nobody listens on port 9, so that fetches and callbacks fail and are told of.
    let settings = [
        ("DEBUG", "true"),
        ("LOG_FORMAT", log_format),
        ("API_KEYS", &format!("rails:{KEY}")),
        ("CALLBACK_SECRETS", CALLBACK_SECRET),
        ("ALLOWED_HOSTS", "127.0.0.1:9"),
    ];
    let mut command = command(&folder, &["--port", "0"]);
    command.envs(settings);
    let service = Running::start(command);
    let with_key = format!("Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n");
    let mut answers = String::new();
    for path in ["/health", "/ready", "/metrics", "/", "/docs/", "/openapi.json", "/nowhere", "/api/v1/mesh/jobs"] {
        answers += &ask(&service, "GET", path, &with_key, "");
        answers += &ask(&service, "GET", &format!("{path}?api_key={WRONG_KEY}"), "", "");
        answers += &ask(&service, "PUT", path, &format!("Authorization: Bearer {WRONG_KEY}\r\n"), "");
    }
    let generate = "/api/v1/mesh/generate";
    let image = format!("http://127.0.0.1:9/a.png?token={IMAGE_TOKEN}");
    let callback = format!("http://127.0.0.1:9/done?token={CALLBACK_TOKEN}");
    let bodies = [
        format!(r#"{{"image_url":"http://me:{USER_INFO}@127.0.0.1:9/a.png"}}"#),
        format!(
            r#"{{"image_url":"https://{USER_INFO}@127.0.0.1/a.png?{IMAGE_TOKEN}","callback_url":"ftp://a:{USER_INFO}@b/"}}"#
        ),
        format!(r#"{{"image_url":"{image}","callback_url":"gopher://127.0.0.1/?{CALLBACK_TOKEN}"}}"#),
        format!(r#"{{"image_url":"{image}", broken"#),
        format!(r#"{{"image_url":"{image}","callback_url":"{callback}","job_id":"a"}}"#),
    ];
    for body in bodies {
        answers += &ask(&service, "POST", generate, &with_key, &body);
        answers += &ask(&service, "POST", "/api/v1/mesh/batch", &with_key, &body);
        answers += &ask(&service, "POST", "/api/generate_mesh", &with_key, &body);
        answers += &ask(&service, "POST", generate, &format!("Authorization: Basic {WRONG_KEY}\r\n"), &body);
    }
    for part in ["status", "result", "events"].map(|part| format!("{part}?token={WRONG_KEY}")) {
        answers += &ask(
            &service,
            "GET",
            &format!("/api/v1/mesh/b/{part}"),
            &format!("{with_key}X-Api-Key: {WRONG_KEY}\r\n"),
            "",
        );
    }
    answers += &ask(&service, "GET", "/api/v1/mesh/a/status?wait=2", &with_key, "");
    answers += &ask(&service, "POST", "/api/v1/mesh/preview?format=json", &with_key, "no image");
    answers += &ask(&service, "DELETE", "/api/v1/mesh/a", &with_key, "");
    assert!(answers.contains("HTTP/1.1 202") && answers.contains("HTTP/1.1 401") && answers.contains("HTTP/1.1 422"));
    service.signal("-TERM");
    let (_, said) = service.ended();
    assert!(said.lines().count() > 20, "{said}");
    expect_no_secret(&answers);
    expect_no_secret(&said);
}

#[test]
fn no_line_of_text_and_no_answer_holds_a_secret() {
    tour("text");
}

#[test]
fn no_line_of_json_and_no_answer_holds_a_secret() {
    tour("json");
}

#[test]
fn no_complaint_about_a_setting_holds_a_secret() {
    let folder = TempDir::new().unwrap();
    let database = format!("postgres://me:{DATABASE_PASSWORD}@127.0.0.1:9/jobs");
    let (_, said) = refused(
        &folder,
        &[],
        &[
            ("DATABASE_URL", &database),
            ("API_KEYS", &format!("rails {KEY}")),
            ("CALLBACK_SECRETS", &CALLBACK_SECRET[6..]),
            ("PUBLIC_URL", &format!("ftp://me:{USER_INFO}@example.com")),
            ("PORT", "none"),
        ],
    );
    assert!(said.contains("PORT"), "{said}");
    expect_no_secret(&said);
}
