//! Callers who know what they do: they submit again, under the same id, until they have an answer.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;

/// How long a job may take to end once the service runs undisturbed. Three deaths of a job wait for no longer than that.
pub(crate) const SETTLE: Duration = Duration::from_secs(120);

/// One client for a test's runtime each would do, but connections must not outlive a server that was killed.
pub(crate) fn client() -> reqwest::Client {
    static READY: LazyLock<()> = LazyLock::new(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    LazyLock::force(&READY);
    let builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(30));
    builder.build().unwrap()
}

/// The body of a submission.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl From<&serde_json::Value> for Body {
    fn from(request: &serde_json::Value) -> Self {
        Self { kind: "application/json", bytes: request.to_string().into_bytes() }
    }
}

/// Submits, to one URL after the other, until one says that it has the job. Asking again after a broken connection is what
/// ids are for.
pub(crate) async fn submit(client: &reqwest::Client, urls: &[String], body: &Body) {
    let began = Instant::now();
    for url in urls.iter().cycle() {
        let answer = client.post(url).header(CONTENT_TYPE, body.kind).body(body.bytes.clone()).send().await;
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(200 | 202) => return,
            Ok(503) | Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            Ok(status) => panic!("a submission was answered {status}"),
        }
        assert!(began.elapsed() < SETTLE, "a submission is not accepted");
    }
}

/// A number from the environment.
pub(crate) fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// An xorshift: which moments are chosen need not be good, only various, and printed for a repeat.
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
