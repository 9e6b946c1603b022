//! What is SQLite's own: the file, its lock, and callers who do not wait for their answer.

use std::io::Write;
use std::sync::Arc;

use spinelift::key::{Digest, Limit, Scopes};
use spinelift::store::sqlite::{Durability, KeyFile, SqliteOptions, SqliteStore};
use spinelift::store::{KeyStore, NewKey, Store, StoreError, Timing};

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

    assert_eq!(store.claim_deliveries("sender", 5, &[]).await.unwrap(), []);
    assert_eq!(store.reap().await.unwrap().requeued, 0);
    // One at a time, so that a row that is tried again and again would be in the way.
    until("the good one is claimed", || async { !store.claim("worker", 1).await.unwrap().is_empty() }).await;
    assert_eq!(store.recover().await.unwrap().requeued, 1);
    let left = "SELECT count(*) FROM jobs WHERE id LIKE '%/' AND state = 'queued' AND attempt <= 1";
    let left: i64 = sqlx::query_scalar(left).fetch_one(&mut db).await.unwrap();
    assert_eq!(left, 3);
}

fn new_key(secret: &str) -> NewKey {
    NewKey { name: "rails".into(), digest: Digest::of(secret), scopes: Scopes::USUAL, limit: Limit::Usual }
}

#[tokio::test]
async fn keys_are_changed_beside_a_store_that_is_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path().join("jobs.db"));
    let store = SqliteStore::open(options.clone()).await.unwrap();
    let file = KeyFile::open(&options.path).await.unwrap();
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
                        let file = KeyFile::open(&path).await.unwrap();
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
async fn a_key_file_refuses_what_a_store_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    std::fs::write(&path, "notes, and many of them. ".repeat(100)).unwrap();
    let error = KeyFile::open(&path).await.err().unwrap();
    assert!(error.to_string().contains("not an SQLite database"), "{error}");
    let error = KeyFile::open(&path.join("jobs.db")).await.err().unwrap();
    assert!(error.to_string().contains("the folder of"), "{error}");
}
