//! What is PostgreSQL's own: several nodes on one database, connections that are cut, and nodes of two versions.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use spinelift::job::JobState;
use spinelift::store::postgres::{PostgresOptions, PostgresStore, Tables};
use spinelift::store::{Beat, Held, NewJob, Store, StoreError, Submitted, To};
use sqlx::Executor;

use super::fixture::*;
use super::postgres_server::Postgres;

async fn node(server: &Postgres) -> Arc<PostgresStore> {
    PostgresStore::open(server.options(Settings::default())).await.unwrap()
}

async fn refusal(options: PostgresOptions) -> StoreError {
    match PostgresStore::open(options).await {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

/// Every test here; each skips by itself where there is no server.
macro_rules! on_a_server {
    ($($(#[$attribute:meta])* async fn $test:ident($server:ident: &Postgres) $body:block)+) => {
        $(
            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let Some(found) = Postgres::new().await else { return };
                let $server = &found;
                $body
            }
        )+
    };
}

on_a_server! {
    async fn what_one_node_writes_wakes_the_others(server: &Postgres) {
        let (here, there) = (node(server).await, node(server).await);
        let job = created(&*here, with_callback("a")).await;
        soon(there.signals().queued()).await;
        soon(there.signals().due()).await;
        let mut listener = there.signals().subscribe(job.key);
        let claim = claimed(&*there).await;
        // News of what came before may still be on their way.
        while tokio::time::timeout(Duration::from_millis(50), listener.changed()).await.is_ok() {}
        here.cancel("acme", &id("a")).await.unwrap();
        soon(there.signals().cancelled()).await;
        assert_eq!(there.heartbeat(&[claim.token]).await.unwrap(), [Beat::CancelRequested]);
        let mut listener = here.signals().subscribe(job.key);
        there.finish(claim.token, vec![], spinelift::store::Outcome::Cancelled).await.unwrap();
        soon(listener.changed()).await;
        assert_eq!(super::fixture::job(&*here, "a").await.state, JobState::Cancelled);
    }

    async fn a_node_listens_again_after_its_connection_was_cut(server: &Postgres) {
        let (here, there) = (node(server).await, node(server).await);
        created(&*here, new_job("a")).await;
        soon(there.signals().queued()).await;
        cut_connections(server).await;
        // Once it listens again it wakes everybody, as something may have been told meanwhile.
        soon(there.signals().queued()).await;
        until("a new job is heard of", || async {
            submit(&*here, new_job(&uuid::Uuid::now_v7().to_string())).await;
            tokio::time::timeout(Duration::from_millis(200), there.signals().queued()).await.is_ok()
        })
        .await;
    }

    async fn nodes_do_not_claim_the_same_job(server: &Postgres) {
        let nodes = [node(server).await, node(server).await, node(server).await];
        for part in 0..4 {
            nodes[0].submit((0..100).map(|n| new_job(&format!("job-{part}-{n}"))).collect()).await.unwrap();
        }
        let claiming = nodes.iter().enumerate().map(|(at, node)| {
            let (node, worker) = (Arc::clone(node), format!("worker-{at}"));
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claims = node.claim(&worker, 7).await.unwrap();
                    if claims.is_empty() {
                        return mine;
                    }
                    mine.extend(claims.into_iter().map(|claim| claim.token));
                }
            })
        });
        let mut all = Vec::new();
        for claims in claiming.collect::<Vec<_>>() {
            all.extend(claims.await.unwrap());
        }
        // A node that found all of the rest just being claimed by others has stopped early.
        while let Some(claim) = nodes[0].claim("rest", 7).await.unwrap().pop() {
            all.push(claim.token);
        }
        let jobs: HashSet<_> = all.iter().map(|token| token.job).collect();
        assert_eq!((all.len(), jobs.len()), (400, 400));
    }

    async fn a_claim_that_nobody_hears_of_is_undone(server: &Postgres) {
        let store = node(server).await;
        store.submit((0..40).map(|n| new_job(&format!("job-{n}"))).collect()).await.unwrap();
        for patience in 0..40 {
            // Some are given up before they are sent, some while the server works, some when its answer is there.
            let claim = store.claim("worker", 1);
            let claimed = tokio::time::timeout(Duration::from_micros(patience * 100), claim).await;
            if let Ok(claims) = claimed {
                store.release(&claims.unwrap().iter().map(|claim| claim.token).collect::<Vec<_>>()).await.unwrap();
            }
        }
        let mut claims = Vec::new();
        until("all can be claimed", || async { store.queue().await.unwrap().running == 0 || {
            let claimed = store.claim("worker", 1).await.unwrap();
            store.release(&claimed.iter().map(|claim| claim.token).collect::<Vec<_>>()).await.unwrap();
            false
        }})
        .await;
        claims.extend(store.claim("worker", 50).await.unwrap());
        assert_eq!(claims.len(), 40);
        assert!(claims.iter().all(|claim| claim.job.attempt == 1), "no attempt and no death is counted");
    }

    async fn jobs_survive_connections_that_are_cut(server: &Postgres) {
        let (here, there) = (node(server).await, node(server).await);
        let done = Arc::new(AtomicBool::new(false));
        let cutting = tokio::spawn({
            let (done, url) = (Arc::clone(&done), server.url());
            async move {
                let mut cuts = 0;
                while !done.load(Ordering::Relaxed) {
                    cuts += cut(&url).await;
                    tokio::time::sleep(Duration::from_millis(15)).await;
                }
                cuts
            }
        });
        let submitting = tokio::spawn({
            let here = Arc::clone(&here);
            async move {
                for n in 0..150 {
                    let name = format!("job-{n}");
                    // A caller that hears of an error asks again, with the same id.
                    while here.submit(vec![with_callback(&name)]).await.is_err() {}
                }
            }
        });
        let working = tokio::spawn(async move {
            let mut finished = 0;
            while finished < 150 {
                // A worker whose claims fail asks again a little later.
                let claims = there.claim("worker", 5).await.unwrap_or_default();
                for claim in &claims {
                    loop {
                        match there.finish(claim.token, vec![told(50)], completed(claim.job.id.as_str())).await {
                            Ok(Held::Yes) => break finished += 1,
                            // Either the first call was heard and its answer lost, or the claim was undone.
                            Ok(Held::Lost) => {
                                let job = there.job("acme", &claim.job.id).await;
                                break if job.is_ok_and(|job| job.unwrap().state == JobState::Completed) {
                                    finished += 1;
                                };
                            }
                            Err(_) => {}
                        }
                    }
                }
                if claims.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
        submitting.await.unwrap();
        tokio::time::timeout(Duration::from_secs(100), working).await.unwrap().unwrap();
        done.store(true, Ordering::Relaxed);
        assert!(cutting.await.unwrap() > 20);
        for n in 0..150 {
            let events = story(&*here, &format!("job-{n}")).await;
            assert_eq!(events.iter().filter(|event| event.state.is_final()).count(), 1);
        }
        let mut db = server.connect().await;
        let ends: i64 = sqlx::query_scalar("SELECT count(*) FROM deliveries WHERE is_final").fetch_one(&mut db).await.unwrap();
        assert_eq!(ends, 150);
        let deaths: i64 = sqlx::query_scalar("SELECT sum(deaths)::bigint FROM jobs").fetch_one(&mut db).await.unwrap();
        assert_eq!(deaths, 0);
    }

    async fn two_callbacks_of_one_job_are_never_in_flight(server: &Postgres) {
        let nodes = [node(server).await, node(server).await];
        for n in 0..30 {
            let claim = running(&*nodes[0], with_callback(&format!("job-{n}"))).await;
            nodes[0].finish(claim.token, vec![told(20), told(40)], completed("any")).await.unwrap();
        }
        // Due for long, ends wait for no progress, so that two callbacks of a job may be claimed.
        server.connect().await.execute("UPDATE deliveries SET due_at_ms = due_at_ms - 5000").await.unwrap();
        let claiming = nodes.iter().enumerate().map(|(at, node)| {
            let (node, worker) = (Arc::clone(node), format!("sender-{at}"));
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for _ in 0..20 {
                    mine.extend(node.claim_deliveries(&worker, 3, To::ANYBODY).await.unwrap());
                }
                mine
            })
        });
        let mut all = Vec::new();
        for claims in claiming.collect::<Vec<_>>() {
            all.extend(claims.await.unwrap());
        }
        let jobs: HashSet<_> = all.iter().map(|delivery| delivery.job).collect();
        assert_eq!((all.len(), jobs.len()), (30, 30), "each is still in flight");
    }

    async fn callers_who_wait_do_not_keep_leases_from_being_extended(server: &Postgres) {
        let options = PostgresOptions { connections: 2, ..server.options(Settings::default()) };
        let store = PostgresStore::open(options).await.unwrap();
        let claim = running(&*store, new_job("a")).await;
        let mut db = server.connect().await;
        db.execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.events(claim.token.job, 0, 10).await })
            })
            .collect();
        for _ in 0..20 {
            assert_eq!(soon(store.heartbeat(&[claim.token])).await.unwrap(), [Beat::Alive]);
        }
        for caller in waiting {
            let error = soon(caller).await.unwrap().unwrap_err();
            assert!(!error.to_string().contains("postgres://"), "{error}");
        }
        db.execute("ROLLBACK").await.unwrap();
        assert_eq!(soon(store.events(claim.token.job, 0, 10)).await.unwrap().len(), 1);
    }

    async fn a_nul_in_a_message_does_no_harm(server: &Postgres) {
        let store = node(server).await;
        let claim = running(&*store, new_job("a")).await;
        let news = spinelift::store::Progress { progress: 10, message: "half\0way".into() };
        assert_eq!(store.progress(claim.token, vec![news]).await.unwrap(), Held::Yes);
        let message = "no image at a\0b";
        let failure = spinelift::job::Failure::new(spinelift::job::FailureCode::SourceNotFound, message);
        let failed = spinelift::store::Outcome::Failed(failure);
        assert_eq!(store.finish(claim.token, vec![], failed).await.unwrap(), Held::Yes);
        let events = all_events(&*store, claim.token.job).await;
        assert_eq!(events[1].message, "half\u{fffd}way");
        assert_eq!(events[2].error.as_ref().unwrap().message, message);
    }

    async fn the_queues_limit_is_that_of_all_nodes(server: &Postgres) {
        let settings = Settings { queue_limit: 2, ..Settings::default() };
        let here = PostgresStore::open(server.options(settings)).await.unwrap();
        let there = PostgresStore::open(server.options(settings)).await.unwrap();
        created(&*here, new_job("a")).await;
        created(&*there, new_job("b")).await;
        // Each node counts what the others have queued once a second.
        until("the other node's job counts", || async {
            submit(&*here, new_job(&uuid::Uuid::now_v7().to_string())).await == Submitted::QueueFull
        })
        .await;
        assert!(there.queue().await.unwrap().queued <= 3);
    }

    async fn nodes_that_start_at_once_make_the_tables_once(server: &Postgres) {
        let starting: Vec<_> = (0..4).map(|_| tokio::spawn(PostgresStore::open(server.options(Settings::default())))).collect();
        for node in starting {
            node.await.unwrap().unwrap().close().await;
        }
    }

    async fn a_node_works_beside_one_of_a_later_version_unless_that_says_no(server: &Postgres) {
        let old = node(server).await;
        let mut db = server.connect().await;
        for later in [
            "ALTER TABLE jobs ADD COLUMN later TEXT; ALTER TABLE deliveries ADD COLUMN later BIGINT DEFAULT 7",
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9000, 'later', TRUE, '', 0)",
        ] {
            db.execute(later).await.unwrap();
        }
        for store in [Arc::clone(&old), node(server).await] {
            let name = uuid::Uuid::now_v7().to_string();
            let claim = running(&*store, with_callback(&name)).await;
            assert_eq!(store.finish(claim.token, vec![], completed(&name)).await.unwrap(), Held::Yes);
            assert_eq!(store.claim_deliveries("sender", 9, To::ANYBODY).await.unwrap().len(), 1);
        }
        db.execute("UPDATE compatibility SET must_know = 9000").await.unwrap();
        let error = refusal(server.options(Settings::default())).await;
        assert!(matches!(error, StoreError::Migration(_)) && error.to_string().contains("9000"), "{error}");
        // Those that run are not stopped by it.
        created(&*old, new_job("last")).await;
    }

    async fn a_command_leaves_tables_as_they_are(server: &Postgres) {
        let options = || PostgresOptions::for_a_command(&server.url(), Tables::AsTheyAre);
        assert!(matches!(refusal(options()).await, StoreError::Outdated(_)));
        node(server).await.close().await;
        PostgresStore::open(options()).await.unwrap().close().await;
    }

    async fn what_keeps_a_node_from_its_database_is_told_without_the_password(server: &Postgres) {
        let mut url = url::Url::parse(&server.url()).unwrap();
        url.set_password(Some("hunter2")).unwrap();
        let mut missing = url.clone();
        missing.set_path("nowhere");
        let mut nobody = url.clone();
        nobody.set_port(Some(1)).unwrap();
        for (url, hint) in [(missing, "CREATE DATABASE"), (nobody, "can be reached")] {
            let text = refusal(PostgresOptions::for_a_command(url.as_str(), Tables::AsTheyAre)).await.to_string();
            assert!(text.contains(hint) && text.contains("DATABASE_URL") && !text.contains("hunter2"), "{text}");
        }
    }

    async fn an_owner_that_floods_the_queue_does_not_delay_another_on_any_node(server: &Postgres) {
        let nodes = [node(server).await, node(server).await];
        let of = |owner: &str, name: String| NewJob { owner: owner.into(), ..new_job(&name) };
        nodes[0].submit((0..200).map(|n| of("flood", format!("f-{n}"))).collect()).await.unwrap();
        nodes[0].submit((0..4).map(|n| of("small", format!("s-{n}"))).collect()).await.unwrap();
        let mut small = 0;
        for node in nodes.iter().cycle().take(4) {
            let claims = node.claim("worker", 2).await.unwrap();
            small += claims.iter().filter(|claim| claim.job.owner == "small").count();
        }
        assert_eq!(small, 4);
    }
}

async fn cut_connections(server: &Postgres) {
    assert!(cut(&server.url()).await > 0);
}

/// Ends every connection to the database but the one that does so; how many.
async fn cut(url: &str) -> i64 {
    let mut db = <sqlx::PgConnection as sqlx::Connection>::connect(url).await.unwrap();
    let sql = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'spinelift'";
    sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
}
