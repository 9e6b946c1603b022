//! What is SQLite's own: the file, its lock, and callers who do not wait for their answer.

use std::io::Write;
use std::sync::Arc;

use spinelift::job::FailureCode;
use spinelift::key::{Digest, Limit, Scopes};
use spinelift::store::sqlite::{Durability, SqliteFile, SqliteOptions, SqliteStore};
use spinelift::store::{
    AdminStore, Beat, CHANGED_AT_ONCE, Cancel, Held, JobFilter, KeyStore, NewJob, NewKey, Node, Outcome, Retry, Store,
    StoreError, Submitted, Timing, To,
};

use super::fixture::*;

fn options(path: std::path::PathBuf) -> SqliteOptions {
    SqliteOptions { path, durability: Durability::Power, queue_limit: 100, timing: Timing::default() }
}

async fn refusal(options: SqliteOptions) -> StoreError {
    match SqliteStore::open(options).await {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

/// Polls a call once, which sends its command, and drops it.
async fn sent_and_dropped<T>(call: impl Future<Output = T>) {
    tokio::select! {
        biased;
        _ = call => panic!("answered before it could be dropped"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path().join("jobs.db"));
    let first = SqliteStore::open(options.clone()).await.unwrap();
    let error = refusal(options.clone()).await;
    assert!(matches!(error, StoreError::InUse(_)));
    assert!(error.to_string().contains("DATABASE_URL"), "{error}");
    first.close().await;
    SqliteStore::open(options).await.unwrap().close().await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let text = "These are notes, and many of them. ".repeat(100);
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    let error = refusal(options(path.clone())).await;
    assert!(error.to_string().contains("not an SQLite database"), "{error}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = refusal(options(folder.path().join("file/jobs.db"))).await;
    assert!(matches!(error, StoreError::File(_)));
    assert!(error.to_string().contains("the folder of"), "{error}");
}

#[tokio::test]
async fn a_database_in_the_way_of_a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    std::fs::create_dir(&path).unwrap();
    let error = refusal(options(path)).await;
    assert!(error.to_string().contains("cannot be opened"), "{error}");
}

#[tokio::test]
async fn a_deleted_database_is_not_writable() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path().join("jobs.db"));
    let store = SqliteStore::open(options.clone()).await.unwrap();
    store.check_writable().await.unwrap();
    std::fs::remove_file(options.path).unwrap();
    assert!(matches!(store.check_writable().await, Err(StoreError::File(_))));
}

#[tokio::test]
async fn a_closed_store_leaves_one_file_and_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(folder.path().join("jobs.db"))).await.unwrap();
    created(&*store, new_job("a")).await;
    job(&*store, "a").await;
    store.close().await;
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["jobs.db", "jobs.db.lock"]);
}

#[tokio::test]
async fn a_claim_that_nobody_waits_for_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(folder.path().join("jobs.db"))).await.unwrap();
    created(&*store, new_job("a")).await;
    sent_and_dropped(store.claim("worker", 1)).await;
    until("it can be claimed again", || async {
        let claims = store.claim("worker", 1).await.unwrap();
        claims.first().is_some_and(|claim| claim.job.attempt == 1 && claim.token.fence == 2)
    })
    .await;
}

