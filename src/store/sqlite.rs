//! Jobs in one SQLite file: one writer with group commit, readers beside it.
//!
//! Single commits to disk are slow, some hundred a second, so commands that arrive while one commit is under way share
//! the next. One process has the file at a time, held by a lock file beside it; what that process held before it died is
//! taken back at its next start.

mod admin;
mod deliveries;
mod delivery_records;
mod file;
mod keys;
mod lease;
mod lock;
mod nodes;
mod outcome;
mod reads;
mod rows;
mod submit;
mod sweeping;
mod upkeep;
mod writer;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};
use tokio::runtime::Handle;

use self::file::Reach;
pub use self::file::SqliteFile;
use self::lock::{BETWEEN_TRIES, InstanceLock, make_file};
use self::writer::{Sender, Writer};
use super::{
    Attempt, BatchCounts, Beat, Cancel, Claim, Delivery, DeliveryOutcome, DeliveryRecord, DeliveryToken, Filter, Held,
    Job, JobKey, JobResult, NewJob, Node, Outcome, Progress, Queue, Reaped, Redelivery, Result, Retention, Signals,
    Store, StoreError, Submitted, SweepStore, Timing, To, Token,
};
use crate::job::{Event, JobId};

/// Connections that read. Reads take microseconds, so more would only keep more threads.
const READERS: u32 = 4;

/// How long a statement waits for a lock that a foreign tool holds on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Log pages, of 4 KiB, after which the writer moves them to the database: 16 MiB. SQLite's 1,000 would interrupt a
/// burst of submissions four times as often; more makes reads of the log slower.
const CHECKPOINT_PAGES: &str = "4000";

/// The log is cut back to this after a checkpoint, bytes, so that one large transaction does not keep it large.
const LONGEST_IDLE_LOG: &str = "67108864";

/// The writer's cache, negative for KiB: 16 MiB hold the pages that a queue at its limit works on.
const WRITER_CACHE: &str = "-16384";

/// How often a file is opened that another may be looking at.
const OPENING_TRIES: u32 = 5;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// SQLite's code for a file that is no database.
const NOT_A_DATABASE: &str = "26";

/// What an accepted job survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Loss of power: `synchronous = FULL`.
    #[default]
    Power,
    /// Death of the process: `synchronous = NORMAL`.
    Process,
}

/// How a SQLite store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The file; it and its folder are made if need be.
    pub path: PathBuf,
    /// What an accepted job survives.
    pub durability: Durability,
    /// Jobs that may be queued.
    pub queue_limit: u64,
    /// The protocol's waits.
    pub timing: Timing,
}

/// Jobs in one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    signals: Arc<Signals>,
    writer: Sender,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Locks the file for this process, makes or migrates the database, and starts its writer on the current runtime.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process has it; [`StoreError::File`] if the folder or file cannot be used;
    /// [`StoreError::Migration`] if a newer version of this program has written it.
    pub async fn open(options: SqliteOptions) -> Result<Arc<Self>> {
        let SqliteOptions { path, durability, queue_limit, timing } = options;
        let connect = connect_options(&path, durability);
        let writing = connect.clone().pragma("cache_size", WRITER_CACHE);
        let (file, to_open, runtime) = (path.clone(), writing.clone(), Handle::current());
        // Locking blocks, and the future of a migration cannot move between threads.
        let opening = tokio::task::spawn_blocking(move || {
            let lock = InstanceLock::take_patiently(&file)?;
            make_file(&file);
            Ok::<_, StoreError>((lock, runtime.block_on(open_database(&to_open, &file))?))
        });
        let (lock, db) = opening.await.map_err(|error| StoreError::File(io::Error::other(error)))??;
        let signals = Arc::new(Signals::default());
        let writer = Writer::start(writing, db, lock, Arc::clone(&signals), (queue_limit, timing)).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            // A reader is a thread of this process: asking each time whether it still lives doubles the cost of a read.
            .test_before_acquire(false)
            .connect_lazy_with(connect.create_if_missing(false).read_only(true));
        Ok(Arc::new(Self { path, signals, writer, readers }))
    }
}

fn connect_options(path: &Path, durability: Durability) -> SqliteConnectOptions {
    open_options(path, durability).create_if_missing(true).journal_mode(SqliteJournalMode::Wal)
}

