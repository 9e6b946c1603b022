//! Many callers who submit jobs to whichever node answers, at the pace of what the test does to the nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::caller::{Body, client, submit};
use super::nodes::{Fleet, GENERATE};
use super::server::Server;
use super::sources::IMAGE;

/// Callers that submit at the same time.
const SUBMITTERS: usize = 16;

/// Callers that read results at the same time.
const READERS: usize = 16;

/// How long the test waits for callers before it goes on with its outrages.
const LONGEST_REST: Duration = Duration::from_secs(20);

/// What separates the parts of a form.
const BOUNDARY: &str = "parts-of-a-form";

/// Whether a job asks to be called back.
pub(crate) fn has_callback(id: &str) -> bool {
    id.trim_start_matches("job-").parse::<usize>().unwrap().is_multiple_of(4)
}

pub(crate) fn id(number: usize) -> String {
    format!("job-{number}")
}

/// A job, different for each number, so that none is answered from the cache: every fifth is an upload, every third of the
/// others comes from a source that takes its time.
fn body(fleet: &Fleet, number: usize) -> Body {
    let parameters = json!({ "detail_factor": 0.001 + (number % 49_000) as f64 * 1e-6 });
    let callback = has_callback(&id(number)).then(|| fleet.world.callback_url());
    if number.is_multiple_of(5) {
        return form(&id(number), &parameters, callback.as_deref());
    }
    let url = if number.is_multiple_of(3) { fleet.sources.after(150) } else { fleet.world.image_url() };
    Body::from(&json!({ "job_id": id(number), "image_url": url, "parameters": parameters, "callback_url": callback }))
}

/// A job with its image.
fn form(id: &str, parameters: &Value, callback: Option<&str>) -> Body {
    let mut bytes = Vec::new();
    let mut part = |name: &str, content: &[u8]| {
        let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; {name}\r\n\r\n");
        bytes.extend_from_slice(&[head.as_bytes(), content, b"\r\n"].concat());
    };
    part("name=\"job_id\"", id.as_bytes());
    part("name=\"parameters\"", parameters.to_string().as_bytes());
    if let Some(url) = callback {
        part("name=\"callback_url\"", url.as_bytes());
    }
    part("name=\"file\"; filename=\"sprite.png\"", &std::fs::read(IMAGE).unwrap());
    bytes.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Body { kind: "multipart/form-data; boundary=parts-of-a-form", bytes }
}

/// Callers under way.
pub(crate) struct Load {
    jobs: usize,
    submitted: Arc<AtomicUsize>,
    go_on: Arc<AtomicBool>,
    callers: JoinSet<()>,
}

impl Load {
    /// Begins to submit jobs to these nodes. The last tenth waits for [`end`](Self::end), so that the jobs do not end before
    /// what is done to the nodes.
    pub(crate) fn begin(fleet: &Fleet, nodes: &[&Server], jobs: usize) -> Self {
        let urls: Vec<String> = nodes.iter().map(|node| node.url(GENERATE)).collect();
        let (submitted, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut callers = JoinSet::new();
        for first in 0..SUBMITTERS.min(jobs) {
            let mut urls = urls.clone();
            urls.rotate_left(first % nodes.len());
            let bodies: Vec<Body> = (first..jobs).step_by(SUBMITTERS).map(|number| body(fleet, number)).collect();
            let (submitted, go_on) = (Arc::clone(&submitted), Arc::clone(&go_on));
            callers.spawn(async move {
                let client = client();
                for body in bodies {
                    submit(&client, &urls, &body).await;
                    submitted.fetch_add(1, Ordering::Relaxed);
                    while !go_on.load(Ordering::Relaxed) && submitted.load(Ordering::Relaxed) > jobs * 9 / 10 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            });
        }
        Self { jobs, submitted, go_on, callers }
    }

    /// Waits until the callers have come so far, as the test has come with what it does.
    pub(crate) async fn comes_to(&self, part: usize, of: usize) {
        let (enough, began) = (self.jobs * 9 / 10 * part / of, Instant::now());
        while self.submitted.load(Ordering::Relaxed) < enough && began.elapsed() < LONGEST_REST {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets all be submitted.
    pub(crate) async fn end(mut self) {
        self.go_on.store(true, Ordering::Relaxed);
        while let Some(caller) = self.callers.join_next().await {
            caller.unwrap();
        }
        assert_eq!(self.submitted.load(Ordering::Relaxed), self.jobs);
    }
}

/// Fetches the result of each job from one node after the other.
pub(crate) async fn fetch_results(nodes: &[&Server], ids: &[String]) {
    let mut readers = JoinSet::new();
    for first in 0..READERS {
        let urls: Vec<String> = (first..ids.len())
            .step_by(READERS)
            .map(|at| nodes[at % nodes.len()].url(&format!("/api/v1/mesh/{}/result", ids[at])))
            .collect();
        readers.spawn(async move {
            let client = client();
            for url in urls {
                let answer = client.get(&url).send().await.unwrap();
                assert_eq!(answer.status(), 200, "{url}");
                let mesh: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
                assert!(!mesh["triangles"].as_array().unwrap().is_empty(), "{url}");
            }
        });
    }
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
}