#[tokio::test]
async fn a_submission_that_nobody_waits_for_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(folder.path().join("jobs.db"))).await.unwrap();
    for n in 0..20 {
        let jobs = vec![with_callback(&format!("first-{n}")), with_callback(&format!("second-{n}"))];
        sent_and_dropped(store.submit(jobs)).await;
    }
    let store: Arc<dyn Store> = store;
    for n in 0..20 {
        until("it is there", || async { store.job("acme", &id(&format!("first-{n}"))).await.unwrap().is_some() }).await;
        story(&*store, &format!("first-{n}")).await;
        story(&*store, &format!("second-{n}")).await;
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path().join("jobs.db"));
    let options = SqliteOptions { timing: short_leases().timing, ..options };
    let store = SqliteStore::open(options.clone()).await.unwrap();
    for name in ["queued", "running", "sending", "good"] {
        created(&*store, if name == "sending" { with_callback(name) } else { new_job(name) }).await;
    }
    let connect = sqlx::sqlite::SqliteConnectOptions::new().filename(&options.path);
    let mut db = sqlx::ConnectOptions::connect(&connect).await.unwrap();
    let spoil = "UPDATE jobs SET id = id || '/', state = CASE id WHEN 'running' THEN 'running' ELSE 'queued' END, \
                 lease_until_ms = CASE id WHEN 'running' THEN 0 END WHERE id <> 'good'";
    sqlx::query(spoil).execute(&mut db).await.unwrap();

    assert_eq!(store.claim_deliveries("sender", 5, To::ANYBODY).await.unwrap(), []);
    assert_eq!(store.reap().await.unwrap().requeued, 0);
    // One at a time, so that a row that is tried again and again would be in the way.
    until("the good one is claimed", || async { !store.claim("worker", 1).await.unwrap().is_empty() }).await;
    assert_eq!(store.recover().await.unwrap().requeued, 1);
    let left = "SELECT count(*) FROM jobs WHERE id LIKE '%/' AND state = 'queued' AND attempt <= 1";
    let left: i64 = sqlx::query_scalar(left).fetch_one(&mut db).await.unwrap();
    assert_eq!(left, 3);
}

fn new_key(secret: &str) -> NewKey {
    NewKey { name: "rails".into(), digest: Digest::of(secret), scopes: Scopes::USUAL, limit: Limit::Usual, links: None }
}

#[tokio::test]
async fn keys_are_changed_beside_a_store_that_is_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path().join("jobs.db"));
    let store = SqliteStore::open(options.clone()).await.unwrap();
    let file = SqliteFile::open(&options.path).await.unwrap();
    let work = async {
        for n in 0..50 {
            created(&*store, new_job(&format!("job-{n}"))).await;
        }
    };
    let keys = async {
        for n in 0..20 {
            let id = file.add_key(new_key(&n.to_string())).await.unwrap();
            assert_eq!(store.keys().await.unwrap().last().unwrap().id, id);
            assert_eq!(file.revoke_keys(&[id]).await.unwrap(), 1);
        }
    };
    tokio::join!(work, keys);
    assert!(store.keys().await.unwrap().iter().all(|key| key.revoked_at_ms.is_some()));
    file.close().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_may_be_made_by_many_at_once() {
    for round in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path().join("made/at/need/jobs.db"));
        let store = tokio::spawn(SqliteStore::open(options.clone()));
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let (path, runtime) = (options.path.clone(), tokio::runtime::Handle::current());
                tokio::task::spawn_blocking(move || {
                    runtime.block_on(async {
                        let file = SqliteFile::open(&path).await.unwrap();
                        file.add_key(new_key(&format!("{round} {n}"))).await.unwrap();
                        file.close().await.unwrap();
                    });
                })
            })
            .collect();
        for thread in threads {
            thread.await.unwrap();
        }
        assert_eq!(store.await.unwrap().unwrap().keys().await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_file_beside_refuses_what_a_store_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    std::fs::write(&path, "notes, and many of them. ".repeat(100)).unwrap();
    let error = SqliteFile::open(&path).await.err().unwrap();
    assert!(error.to_string().contains("not an SQLite database"), "{error}");
    let error = SqliteFile::open(&path.join("jobs.db")).await.err().unwrap();
    assert!(error.to_string().contains("the folder of"), "{error}");
}

async fn raw(path: &std::path::Path) -> sqlx::SqliteConnection {
    let connect = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    sqlx::ConnectOptions::connect(&connect).await.unwrap()
}

