//! Processes that use the database as nodes do, without the work in between.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use spinelift::job::JobId;
use spinelift::store::postgres::{PostgresOptions, PostgresStore, Tables};
use spinelift::store::{
    Attempt, Claim, DeliveryOutcome, JobResult, NewJob, Outcome, Progress, Store, Submitted, Timing, To,
};

use super::database::Database;

/// How a process is told what to do.
const VARIABLE: &str = "SPINELIFT_BENCH_NODE";

/// Submissions at a time of one node.
const SUBMITTERS: usize = 64;

/// Jobs that one claim asks for, as MAX_CONCURRENT_JOBS does.
const CLAIMED: usize = 10;

/// What a sprite's stages say while it is being made.
const STAGES: [u8; 4] = [10, 30, 60, 90];

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Work {
    /// As many as can be.
    Submit,
    /// So many, with callbacks or without.
    SubmitMany(usize, bool),
    /// Claims and ends jobs, as many as can be.
    Finish,
    /// Until there are neither jobs nor callbacks left.
    FinishAll,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Task {
    url: String,
    number: usize,
    work: Work,
    for_how_long: Duration,
}

/// What nodes have done.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Report {
    jobs: usize,
    seconds: f64,
    took_us: Vec<u64>,
}

impl Report {
    pub(crate) fn rate(&self) -> String {
        format!("{:.0}", self.jobs as f64 / self.seconds)
    }

    pub(crate) fn ms(&self, share: f64) -> String {
        let at = ((self.took_us.len().saturating_sub(1)) as f64 * share) as usize;
        self.took_us.get(at).map_or("-".into(), |us| format!("{:.2}", *us as f64 / 1000.0))
    }
}

impl Task {
    pub(crate) fn of_this_process() -> Option<Self> {
        serde_json::from_str(&std::env::var(VARIABLE).ok()?).ok()
    }
}

/// As many processes at once.
pub(crate) fn together(database: &Database, processes: usize, work: Work, for_how_long: Duration) -> Report {
    let this = std::env::current_exe().expect("the bench");
    let started: Vec<_> = (0..processes)
        .map(|number| {
            let task = Task { url: database.url.clone(), number, work, for_how_long };
            let task = serde_json::to_string(&task).expect("a task");
            Command::new(&this).env(VARIABLE, task).stdout(Stdio::piped()).spawn().expect("a process")
        })
        .collect();
    let mut all = Report::default();
    for child in started {
        let output = child.wait_with_output().expect("the process ends");
        let report: Report = serde_json::from_slice(&output.stdout).expect("a report");
        all.jobs += report.jobs;
        all.seconds = all.seconds.max(report.seconds);
        all.took_us.extend(report.took_us);
    }
    all.took_us.sort_unstable();
    all
}

pub(crate) async fn open(url: &str) -> Arc<PostgresStore> {
    let (tables, queue_limit, timing) = (Tables::BringUpToDate, u64::MAX, Timing::default());
    let options = PostgresOptions { url: url.into(), connections: 20, tables, queue_limit, timing };
    PostgresStore::open(options).await.expect("the database opens")
}

/// The whole life of such a process.
pub(crate) async fn run(task: Task) {
    let store = open(&task.url).await;
    let begun = Instant::now();
    let mut report = match task.work {
        Work::Submit => submit(&store, task.number, begun + task.for_how_long, usize::MAX, true).await,
        Work::SubmitMany(most, callback) => {
            submit(&store, task.number, begun + task.for_how_long, most, callback).await
        }
        Work::Finish => finish(&store, task.number, begun + task.for_how_long).await,
        Work::FinishAll => finish_all(&store, task.number).await,
    };
    report.seconds = begun.elapsed().as_secs_f64();
    store.close().await;
    println!("{}", serde_json::to_string(&report).expect("a report"));
}