/// For a file that is there and stays as it is.
fn open_options(path: &Path, durability: Durability) -> SqliteConnectOptions {
    let synchronous = match durability {
        Durability::Power => SqliteSynchronous::Full,
        Durability::Process => SqliteSynchronous::Normal,
    };
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", LONGEST_IDLE_LOG)
        .disable_statement_logging()
}

/// Opens the file for writing if it is there and up to date, and leaves it alone otherwise: a service of another version
/// may be at work on it.
async fn open_current(path: &Path) -> Result<Option<SqliteConnection>> {
    if !path.exists() {
        return Ok(None);
    }
    let refused = |error| unusable(error, path);
    let mut db = open_options(path, Durability::Power).connect().await.map_err(refused)?;
    let made = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations')";
    let is_made: bool = sqlx::query_scalar(made).fetch_one(&mut db).await.map_err(refused)?;
    let applied: Vec<i64> = if is_made {
        let versions = "SELECT version FROM _sqlx_migrations WHERE success";
        sqlx::query_scalar(versions).fetch_all(&mut db).await.map_err(refused)?
    } else {
        Vec::new()
    };
    if let Some(newer) = applied.iter().find(|version| !MIGRATIONS.version_exists(**version)) {
        return Err(MigrateError::VersionMissing(*newer).into());
    }
    if MIGRATIONS.iter().all(|migration| applied.contains(&migration.version)) {
        return Ok(Some(db));
    }
    db.close().await?;
    Ok(None)
}

/// Opens the file for writing, makes it and brings it up to date if need be. Only for who has the lock.
///
/// Others may look at the file, so that it is busy for a moment.
async fn open_database(connect: &SqliteConnectOptions, path: &Path) -> Result<SqliteConnection> {
    let mut opened = try_database(connect, path).await;
    for _ in 1..OPENING_TRIES {
        if opened.is_ok() {
            break;
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
        opened = try_database(connect, path).await;
    }
    opened
}

async fn try_database(connect: &SqliteConnectOptions, path: &Path) -> Result<SqliteConnection> {
    let mut db = connect.connect().await.map_err(|error| unusable(error, path))?;
    if let Err(error) = MIGRATIONS.run(&mut db).await {
        drop(db.close().await);
        return Err(error.into());
    }
    Ok(db)
}

/// The errors that an operator can do something about say what.
fn unusable(error: sqlx::Error, path: &Path) -> StoreError {
    let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    let shown = path.display();
    match code.as_deref() {
        Some(NOT_A_DATABASE) => StoreError::File(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{shown} is not an SQLite database; move it away, or set another DATABASE_URL"),
        )),
        Some(_) => StoreError::File(io::Error::other(format!(
            "{shown} cannot be opened or written; check the file's and the folder's rights and the disk ({error})"
        ))),
        None => StoreError::Database(error),
    }
}

/// A pool that was closed is a store that was closed.
fn read<T>(outcome: Result<T>) -> Result<T> {
    match outcome {
        Err(StoreError::Database(sqlx::Error::PoolClosed)) => Err(StoreError::Closed),
        outcome => outcome,
    }
}

#[async_trait]
impl SweepStore for SqliteStore {
    async fn doom(&self, hashes: &[String]) -> Result<Vec<String>> {
        self.writer.write(sweeping::Doom(hashes.to_vec())).await
    }

    fn transactions_last(&self) -> Duration {
        // With one writer they come one after another.
        Duration::ZERO
    }

    async fn condemned(&self, hashes: &[String]) -> Result<HashSet<String>> {
        Ok(self.writer.write(sweeping::Condemned(hashes.to_vec())).await?.into_iter().collect())
    }

    async fn spare(&self, hashes: &[String]) -> Result<()> {
        self.writer.write(sweeping::Decide::Spared(hashes.to_vec())).await
    }

    async fn gone(&self, hashes: &[String]) -> Result<()> {
        self.writer.write(sweeping::Decide::Gone(hashes.to_vec())).await
    }

    async fn identity(&self) -> Result<String> {
        read(reads::identity(&self.readers).await)
    }

