//! A service without its face: a store and a folder of its own, and workers that do what is submitted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use spinelift::app::App;
use spinelift::blob::{Blobs, sha256};
use spinelift::config::Config;
use spinelift::job::{Event, ImageSource, JobId, JobState, MeshRequest};
use spinelift::mesh::MeshParameters;
use spinelift::store::sqlite::{Durability, SqliteOptions, SqliteStore};
use spinelift::store::{Job, NewJob, Store, Submitted, Timing};
use spinelift::worker::{Pace, Workers, start_at};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A lease that tests can wait for.
const LEASE: Duration = Duration::from_millis(1200);

/// A small image.
pub(crate) fn image() -> Bytes {
    std::fs::read("testdata/corpus/limbs-octopus-512.png").unwrap().into()
}

/// One that takes the engine a while.
pub(crate) fn large_image() -> Bytes {
    std::fs::read("testdata/corpus/large-trex-4096.png").unwrap().into()
}

/// The parts, with everything on this machine.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) pace: Pace,
    pub(crate) folder: TempDir,
    workers: Option<Workers>,
}

impl World {
    /// Nothing runs yet.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::leasing(LEASE, change).await
    }

    /// The same with another lease, for what takes longer than a test's usual one.
    pub(crate) async fn leasing(lease: Duration, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { dev: true, ..Config::default() };
        config.database.url = format!("sqlite:{}", folder.path().join("settings.db").display());
        config.storage.path = folder.path().join("blobs");
        change(&mut config);
        let mut app = App::open(config).await.unwrap();
        let pace = Pace { lease, reap: Duration::from_millis(200), ..Pace::default() };
        app.store = SqliteStore::open(SqliteOptions {
            path: folder.path().join("jobs.db"),
            durability: Durability::Process,
            queue_limit: 10_000,
            timing: Timing { lease, death_backoff: Duration::from_millis(100) },
        })
        .await
        .unwrap();
        Self { app, pace, folder, workers: None }
    }

    /// Begins to work.
    pub(crate) fn start(&mut self) {
        self.workers = Some(start_at(&self.app, self.pace));
    }

    /// Ends as a polite stop does.
    pub(crate) async fn stop(&mut self, drain: Duration) {
        self.workers.take().unwrap().stop(drain).await;
    }

    /// Ends as a crash does.
    pub(crate) fn crash(&mut self) {
        drop(self.workers.take());
    }

    /// A job for an uploaded image.
    pub(crate) async fn upload(&self, id: &str, image: Bytes) -> NewJob {
        let hash = self.app.blobs.put(image).await.unwrap();
        NewJob { source_hash: Some(hash.clone()), ..job(id, ImageSource::Blob(hash)) }
    }

    /// Accepts a job.
    pub(crate) async fn submit(&self, job: NewJob) -> Job {
        match self.app.store.submit(vec![job]).await.unwrap().remove(0) {
            Submitted::Created(job) => job,
            other => panic!("not accepted: {other:?}"),
        }
    }

    /// The job as it is now.
    pub(crate) async fn job(&self, id: &str) -> Job {
        self.app.store.job("", &JobId::parse(id).unwrap()).await.unwrap().unwrap()
    }

    /// The job once it is as wanted.
    pub(crate) async fn job_once(&self, id: &str, wanted: impl Fn(&Job) -> bool) -> Job {
        let began = Instant::now();
        loop {
            let job = self.job(id).await;
            if wanted(&job) {
                return job;
            }
            assert!(began.elapsed() < PATIENCE, "still {job:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The job once it has ended.
    pub(crate) async fn ended(&self, id: &str) -> Job {
        self.job_once(id, |job| job.state.is_final()).await
    }

    /// Submits, and waits for the end.
    pub(crate) async fn run(&self, job: NewJob) -> Job {
        let id = job.id.clone();
        self.submit(job).await;
        self.ended(id.as_str()).await
    }

    /// Lets jobs that wait start so much later.
    pub(crate) async fn put_jobs_off(&self, wait: Duration) {
        let file = SqliteConnectOptions::new().filename(self.folder.path().join("jobs.db"));
        let mut database = file.connect().await.unwrap();
        let sql = "UPDATE jobs SET run_after_ms = run_after_ms + $1 WHERE state = 'queued'";
        sqlx::query(sql).bind(i64::try_from(wait.as_millis()).unwrap()).execute(&mut database).await.unwrap();
    }

    /// Everything that was told of a job.
    pub(crate) async fn events(&self, job: &Job) -> Vec<Event> {
        self.app.store.events(job.key, 0, 1000).await.unwrap()
    }

    /// The value of a metric, with its labels as they are written.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.app.metrics.encode().unwrap();
        let values: HashMap<&str, &str> = text.lines().filter_map(|line| line.rsplit_once(' ')).collect();
        values.get(name).map_or(0.0, |value| value.parse().unwrap())
    }

    /// Once a metric has come to a value.
    pub(crate) async fn metric_at_least(&self, name: &str, value: f64) {
        let began = Instant::now();
        while self.metric(name) < value {
            assert!(began.elapsed() < PATIENCE, "{name} is {}", self.metric(name));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A job for an image at a URL.
pub(crate) fn fetched(id: &str, url: &str) -> NewJob {
    job(id, ImageSource::Url(url.into()))
}

/// A job of which its caller hears.
pub(crate) fn with_callback(job: NewJob, url: &str) -> NewJob {
    NewJob { callback_url: Some(url.into()), ..job }
}

fn job(id: &str, source: ImageSource) -> NewJob {
    let request = MeshRequest { source, parameters: MeshParameters::default(), warnings: vec![] }.to_json();
    NewJob {
        owner: String::new(),
        id: JobId::parse(id).unwrap(),
        kind: "mesh".into(),
        request_hash: sha256(request.to_string().as_bytes()),
        request,
        source_hash: None,
        put_since: Instant::now(),
        callback_url: None,
        request_id: "request-1".into(),
        idempotency_key: None,
        batch: None,
    }
}

/// The result as it is stored.
pub(crate) async fn result(blobs: &Blobs, job: &Job) -> Value {
    assert_eq!(job.state, JobState::Completed, "{:?}", job.error);
    let bytes = blobs.get(&job.result.as_ref().unwrap().hash).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// What a test changes about the store, under the same roof.
pub(crate) fn store_of(world: &World) -> Arc<dyn Store> {
    Arc::clone(&world.app.store)
}