#[tokio::test]
async fn a_file_beside_changes_no_tables_under_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path().join("jobs.db"));
    let service = SqliteStore::open(options.clone()).await.unwrap();
    let mut db = raw(&options.path).await;
    // As a version that did not know of nodes had it.
    for back in ["DROP TABLE nodes", "DELETE FROM _sqlx_migrations WHERE version = 6"] {
        sqlx::query(back).execute(&mut db).await.unwrap();
    }
    for refused in [SqliteFile::open(&options.path).await, SqliteFile::open_as_it_is(&options.path).await] {
        let error = refused.err().unwrap();
        assert!(matches!(error, StoreError::Outdated(_)) && error.to_string().contains("restart"), "{error}");
    }
    service.close().await;
    assert!(matches!(SqliteFile::open_as_it_is(&options.path).await, Err(StoreError::Outdated(_))));
    let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'nodes'";
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut db).await.unwrap(), 0, "nothing was changed");
    // Nobody is at work on it now.
    SqliteFile::open(&options.path).await.unwrap().add_key(new_key("1")).await.unwrap();
    assert_eq!(SqliteFile::open_as_it_is(&options.path).await.unwrap().keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn looking_at_keys_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = SqliteFile::open_as_it_is(&folder.path().join("a/jobs.db")).await.err().unwrap();
    assert!(error.to_string().contains("DATABASE_URL"), "{error}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[tokio::test]
async fn a_key_that_cannot_be_read_opens_nothing_and_closes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path().join("jobs.db"));
    let store = SqliteStore::open(options.clone()).await.unwrap();
    let bad = store.add_key(new_key("bad")).await.unwrap();
    let mut db = raw(&options.path).await;
    let spoil = "UPDATE api_keys SET rate_requests = 5000000000, rate_window_s = 60";
    assert!(sqlx::query(spoil).execute(&mut db).await.is_err(), "no rate is kept that cannot be read");
    assert!(
        sqlx::query("UPDATE api_keys SET rate_requests = 1, rate_window_s = 86401").execute(&mut db).await.is_err()
    );
    sqlx::query("PRAGMA ignore_check_constraints = ON").execute(&mut db).await.unwrap();
    sqlx::query(spoil).execute(&mut db).await.unwrap();
    let keys = spinelift::keyring::Keyring::new(&spinelift::config::Access::default());
    keys.refresh(&*store).await.unwrap();
    assert!(keys.is_on() && keys.find("bad").is_none());
    let good = store.add_key(new_key("good")).await.unwrap();
    keys.refresh(&*store).await.unwrap();
    assert!(good > bad && keys.find("good").is_some());
    store.revoke_keys(&[good]).await.unwrap();
    keys.refresh(&*store).await.unwrap();
    assert!(keys.is_on() && keys.find("good").is_none());
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_made_is_its_users_alone_and_what_was_there_stays() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    for made_by_store in [true, false] {
        let path = folder.path().join(format!("{made_by_store}/data/jobs.db"));
        if made_by_store {
            let store = SqliteStore::open(options(path.clone())).await.unwrap();
            created(&*store, new_job("a")).await;
            assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
            store.close().await;
        } else {
            SqliteFile::open(&path).await.unwrap().close().await.unwrap();
        }
        let lock = path.with_extension("db.lock");
        assert_eq!([mode(path.parent().unwrap()), mode(&path), mode(&lock)], [0o700, 0o600, 0o600]);
        for (kept, rights) in [(path.parent().unwrap(), 0o755), (path.as_path(), 0o644)] {
            std::fs::set_permissions(kept, std::fs::Permissions::from_mode(rights)).unwrap();
        }
        SqliteStore::open(options(path.clone())).await.unwrap().close().await;
        assert_eq!([mode(path.parent().unwrap()), mode(&path)], [0o755, 0o644]);
    }
}

