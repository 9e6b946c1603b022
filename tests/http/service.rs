//! A whole service on a port of its own: real database, real storage, real workers, and a client that trusts nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spinelift::app::App;
use spinelift::config::{ApiKey, Config, Durability};
use spinelift::http;
use spinelift::http::server::{Limits, Server, serve};
use spinelift::worker::{Workers, start};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::contract::Contract;
use crate::secrets::watch_log;
use crate::wire::{Answer, Ask, PATIENCE};

pub(crate) const MESH: &str = "/api/v1/mesh";

/// A file of the corpus.
pub(crate) fn image(name: &str) -> Vec<u8> {
    std::fs::read(format!("testdata/corpus/{name}")).unwrap()
}

/// A small image.
pub(crate) fn star() -> Vec<u8> {
    image("tiny-star-12.png")
}

/// The service.
pub(crate) struct Service {
    pub(crate) app: App,
    pub(crate) address: SocketAddr,
    pub(crate) contract: Arc<Contract>,
    pub(crate) folder: TempDir,
    workers: Option<Workers>,
    _stop: oneshot::Sender<()>,
}

impl Service {
    /// As a developer has it.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut service = Self::without_workers(change).await;
        service.work();
        service
    }

    /// Accepts jobs and does none.
    pub(crate) async fn without_workers(change: impl FnOnce(&mut Config)) -> Self {
        watch_log();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { dev: true, ..Config::default() };
        config.database.url = format!("sqlite:{}", folder.path().join("jobs.db").display());
        config.database.durability = Durability::Process;
        config.storage.path = folder.path().join("blobs");
        change(&mut config);
        let app = App::open(config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = Server {
            router: http::router(app.clone()),
            limits: Limits::new(&app.config.http),
            metrics: Arc::clone(&app.metrics),
            busy: http::too_many_connections,
        };
        tokio::spawn(serve(listener, server, async {
            let _ = stopped.await;
        }));
        let document = Ask::get("/openapi.json").send(address).await.expect(200).json();
        Self { app, address, contract: Arc::new(Contract::new(document)), folder, workers: None, _stop: stop }
    }

    /// With two callers.
    pub(crate) async fn with_keys() -> Self {
        Self::with(|config| {
            let key = |name: &str, secret: &str| ApiKey { name: name.into(), secret: secret.into() };
            config.access.api_keys = vec![key("rails", "rails-secret"), key("artist", "artist-secret")];
        })
        .await
    }

    /// The same store behind another listener, with the parts as they are now; for as long as the test's runtime.
    pub(crate) async fn serve_again(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = http::router(self.app.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    /// Begins to do jobs.
    pub(crate) fn work(&mut self) {
        self.workers = Some(start(&self.app));
    }

    /// Asks, and holds the answer against the document.
    #[track_caller]
    pub(crate) fn send(&self, ask: Ask) -> impl Future<Output = Answer> + 'static {
        let (address, contract) = (self.address, Arc::clone(&self.contract));
        async move {
            let answer = ask.send(address).await;
            contract.check(&ask, &answer);
            answer
        }
    }

    pub(crate) async fn get(&self, path: impl Into<String>) -> Answer {
        self.send(Ask::get(path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Ask::post(path).json(body)).await
    }

    /// Submits an image under an id.
    pub(crate) async fn upload(&self, id: &str, image: &[u8]) -> Answer {
        let parts = [("file", Some("a.png"), image), ("job_id", None, id.as_bytes())];
        self.send(Ask::post(format!("{MESH}/generate")).form(&parts)).await
    }

    /// The job's status once it has ended.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        let began = Instant::now();
        loop {
            let status = self.get(format!("{MESH}/{id}/status?wait=5")).await.expect(200).json();
            if status["status"] != "processing" {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "still {status}");
        }
    }

    /// A job that is done, for what can be asked of one.
    pub(crate) async fn completed(&self, id: &str) -> Value {
        self.upload(id, &star()).await.expect(202);
        let status = self.ended(id).await;
        assert_eq!(status["status"], "completed", "{status}");
        status
    }

    /// The value of a metric, with its labels as they are written.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.app.metrics.encode().unwrap();
        let mut values = text.lines().filter_map(|line| line.rsplit_once(' '));
        values.find(|(found, _)| *found == name).map_or(0.0, |(_, value)| value.parse().unwrap())
    }
}

/// A server on this machine that answers every request with these bytes.
pub(crate) async fn source(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/image.png", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(move || std::future::ready(bytes.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A body that names an image nobody will fetch.
pub(crate) fn request(id: &str) -> Value {
    json!({ "image_url": "http://127.0.0.1:9/none.png", "job_id": id })
}

/// Until something holds.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
