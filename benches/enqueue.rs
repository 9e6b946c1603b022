//! Jobs accepted a second, each durable when it is answered: `cargo bench --bench enqueue -- SUBMITTERS SECONDS FOLDER`.
//! Without arguments: 64 submitters, 3 s, the system's folder for temporary files. Beside it the disk's own speed: one
//! file, appended to and synced by one writer, as no database can commit more often than that.
#![expect(clippy::print_stdout, reason = "its output is a table")]

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use spinelift::job::JobId;
use spinelift::store::sqlite::{Durability, SqliteOptions, SqliteStore};
use spinelift::store::{NewJob, Store, Submitted, Timing};

/// A job as the service stores it: an image's URL, the nine parameters, a callback.
fn new_job(number: usize) -> Result<NewJob, Box<dyn Error + Send + Sync>> {
    let parameters = json!({
        "detail_factor": 0.01, "alpha_threshold": 10, "concave_factor": 0.0, "internal_vertex_density": 0,
        "blur_kernel_size": 1, "binary_threshold": 128, "min_component_area": 100, "max_vertices": 500, "smooth": true
    });
    Ok(NewJob {
        owner: "bench".into(),
        id: JobId::parse(&format!("019ac0de-0000-7000-8000-{number:012}"))?,
        kind: "mesh".into(),
        request: json!({
            "source": { "url": format!("https://assets.example.com/sprites/{number}.png") },
            "parameters": parameters, "warnings": []
        }),
        request_hash: format!("{number:064x}"),
        source_hash: None,
        put_since: Instant::now(),
        callback_url: Some(format!("https://app.example.com/callbacks/{number}")),
        request_id: "request-1".into(),
        idempotency_key: None,
        batch: None,
    })
}

/// Submits one job after another until the time is up; how long each took.
async fn submit(
    store: Arc<SqliteStore>,
    next: Arc<AtomicUsize>,
    until: Instant,
) -> Result<Vec<Duration>, Box<dyn Error + Send + Sync>> {
    let mut took = Vec::new();
    while Instant::now() < until {
        let job = new_job(next.fetch_add(1, Ordering::Relaxed))?;
        let begin = Instant::now();
        let answers = store.submit(vec![job]).await?;
        took.push(begin.elapsed());
        if !matches!(answers[..], [Submitted::Created(_)]) {
            return Err(format!("not created: {answers:?}").into());
        }
    }
    Ok(took)
}

async fn run(
    folder: &Path,
    durability: Durability,
    submitters: usize,
    seconds: u64,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("jobs.db");
    let options = SqliteOptions { path, durability, queue_limit: u64::MAX, timing: Timing::default() };
    let store = SqliteStore::open(options).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let until = begin + Duration::from_secs(seconds);
    let tasks: Vec<_> =
        (0..submitters).map(|_| tokio::spawn(submit(Arc::clone(&store), Arc::clone(&next), until))).collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await??);
    }
    let elapsed = begin.elapsed().as_secs_f64();
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    let name = match durability {
        Durability::Power => "FULL",
        Durability::Process => "NORMAL",
    };
    println!("{name:>9} {:>9.0} {:>9.1} {:>9.1} {:>9}", took.len() as f64 / elapsed, at(50), at(99), took.len());
    store.close().await;
    Ok(())
}

/// 4 KiB appended and synced, a second.
fn syncs(folder: &Path) -> Result<f64, Box<dyn Error + Send + Sync>> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut file = File::create(folder.path().join("log"))?;
    let (begin, mut count) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / begin.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let submitters = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let seconds = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{submitters} submitters; the disk syncs {:.0} times a second", syncs(&folder)?);
    println!("{:>9} {:>9} {:>9} {:>9} {:>9}", "durable", "jobs/s", "p50 ms", "p99 ms", "jobs");
    for durability in [Durability::Power, Durability::Process] {
        run(&folder, durability, submitters, seconds).await?;
    }
    Ok(())
}
