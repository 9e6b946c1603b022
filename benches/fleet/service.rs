//! Real services that make meshes of one database's jobs.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use spinelift::blob::{Blobs, sha256};
use spinelift::job::{ImageSource, JobId, MeshRequest};
use spinelift::mesh::MeshParameters;
use spinelift::store::{NewJob, Store};

use super::database::Database;
use super::node::open;

/// A real sprite of 512 x 512 px.
const SPRITE: &str = "testdata/corpus/limbs-octopus-512.png";

/// Sprites made a second by 1, 2 and 4 worker processes, each job with parameters of its own, so that none is in the cache.
pub(crate) async fn work(jobs: usize, step: Duration) {
    println!("\n## worker processes: sprites of 512 px to meshes, {jobs} queued\n");
    println!("| processes | meshes/s | claimed, not done |\n|---|---|---|");
    for processes in [1, 2, 4] {
        let (database, folder) = (Database::make().await, tempfile::tempdir().expect("a folder"));
        let blobs = Blobs::folder(folder.path()).expect("storage");
        let source = blobs.put(std::fs::read(SPRITE).expect("the sprite").into()).await.expect("kept");
        let store = open(&database.url).await;
        for part in (0..jobs).collect::<Vec<_>>().chunks(1000) {
            store.submit(part.iter().map(|number| job(*number, &source)).collect()).await.expect("accepted");
        }
        let workers: Vec<Worker> = (0..processes).map(|_| Worker::start(&database.url, folder.path())).collect();
        let before = store.queue().await.expect("the queue").queued;
        tokio::time::sleep(step).await;
        let after = store.queue().await.expect("the queue");
        let rate = (before - after.queued) as f64 / step.as_secs_f64();
        println!("| {processes} | {rate:.0} | {} |", after.running);
        drop(workers);
        store.close().await;
    }
}

fn job(number: usize, source: &str) -> NewJob {
    let parameters = MeshParameters { detail_factor: 0.005 + number as f64 * 1e-7, ..MeshParameters::default() };
    let request = MeshRequest { source: ImageSource::Blob(source.into()), parameters, warnings: Vec::new() };
    let request = request.to_json();
    NewJob {
        owner: String::new(),
        id: JobId::from_uuid(uuid::Uuid::now_v7()),
        kind: "mesh".into(),
        request_hash: sha256(request.to_string().as_bytes()),
        request,
        source_hash: Some(source.into()),
        put_since: Instant::now(),
        callback_url: None,
        request_id: "request-1".into(),
        idempotency_key: None,
        batch: None,
    }
}

/// `spinelift serve --role worker`.
struct Worker(Child);

impl Worker {
    fn start(database: &str, storage: &std::path::Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = listener.expect("a port is free");
        let mut command = Command::new(env!("CARGO_BIN_EXE_spinelift"));
        command.args(["serve", "--dev", "--role", "worker"]).current_dir(storage);
        command.env("PORT", address.port().to_string()).env("LOG_FORMAT", "json");
        command.env("DATABASE_URL", database).env("STORAGE_PATH", storage);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a worker");
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the worker does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self(child)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