    async fn take_turn(&self, duty: &str, for_how_long: Duration) -> Result<bool> {
        self.writer.write(sweeping::TakeTurn { duty: duty.into(), for_how_long }).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    async fn submit(&self, jobs: Vec<NewJob>) -> Result<Vec<Submitted>> {
        self.writer.write(submit::Submit(jobs)).await
    }

    async fn job(&self, owner: &str, id: &JobId) -> Result<Option<Job>> {
        read(reads::job(&self.readers, owner, id).await)
    }

    async fn events(&self, job: JobKey, after: u64, limit: usize) -> Result<Vec<Event>> {
        read(reads::events(&self.readers, job, after, limit).await)
    }

    async fn list(&self, owner: &str, filter: &Filter) -> Result<Vec<Job>> {
        read(reads::list(&self.readers, owner, filter).await)
    }

    async fn batch(&self, owner: &str, batch: &str) -> Result<Option<BatchCounts>> {
        read(reads::batch(&self.readers, owner, batch).await)
    }

    async fn cancel(&self, owner: &str, id: &JobId) -> Result<Option<Cancel>> {
        self.writer.write(outcome::CancelJob { owner: owner.into(), id: id.clone() }).await
    }

    async fn queue(&self) -> Result<Queue> {
        read(reads::queue(&self.readers).await)
    }

    async fn claim(&self, worker: &str, most: usize) -> Result<Vec<Claim>> {
        self.writer.write(lease::ClaimJobs { worker: worker.into(), most }).await
    }

    async fn heartbeat(&self, tokens: &[Token]) -> Result<Vec<Beat>> {
        self.writer.write(lease::Heartbeat(tokens.to_vec())).await
    }

    async fn progress(&self, token: Token, news: Vec<Progress>) -> Result<Held> {
        self.writer.write(outcome::Tell { token, news }).await
    }

    async fn finish(&self, token: Token, news: Vec<Progress>, outcome: Outcome) -> Result<Held> {
        self.writer.write(outcome::Finish { token, news, outcome }).await
    }

    async fn release(&self, tokens: &[Token]) -> Result<()> {
        self.writer.write(lease::Release(tokens.to_vec())).await
    }

    async fn reap(&self) -> Result<Reaped> {
        self.writer.write(lease::TakeBack::Expired).await
    }

    async fn recover(&self) -> Result<Reaped> {
        self.writer.write(lease::TakeBack::All).await
    }

    async fn cached(&self, cache_key: &str) -> Result<Option<JobResult>> {
        self.writer.write(upkeep::UseCached(cache_key.into())).await
    }

    async fn claim_deliveries(&self, worker: &str, most: usize, to: To<'_>) -> Result<Vec<Delivery>> {
        let (worker, to) = (worker.into(), reads::Listed::new(to)?);
        self.writer.write(deliveries::ClaimDeliveries { worker, most, to }).await
    }

    async fn delivered(&self, token: DeliveryToken, attempt: Attempt, outcome: DeliveryOutcome) -> Result<Held> {
        self.writer.write(deliveries::Delivered { token, attempt, outcome }).await
    }

    async fn put_off(&self, token: DeliveryToken, after: Duration) -> Result<Held> {
        self.writer.write(deliveries::PutOff { token, after }).await
    }

    async fn deliveries(&self, job: JobKey, before: u64, limit: usize) -> Result<Vec<DeliveryRecord>> {
        delivery_records::of_job(&mut *self.reader().await?, job, before, limit).await
    }

    async fn redeliver(&self, job: JobKey, sequence: u64) -> Result<Redelivery> {
        self.writer.write(delivery_records::Redeliver { job, sequence }).await
    }

    async fn next_delivery(&self, to: To<'_>) -> Result<Option<Duration>> {
        read(reads::next_delivery(&self.readers, to).await)
    }

    async fn prune(&self, retention: Retention) -> Result<u64> {
        self.writer.write(upkeep::Prune(retention)).await
    }

    async fn note_node(&self, node: &Node) -> Result<()> {
        self.writer.write(nodes::NoteNode(node.clone())).await
    }

    async fn forget_node(&self, name: &str) -> Result<()> {
        self.writer.write(nodes::ForgetNode(name.into())).await
    }

    async fn check_writable(&self) -> Result<()> {
        // A file that was deleted is written to without complaint until it is closed.
        tokio::fs::metadata(&self.path).await?;
        self.writer.write(upkeep::CheckWritable).await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::writer::{Command, Work};
    use super::*;
    use crate::job::JobState;

    async fn open(folder: &tempfile::TempDir) -> Arc<SqliteStore> {
        let path = folder.path().join("jobs.db");
        let (durability, timing) = (Durability::Power, Timing::default());
        SqliteStore::open(SqliteOptions { path, durability, queue_limit: 20_000, timing }).await.unwrap()
    }

    fn new_job(name: &str) -> NewJob {
        NewJob {
            owner: String::new(),
            id: JobId::parse(name).unwrap(),
            kind: "mesh".into(),
            request: serde_json::json!({ "padding": "x".repeat(3000) }),
            request_hash: String::new(),
            source_hash: None,
            put_since: std::time::Instant::now(),
            callback_url: Some("https://example.com/".into()),
            request_id: "request-1".into(),
            idempotency_key: None,
            batch: None,
        }
    }

    async fn accepted(store: &SqliteStore, name: &str) -> Result<bool> {
        Ok(matches!(store.submit(vec![new_job(name)]).await?[..], [Submitted::Created(_)]))
    }

    /// Bounds the file, as a full disk does.
    struct MostPages(u32);

    #[async_trait]
    impl Command for MostPages {
        type Answer = ();

        async fn run(&self, work: &mut Work) -> Result<()> {
            let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", self.0));
            sqlx::query(pragma).execute(&mut work.db).await?;
            Ok(())
        }
    }

    /// Writes, and then fails.
    struct Fails;

    #[async_trait]
    impl Command for Fails {
        type Answer = ();

        async fn run(&self, work: &mut Work) -> Result<()> {
            submit::Submit(vec![new_job("half-written")]).run(work).await?;
            Err(StoreError::Row("as the test wants it".into()))
        }
    }

    /// Spoils the connection: the transaction that it runs in is gone before its commit.
    struct EndsTheTransaction;

    #[async_trait]
    impl Command for EndsTheTransaction {
        type Answer = ();

        async fn run(&self, work: &mut Work) -> Result<()> {
            submit::Submit(vec![new_job("uncommitted")]).run(work).await?;
            sqlx::query("ROLLBACK").execute(&mut work.db).await?;
            Ok(())
        }
    }

    async fn explained(store: &SqliteStore, statement: &str) -> Vec<String> {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::query(explain).fetch_all(&store.readers).await.unwrap();
        rows.iter().map(|row| row.get("detail")).collect()
    }

    #[tokio::test]
    async fn one_commands_failure_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        // All are sent before the writer runs, and so share a transaction at first.
        let (a, failed, b) = tokio::join!(accepted(&store, "a"), store.writer.write(Fails), accepted(&store, "b"));
        assert!(a.unwrap() && b.unwrap());
        assert!(matches!(failed, Err(StoreError::Row(_))));
        assert_eq!(store.queue().await.unwrap().queued, 2);
    }

    #[tokio::test]
    async fn a_claim_that_is_rolled_back_takes_no_turn() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        let jobs = ["ann", "bob"].map(|owner| NewJob { owner: owner.into(), ..new_job(owner) });
        store.submit(jobs.into()).await.unwrap();
        // They share a transaction at first, and then the claim is made again.
        let (claims, failed) = tokio::join!(store.claim("worker", 1), store.writer.write(Fails));
        assert_eq!(claims.unwrap()[0].job.owner, "ann");
        assert!(failed.is_err());
        assert_eq!(store.claim("worker", 1).await.unwrap()[0].job.owner, "bob");
    }