fn new_job(node: usize, number: usize, with_callback: bool) -> NewJob {
    let parameters = json!({
        "detail_factor": 0.01, "alpha_threshold": 10, "concave_factor": 0.0, "internal_vertex_density": 0,
        "blur_kernel_size": 1, "binary_threshold": 128, "min_component_area": 100, "max_vertices": 500, "smooth": true
    });
    NewJob {
        owner: "bench".into(),
        id: JobId::from_uuid(uuid::Uuid::now_v7()),
        kind: "mesh".into(),
        request: json!({
            "source": { "url": format!("https://assets.example.com/sprites/{node}/{number}.png") },
            "parameters": parameters, "warnings": []
        }),
        request_hash: format!("{number:064x}"),
        source_hash: None,
        put_since: Instant::now(),
        callback_url: with_callback.then(|| format!("https://app.example.com/callbacks/{number}")),
        request_id: "request-1".into(),
        idempotency_key: None,
        batch: None,
    }
}

async fn submit(store: &Arc<PostgresStore>, node: usize, until: Instant, most: usize, with_callback: bool) -> Report {
    let next = Arc::new(AtomicUsize::new(0));
    let submitters = (0..SUBMITTERS).map(|_| {
        let (store, next) = (Arc::clone(store), Arc::clone(&next));
        tokio::spawn(async move {
            let mut took_us = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= most || Instant::now() >= until {
                    return took_us;
                }
                let begun = Instant::now();
                let answers = store.submit(vec![new_job(node, number, with_callback)]).await.expect("accepted");
                assert!(matches!(answers[..], [Submitted::Created(_)]));
                took_us.push(begun.elapsed().as_micros() as u64);
            }
        })
    });
    let mut report = Report::default();
    for submitter in submitters.collect::<Vec<_>>() {
        report.took_us.extend(submitter.await.expect("no panic"));
    }
    report.jobs = report.took_us.len();
    report
}

/// Claims ten and ends them side by side, as a worker does whose meshes take no time.
async fn finish(store: &Arc<PostgresStore>, number: usize, until: Instant) -> Report {
    let (worker, mut report) = (format!("worker-{number}"), Report::default());
    while Instant::now() < until {
        let begun = Instant::now();
        let claims = store.claim(&worker, CLAIMED).await.expect("claims");
        report.took_us.push(begun.elapsed().as_micros() as u64);
        report.jobs += claims.len();
        end_all(store, claims).await;
    }
    report
}

async fn end_all(store: &Arc<PostgresStore>, claims: Vec<Claim>) {
    let ending = claims.into_iter().map(|claim| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let hash = format!("{:064x}", claim.token.job.0);
            let result = JobResult { hash: hash.clone(), bytes: 12_345, source_hash: hash.clone() };
            let news = STAGES.map(|progress| Progress { progress, message: "Tracing the outline".into() });
            store
                .finish(
                    claim.token,
                    news.into(),
                    Outcome::Completed { result, cache_key: hash, put_since: Instant::now() },
                )
                .await
                .expect("ended");
        })
    });
    for job in ending.collect::<Vec<_>>() {
        job.await.expect("no panic");
    }
}

async fn finish_all(store: &Arc<PostgresStore>, number: usize) -> Report {
    let (worker, mut report) = (format!("worker-{number}"), Report::default());
    loop {
        let claims = store.claim(&worker, CLAIMED).await.expect("claims");
        let sent = send(store, &worker).await;
        if claims.is_empty() && sent == 0 && store.next_delivery(To::ANYBODY).await.expect("asked").is_none() {
            return report;
        }
        report.jobs += claims.len();
        end_all(store, claims).await;
    }
}

/// Callbacks to a receiver that answers at once; how many.
async fn send(store: &Arc<PostgresStore>, worker: &str) -> usize {
    let claimed = store.claim_deliveries(worker, 64, To::ANYBODY).await.expect("claims");
    let count = claimed.len();
    let sending = claimed.into_iter().map(|delivery| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let attempt = Attempt { status: Some(200), error: None, took: Duration::from_millis(3) };
            store.delivered(delivery.token, attempt, DeliveryOutcome::Delivered).await.expect("recorded");
        })
    });
    for delivery in sending.collect::<Vec<_>>() {
        delivery.await.expect("no panic");
    }
    count
}