#[tokio::test]
async fn a_database_of_the_first_version_is_taken_over_with_what_it_owes() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("migrations");
    std::fs::create_dir(&first).unwrap();
    std::fs::copy("migrations/sqlite/0001_jobs.sql", first.join("0001_jobs.sql")).unwrap();
    let options = options(folder.path().join("jobs.db"));
    let connect = sqlx::sqlite::SqliteConnectOptions::new().filename(&options.path).create_if_missing(true);
    let mut db = sqlx::ConnectOptions::connect(&connect).await.unwrap();
    sqlx::migrate::Migrator::new(first.as_path()).await.unwrap().run(&mut db).await.unwrap();
    for row in [
        "INSERT INTO jobs (owner, id, kind, request, request_hash, request_id, state, run_after_ms, sequence, progress, \
         message, created_at_ms, updated_at_ms) VALUES ('rails', 'old', 'mesh', '{}', 'a', 'r', 'queued', 0, 1, 0, 'Queued', 0, 0)",
        "INSERT INTO events VALUES (1, 1, 0, 'queued', 0, 'Queued', NULL)",
        "INSERT INTO deliveries (job, sequence, is_final, url, host, state, due_at_ms) \
         VALUES (1, 1, 0, 'http://hear.example/', 'hear.example:80', 'waiting', 0)",
    ] {
        sqlx::query(row).execute(&mut db).await.unwrap();
    }
    sqlx::Connection::close(db).await.unwrap();

    let store = SqliteStore::open(options).await.unwrap();
    let queue = store.queue().await.unwrap();
    assert_eq!((queue.queued, queue.deliveries), (1, 1));
    let claims = store.claim("worker", 9).await.unwrap();
    assert_eq!((claims.len(), claims[0].job.id.as_str(), claims[0].job.owner.as_str()), (1, "old", "rails"));
    let owed = store.claim_deliveries("worker", 9, To::AllBut(&[])).await.unwrap();
    assert_eq!((owed.len(), owed[0].url.as_str()), (1, "http://hear.example/"));
    assert!(store.keys().await.unwrap().is_empty());
    store.close().await;
}

#[tokio::test]
async fn a_service_finds_what_was_done_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { queue_limit: 2, ..options(folder.path().join("jobs.db")) };
    let store: Arc<dyn Store> = SqliteStore::open(options.clone()).await.unwrap();
    let file = SqliteFile::open_as_it_is(&options.path).await.unwrap();
    let claim = running(&*store, new_job("a")).await;
    let full = async || matches!(submit(&*store, new_job("c")).await, Submitted::QueueFull);

    file.cancel_jobs(&[claim.token.job]).await.unwrap();
    assert_eq!(store.heartbeat(&[claim.token]).await.unwrap(), [Beat::CancelRequested]);
    store.finish(claim.token, vec![], Outcome::Cancelled).await.unwrap();

    // What is retried beside it is claimed by it, under a fence that goes on, and the dead stay fenced out.
    assert!(matches!(file.retry_jobs(&[claim.token.job]).await.unwrap()[0], Some(Retry::Restarted(_))));
    let again = claimed(&*store).await;
    assert_eq!((again.token.job, again.token.fence), (claim.token.job, 2));
    assert_eq!(store.finish(claim.token, vec![], completed("a")).await.unwrap(), Held::Lost);
    store.finish(again.token, vec![], failed(FailureCode::SourceTimeout)).await.unwrap();
    story(&*store, "a").await;

    // Its own count of the queue is right again once it has reaped.
    file.retry_jobs(&[claim.token.job]).await.unwrap();
    created(&*store, new_job("b")).await;
    assert_eq!(store.queue().await.unwrap().queued, 2);
    store.reap().await.unwrap();
    assert!(full().await);
    let keys: Vec<_> = file.find_jobs(&JobFilter::default(), 9).await.unwrap().jobs.iter().map(|job| job.key).collect();
    file.cancel_jobs(&keys).await.unwrap();
    store.reap().await.unwrap();
    assert!(!full().await);
    assert_eq!(file.purge_jobs(&keys, &JobFilter::default()).await.unwrap(), 2);
    assert_eq!(store.job("acme", &id("a")).await.unwrap(), None);
    file.close().await.unwrap();
}