    #[tokio::test]
    async fn a_failed_commit_is_told_to_all_and_passes() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        let (a, ended) = tokio::join!(accepted(&store, "a"), store.writer.write(EndsTheTransaction));
        assert!(matches!(a, Err(StoreError::Commit(_))));
        assert!(matches!(ended, Err(StoreError::Commit(_))));
        assert_eq!(store.queue().await.unwrap().queued, 0);
        assert!(accepted(&store, "a").await.unwrap());
    }

    #[tokio::test]
    async fn a_full_disk_loses_nothing_and_passes() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        store.writer.write(MostPages(60)).await.unwrap();
        let mut kept = Vec::new();
        let refusal = loop {
            let name = format!("job-{}", kept.len());
            match accepted(&store, &name).await {
                Ok(new) => assert!(new),
                Err(error) => break error,
            }
            kept.push(name);
        };
        assert!(refusal.to_string().contains("full"), "{refusal}");
        assert!(!kept.is_empty());
        // Together with others it fails just so.
        let (again, more) = tokio::join!(accepted(&store, "again"), accepted(&store, "more"));
        assert!(again.is_err() && more.is_err());
        assert_eq!(store.queue().await.unwrap().queued, kept.len() as u64);
        store.writer.write(MostPages(10_000)).await.unwrap();
        assert!(accepted(&store, "again").await.unwrap());
        for name in kept {
            let job = store.job("", &JobId::parse(&name).unwrap()).await.unwrap().unwrap();
            assert_eq!(job.state, JobState::Queued);
            assert_eq!(store.events(job.key, 0, 10).await.unwrap().len(), 1);
        }
    }

    #[tokio::test]
    async fn no_statement_reads_a_whole_table() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        let scripts = [
            rows::SAVE,
            submit::CREATE,
            submit::CREATE_REST,
            lease::CLAIM,
            lease::HEARTBEAT,
            lease::EXPIRED,
            lease::RUNNING,
            deliveries::TAKE_BACK_EXPIRED,
            deliveries::CLAIM,
            deliveries::CLAIMED,
            deliveries::RECORD,
            deliveries::RETRY,
            deliveries::KEEP_NEWEST_ATTEMPTS,
            deliveries::CATCH_UP,
            delivery_records::OF_JOB,
            delivery_records::ATTEMPTS,
            delivery_records::REDELIVER,
            delivery_records::STATE,
            reads::LIST,
            reads::LIST_BATCH,
            reads::QUEUE,
            reads::NEXT_DELIVERY,
            upkeep::PRUNE_DONE,
            upkeep::PRUNE_FAILED,
            upkeep::PRUNE_RESULTS,
            admin::NAMED,
            admin::DETAILS,
            admin::NEWEST_EVENTS,
            admin::OWNER_QUEUES,
            admin::PURGE,
            nodes::NODES,
            outcome::HELD,
            sweeping::DOOM,
            sweeping::CONDEMNED,
            sweeping::SPARE,
            sweeping::GONE,
        ];
        for statement in scripts.iter().flat_map(|script| script.split("; ")) {
            for step in explained(&store, statement).await {
                let table = ["jobs", "deliveries", "due", "newer", "delivery_attempts", "events", "results", "doomed"]
                    .into_iter()
                    .find(|table| step.starts_with(&format!("SCAN {table}")));
                assert!(table.is_none() || step.contains(" INDEX "), "{step}: {statement}");
            }
        }
        let reaper = explained(&store, lease::EXPIRED).await;
        assert!(reaper[0].contains("jobs_leased"), "the rule above would be blind: {reaper:?}");
    }

    #[tokio::test]
    async fn turns_hop_from_owner_to_owner() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        let plan = explained(&store, lease::CLAIM).await;
        let mut hops: Vec<&str> = plan.iter().filter_map(|step| step.split("jobs_turns ").nth(1)).collect();
        hops.sort_unstable();
        let expected = ["(owner<?)", "(owner=? AND key>?)", "(owner>?)", "(owner>?)"];
        assert_eq!(hops, expected, "{plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN jobs") && !step.contains("jobs_leased")), "{plan:?}");
    }

    #[tokio::test]
    async fn what_waits_for_slow_receivers_is_passed_over_unread() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        // The index has the receiver in it, so a row that has no turn costs an entry and nothing else.
        for statement in [deliveries::CLAIM, reads::NEXT_DELIVERY] {
            let plan = explained(&store, statement).await;
            let due: Vec<&String> = plan.iter().filter(|step| step.contains("deliveries_due")).collect();
            assert_eq!(due.len(), 2, "{plan:?}");
            assert!(due.iter().all(|step| step.starts_with("SEARCH due USING")), "{plan:?}");
        }
        // Of a hundred receivers, each ten that are due, and none has a turn.
        let slow: Vec<String> = (0..100).map(|host| format!("slow-{host}:443")).collect();
        let job = |n: usize| NewJob {
            callback_url: Some(format!("https://slow-{}/", n % 100)),
            request: serde_json::json!({}),
            ..new_job(&format!("job-{n}"))
        };
        store.submit((0..1000).map(job).collect()).await.unwrap();
        let quick = NewJob { callback_url: Some("https://quick/".into()), ..new_job("quick") };
        store.submit(vec![quick]).await.unwrap();
        assert_eq!(store.next_delivery(To::AllBut(&slow)).await.unwrap(), Some(Duration::ZERO));
        let claimed = store.claim_deliveries("sender", 64, To::AllBut(&slow)).await.unwrap();
        assert_eq!(claimed.iter().map(|delivery| delivery.host.as_str()).collect::<Vec<_>>(), ["quick:443"]);
        assert_eq!(store.claim_deliveries("sender", 64, To::Only(&slow[..1])).await.unwrap().len(), 10);
    }
}
