//! No secret in an answer or a log line, over all that the tests of this program ask: every answer that the client reads
//! and every line that is logged, debug lines included, is looked through for the secrets that the tests plant.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use crate::service::{MESH, Service, eventually};
use crate::wire::Ask;

/// Keys of the services under test, and what callers put into URLs.
pub(crate) const SECRETS: [&str; 6] = [
    "rails-secret",
    "artist-secret",
    "d3Jvbmctc2VjcmV0LW9mLWNhbGxiYWNrcw",
    "canary-in-userinfo",
    "canary-in-image-query",
    "canary-in-callback-query",
];

/// Lines with a secret in them.
static FOUND: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How many lines were looked through.
static LINES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        LINES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if SECRETS.iter().any(|secret| line.contains(secret)) {
            FOUND.lock().unwrap_or_else(PoisonError::into_inner).push(line.into_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

/// From now on every line of ours is looked through, down to the most detailed, and of others as DEBUG has them.
pub(crate) fn watch_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let targets = tracing_subscriber::EnvFilter::new("info,spinelift=trace");
        let lines = tracing_subscriber::fmt().with_env_filter(targets).with_writer(Lines).finish();
        tracing::subscriber::set_global_default(lines).unwrap();
    });
}

#[track_caller]
pub(crate) fn expect_none_in(answer: &str) {
    for secret in SECRETS {
        assert!(!answer.contains(secret), "{secret} is in {answer}");
    }
    let found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(found.is_empty(), "logged: {found:?}");
}

#[tokio::test]
async fn secrets_in_requests_stay_there() {
    let service = Service::with(|config| {
        config.access.api_keys = vec![spinelift::config::ApiKey { name: "rails".into(), secret: SECRETS[0].into() }];
    })
    .await;
    let ask = |ask: Ask| service.send(ask.header("authorization", format!("Bearer {}", SECRETS[0])));
    for path in ["/health", "/ready", "/metrics", "/", "/openapi.json", "/api/v1/mesh/jobs"] {
        ask(Ask::get(path)).await;
        ask(Ask::get(format!("{path}?key={}", SECRETS[1]))).await;
    }
    // A wrong key, and one where it does not belong.
    service.send(Ask::get(format!("{MESH}/jobs")).header("authorization", format!("Bearer {}", SECRETS[1]))).await;
    service.send(Ask::get(format!("{MESH}/{}/status", SECRETS[1])).header("x-api-key", SECRETS[1])).await;
    let generate = async |body: serde_json::Value| ask(Ask::post(format!("{MESH}/generate")).json(&body)).await;
    let image = format!("http://127.0.0.1:9/a.png?token={}", SECRETS[4]);
    let callback = format!("http://127.0.0.1:9/done?token={}", SECRETS[5]);
    generate(serde_json::json!({ "image_url": format!("http://me:{}@127.0.0.1/a.png", SECRETS[3]) })).await;
    generate(serde_json::json!({ "image_url": image, "callback_url": format!("http://me:{}@127.0.0.1/", SECRETS[3]) }))
        .await;
    generate(serde_json::json!({ "image_url": image, "callback_url": callback, "job_id": "a" })).await;
    for broken in [format!("{{\"image_url\": \"{image}"), format!("{{\"a\": {}}}", SECRETS[5])] {
        ask(Ask::post(format!("{MESH}/generate")).text(broken)).await;
    }
    // The image cannot be fetched and the receiver not be reached: both are told of in the log.
    eventually("the fetch was tried", async || {
        ask(Ask::get(format!("{MESH}/a/status"))).await;
        service.metric("spinelift_jobs_submitted_total{outcome=\"new\"}") >= 0.0
            && LINES.load(std::sync::atomic::Ordering::Relaxed) > 20
    })
    .await;
    ask(Ask::new("DELETE", format!("{MESH}/a"))).await;
    ask(Ask::get(format!("{MESH}/a/events"))).await;
    ask(Ask::get(format!("{MESH}/jobs"))).await;
    let callbacks = ask(Ask::get(format!("{MESH}/a/callbacks"))).await.json();
    assert_eq!(callbacks["callbacks"][0]["url"], "http://127.0.0.1:9/done?...");
    let sequence = &callbacks["callbacks"][0]["sequence"];
    ask(Ask::post(format!("{MESH}/a/callbacks/msg_a_{sequence}/redeliver"))).await;
}