#[tokio::test]
async fn a_service_at_work_is_not_held_up_by_what_is_done_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path().join("jobs.db"));
    let store: Arc<dyn Store> =
        SqliteStore::open(SqliteOptions { queue_limit: 10_000, ..options.clone() }).await.unwrap();
    let old = |n| NewJob { batch: Some("old".into()), ..new_job(&format!("old-{n}")) };
    store.submit((0..2000).map(old).collect()).await.unwrap();
    let path = options.path.clone();
    let beside = async move {
        let file = SqliteFile::open_as_it_is(&path).await.unwrap();
        let filter = JobFilter { batch: Some("old".into()), ..JobFilter::default() };
        let old: Vec<_> = file.find_jobs(&filter, 2000).await.unwrap().jobs.iter().map(|job| job.key).collect();
        for part in old.chunks(CHANGED_AT_ONCE) {
            file.cancel_jobs(part).await.unwrap();
            assert_eq!(file.purge_jobs(part, &filter).await.unwrap(), part.len() as u64);
        }
    };
    let at_work = async {
        for n in 0..100 {
            created(&*store, new_job(&format!("new-{n}"))).await;
        }
    };
    tokio::join!(beside, at_work);
    store.reap().await.unwrap();
    assert_eq!(store.queue().await.unwrap().queued, 100);
    for n in 0..100 {
        story(&*store, &format!("new-{n}")).await;
    }
}

#[tokio::test]
async fn a_command_that_fails_beside_a_service_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path().join("jobs.db"));
    let store: Arc<dyn Store> = SqliteStore::open(options.clone()).await.unwrap();
    let file = SqliteFile::open_as_it_is(&options.path).await.unwrap();
    let (good, bad) = (created(&*store, new_job("good")).await, created(&*store, new_job("bad")).await);
    sqlx::query("UPDATE jobs SET id = 'bad/' WHERE id = 'bad'").execute(&mut raw(&options.path).await).await.unwrap();
    assert!(file.cancel_jobs(&[good.key, bad.key]).await.is_err());
    assert_eq!(job(&*store, "good").await, good);
    // It is found, and in nobody's way.
    let found = file.find_jobs(&JobFilter::default(), 9).await.unwrap();
    assert_eq!(
        (found.jobs, &found.unreadable, found.unreadable.first()),
        (vec![good.clone()], &vec![bad.key], Some(&bad.key))
    );
    assert!(matches!(file.cancel_jobs(&[good.key]).await.unwrap()[0], Some(Cancel::Done(_))));
}

#[tokio::test]
async fn a_node_that_was_not_seen_for_a_day_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path().join("jobs.db"));
    let store = SqliteStore::open(options.clone()).await.unwrap();
    let node = |name: &str| Node {
        name: name.into(),
        role: "all".into(),
        version: "0.1.0".into(),
        host: String::new(),
        pid: 1,
        slots: 1,
        draining: false,
    };
    for name in ["old", "late", "new"] {
        store.note_node(&node(name)).await.unwrap();
    }
    let mut db = raw(&options.path).await;
    let age = "UPDATE nodes SET seen_at_ms = seen_at_ms - CASE name WHEN 'old' THEN 86400001 ELSE 80000000 END \
               WHERE name <> 'new'";
    sqlx::query(age).execute(&mut db).await.unwrap();
    let names = async || store.nodes().await.unwrap().into_iter().map(|seen| seen.node.name).collect::<Vec<_>>();
    assert_eq!(names().await, ["late", "new"], "not shown even before it is dropped");
    store.note_node(&node("new")).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM nodes").fetch_one(&mut db).await.unwrap();
    assert_eq!(left, 2);
}
