//! Several nodes on one PostgreSQL database: `TEST_POSTGRES_URL=postgres://... cargo bench --bench fleet`.
//!
//! The server named must let databases be made; each run has one of its own. `--parts enqueue,claim,fairness,cost,work` runs
//! those alone, `--backlog N` is how many jobs are queued for claims (100,000), `--seconds N` the time of each step (5).
//! Everything runs on this machine and shares its cores, the server too.
//!
//! Nodes of the first parts are processes that do all that a node does with the database and nothing else, so that the
//! database is what is measured; those of `work` are real services that make meshes.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench reports on standard output and ends at a fault")]

mod database;
mod node;
mod service;

use std::time::Duration;

use database::Database;

struct Options {
    parts: Vec<String>,
    backlog: usize,
    step: Duration,
}

#[tokio::main]
async fn main() {
    if let Some(task) = node::Task::of_this_process() {
        return node::run(task).await;
    }
    let options = options();
    let asked = |part: &str| options.parts.is_empty() || options.parts.iter().any(|asked| asked == part);
    if asked("enqueue") {
        enqueue(&options).await;
    }
    if asked("claim") {
        claim(&options).await;
    }
    if asked("fairness") {
        fairness(&options).await;
    }
    if asked("cost") {
        cost().await;
    }
    if asked("work") {
        service::work(options.backlog.min(20_000), options.step).await;
    }
}

fn options() -> Options {
    let mut options = Options { parts: Vec::new(), backlog: 100_000, step: Duration::from_secs(5) };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("an option has a value");
        match argument.as_str() {
            "--parts" => options.parts = value().split(',').map(str::to_owned).collect(),
            "--backlog" => options.backlog = value().parse().expect("a number"),
            "--seconds" => options.step = Duration::from_secs(value().parse().expect("seconds")),
            // cargo adds `--bench`
            _ => {}
        }
    }
    options
}

/// Durable submissions a second, by one and two nodes.
async fn enqueue(options: &Options) {
    println!("\n## enqueue: jobs with a callback, 64 submitters a node, each waits for its answer\n");
    println!("| nodes | queued before | jobs/s | p50 ms | p99 ms |\n|---|---|---|---|---|");
    for nodes in [1, 2] {
        let database = Database::make().await;
        for _ in 0..2 {
            let before = database.count("jobs").await;
            let report = node::together(&database, nodes, node::Work::Submit, options.step);
            row(&[nodes.to_string(), before.to_string(), report.rate(), report.ms(0.5), report.ms(0.99)]);
        }
    }
}

/// Claims of ten jobs and their ends, from a long queue, by 1, 2 and 4 processes.
async fn claim(options: &Options) {
    for (owners, name) in [(1, "one key"), (1000, "1,000 keys")] {
        println!("\n## claim 10 and finish them, {} jobs queued by {name}\n", options.backlog);
        println!("| processes | jobs/s | claim p50 ms | claim p99 ms | claim max ms |\n|---|---|---|---|---|");
        for processes in [1, 2, 4] {
            let database = Database::make().await;
            database.fill(options.backlog, owners, false).await;
            let report = node::together(&database, processes, node::Work::Finish, options.step);
            row(&[processes.to_string(), report.rate(), report.ms(0.5), report.ms(0.99), report.ms(1.0)]);
        }
    }
}

/// A key with a long queue beside ten keys with a hundred jobs each: how much of the work goes to whom.
async fn fairness(options: &Options) {
    println!("\n## fairness: {} jobs of one key, 100 each of ten others, two processes\n", options.backlog);
    let database = Database::make().await;
    database.fill(options.backlog, 1, false).await;
    database.fill_more("other", 1000, 10).await;
    node::together(&database, 2, node::Work::Finish, options.step);
    let row = database.fairness().await;
    println!("jobs of the others done: {} of 1000; the last of them was number {} to be claimed of all", row.0, row.1);
    println!("in the order of their acceptance it would have been number {}", options.backlog + 1000);
}

/// What a job costs the database, with and without a callback.
async fn cost() {
    println!("\n## cost of a job in the database, from submission to the end of its last callback\n");
    println!(
        "| callbacks | jobs | log KiB | transactions | rows KiB | of them indexes KiB |\n|---|---|---|---|---|---|"
    );
    for with_callback in [false, true] {
        let jobs = 20_000;
        let database = Database::make().await;
        let before = database.usage().await;
        node::together(&database, 1, node::Work::SubmitMany(jobs, with_callback), Duration::from_secs(600));
        node::together(&database, 1, node::Work::FinishAll, Duration::from_secs(600));
        let used = database.usage().await.since(&before);
        let each = |bytes: f64| format!("{:.2}", bytes / 1024.0 / jobs as f64);
        let transactions = format!("{:.2}", used.transactions / jobs as f64);
        let callbacks = if with_callback { "every stage and the end" } else { "none" };
        row(&[callbacks.into(), jobs.to_string(), each(used.log), transactions, each(used.size), each(used.indexes)]);
    }
}

fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}
