//! The outside of a service: a server that has images, and a receiver that remembers callbacks.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::Notify;

use super::caller::SETTLE;

/// What the receiver heard: for each job, the id and body of every callback in the order of arrival.
type Heard = Arc<Mutex<HashMap<String, Vec<(String, Value)>>>>;

/// Lives as long as the test's runtime.
pub(crate) struct World {
    address: SocketAddr,
    heard: Heard,
    slow_asked_for: Arc<Notify>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let heard = Heard::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow_asked_for = Arc::new(Notify::new());
        let told = Arc::clone(&slow_asked_for);
        let slow = move || {
            told.notify_one();
            std::future::pending::<()>()
        };
        let router = Router::new()
            .route("/slow.png", get(slow))
            .route("/sprite.png", get(|| async { std::fs::read("testdata/corpus/noto-dragon-136.png").unwrap() }))
            .route("/callback", post(hear))
            .with_state(Arc::clone(&heard));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, heard, slow_asked_for }
    }

    pub(crate) fn image_url(&self) -> String {
        format!("http://{}/sprite.png", self.address)
    }

    /// An image that never comes.
    pub(crate) fn slow_image_url(&self) -> String {
        format!("http://{}/slow.png", self.address)
    }

    /// Ends once somebody has asked for it.
    pub(crate) async fn slow_image_asked_for(&self) {
        self.slow_asked_for.notified().await;
    }

    pub(crate) fn callback_url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// The different ids of final callbacks that told of a job. More than one of the same id is allowed: a sender that
    /// dies between sending and marking sends again.
    pub(crate) fn final_callbacks(&self, job: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let all = heard.get(job).into_iter().flatten();
        let mut ids: Vec<String> =
            all.filter(|(_, body)| body["status"] != "processing").map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Waits until every one of the jobs has been called back, and each with one final message, however often it came.
    pub(crate) async fn called_back(&self, jobs: impl Iterator<Item = String>, log: impl Fn() -> String) {
        let began = Instant::now();
        for job in jobs {
            while self.final_callbacks(&job).is_empty() {
                assert!(began.elapsed() < SETTLE, "{job} is not called back:\n{}", log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(self.final_callbacks(&job).len(), 1, "{job}");
        }
    }

    /// Id and body of everything that told of a job's end, repeats included.
    pub(crate) fn ends_heard(&self, job: &str) -> Vec<(String, Value)> {
        let heard = self.heard.lock().unwrap();
        let all = heard.get(job).into_iter().flatten();
        all.filter(|(_, body)| body["status"] != "processing").cloned().collect()
    }
}

async fn hear(State(heard): State<Heard>, headers: HeaderMap, body: String) {
    let body: Value = serde_json::from_str(&body).unwrap();
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let job = body["job_id"].as_str().unwrap().to_owned();
    heard.lock().unwrap().entry(job).or_default().push((id, body));
}
