//! Nodes of one database: processes that share it, a folder of results, and an outside world.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::audit;
use super::caller::{SETTLE, client};
use super::ledger::{ENTRIES, Entry};
use super::postgres_database::Postgres;
use super::server::Server;
use super::sources::Sources;
use super::world::World;

pub(crate) const GENERATE: &str = "/api/v1/mesh/generate";

/// Connections of each node, so that many tests fit on a server of a hundred.
const CONNECTIONS: &str = "6";

/// What nodes share.
pub(crate) struct Fleet {
    /// Its own, or the test's server; dropped with the tests that are over.
    _database: Option<Postgres>,
    url: String,
    folder: TempDir,
    pub(crate) world: World,
    pub(crate) sources: Sources,
}

impl Fleet {
    /// On a database of its own; `None` where there is no server.
    pub(crate) async fn new() -> Option<Self> {
        let database = Postgres::new().await?;
        let url = database.url();
        Some(Self { _database: Some(database), ..Self::at(&url).await })
    }

    /// On a database that somebody else has made.
    pub(crate) async fn at(url: &str) -> Self {
        let (world, sources) = (World::start().await, Sources::start().await);
        Self { _database: None, url: url.to_owned(), folder: tempfile::tempdir().unwrap(), world, sources }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where the database's server is.
    pub(crate) fn server(&self) -> SocketAddr {
        url::Url::parse(&self.url).unwrap().socket_addrs(|| Some(5432)).unwrap()[0]
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A node, not started yet.
    pub(crate) fn prepared(&self, role: &'static str, settings: &[(&str, &str)]) -> Server {
        let own = tempfile::tempdir_in(self.folder()).unwrap().keep();
        let storage = self.folder().join("blobs").display().to_string();
        let shared = [("DATABASE_URL", self.url()), ("STORAGE_PATH", &storage), ("DATABASE_POOL", CONNECTIONS)];
        let mut node = Server::prepared(&own, &[&shared[..], &[("CPU_THREADS", "2")]].concat());
        settings.iter().for_each(|(name, value)| node.set(name, value));
        node.role = role;
        node
    }

    /// A node that answers.
    pub(crate) async fn node(&self, role: &'static str) -> Server {
        self.node_with(role, &[]).await
    }

    /// A node with settings of its own.
    pub(crate) async fn node_with(&self, role: &'static str, settings: &[(&str, &str)]) -> Server {
        let mut node = self.prepared(role, settings);
        node.again().await;
        node
    }

    /// A connection beside the nodes'.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// A number that the database says.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.connect().await).await.unwrap()
    }

    /// The request of a job.
    pub(crate) fn request(&self, id: &str, image_url: &str, callback: bool) -> Value {
        json!({ "job_id": id, "image_url": image_url, "callback_url": callback.then(|| self.world.callback_url()) })
    }

    /// Waits until every job has ended.
    pub(crate) async fn settled(&self, nodes: &[&Server]) {
        let mut db = self.connect().await;
        let began = Instant::now();
        let open = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')";
        loop {
            let open: i64 = sqlx::query_scalar(open).fetch_one(&mut db).await.unwrap();
            if open == 0 {
                return;
            }
            assert!(began.elapsed() < SETTLE, "{open} jobs do not end:\n{}", logs(nodes));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every job as the database has it.
    pub(crate) async fn entries(&self) -> Vec<Entry> {
        sqlx::query_as(ENTRIES).fetch_all(&mut self.connect().await).await.unwrap()
    }

    /// That so many jobs were completed, each once, called back once where it asked for that, and written only by who held
    /// it. How they were taken over.
    pub(crate) async fn expect_completed_once(&self, jobs: usize, has_callback: impl Fn(&str) -> bool) {
        let entries = self.entries().await;
        assert_eq!(entries.len(), jobs, "an accepted job is gone");
        for entry in &entries {
            assert_eq!((entry.state.as_str(), entry.final_events), ("completed", 1), "{entry:?}");
            assert_eq!(entry.final_deliveries, i64::from(has_callback(&entry.id)), "{entry:?}");
            assert!(!entry.sequences_have_gaps, "{entry:?}");
        }
        audit::expect_no_stale_end(self).await;
    }
}

/// Posts a job to a node.
pub(crate) async fn post(node: &Server, request: &Value) -> reqwest::Result<reqwest::Response> {
    let post = client().post(node.url(GENERATE)).header("content-type", "application/json");
    post.body(request.to_string()).send().await
}

/// The status of a job.
pub(crate) async fn status(node: &Server, id: &str) -> Value {
    node.get(&format!("/api/v1/mesh/{id}/status")).await.unwrap()
}

/// A counter of a node; nothing if it cannot be asked.
pub(crate) async fn metric(node: &Server, name: &str) -> Option<u64> {
    let text = client().get(node.url("/metrics")).send().await.ok()?.text().await.ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// The ends of what nodes have said.
pub(crate) fn logs(nodes: &[&Server]) -> String {
    nodes.iter().map(|node| format!("--- {}\n{}", node.role, node.log())).collect::<Vec<_>>().join("\n")
}
