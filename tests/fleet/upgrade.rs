//! Nodes of two versions on one database, as in an upgrade that replaces one after the other.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sqlx::Executor;

use super::audit;
use super::caller::SETTLE;
use super::load::{Load, fetch_results, has_callback, id};
use super::nodes::{Fleet, logs, post, status};
use super::server::Server;

/// The binary of an earlier version.
const OLD: &str = "FLEET_OLD_PROGRAM";

/// Jobs that are submitted in each part.
const JOBS: usize = 300;

/// What a later version might do to the tables: it only adds.
const LATER: &str = "
ALTER TABLE jobs ADD COLUMN later BIGINT, ADD COLUMN later_too TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN later BIGINT;
ALTER TABLE deliveries ADD COLUMN later BIGINT;
CREATE TABLE later (key BIGINT PRIMARY KEY);
INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
VALUES (9999, 'later', TRUE, '\\x00', 0);
";

async fn of_old(fleet: &Fleet, program: &PathBuf, role: &'static str) -> Server {
    let mut node = fleet.prepared(role, &[]);
    node.program.clone_from(program);
    node.again().await;
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the binary of an earlier version; tests/fleet.sh builds it"]
async fn nodes_are_replaced_one_by_one() {
    let program =
        PathBuf::from(std::env::var_os(OLD).expect("FLEET_OLD_PROGRAM names the binary of an earlier version"));
    let Some(fleet) = Fleet::new().await else { return };
    let mut old = [of_old(&fleet, &program, "all").await, of_old(&fleet, &program, "worker").await];
    audit::begin(&fleet).await;
    let migrations = "SELECT count(*) FROM _sqlx_migrations";
    let before = fleet.count(migrations).await;
    let mut new = fleet.prepared("all", &[]);
    let load = Load::begin(&fleet, &[&old[0], &new], JOBS);
    load.comes_to(1, 4).await;
    // It brings the tables up to date beside nodes that use them.
    new.again().await;
    load.comes_to(2, 4).await;
    for node in &mut old {
        node.stop().await;
    }
    load.comes_to(3, 4).await;
    // An old node that comes again works beside the new tables, unless they say that it may not.
    let must_know = fleet.count("SELECT must_know FROM compatibility").await;
    let mut after = fleet.count(migrations).await;
    if after == before {
        println!("the versions have the same tables: a later version's are made up");
        fleet.connect().await.execute(LATER).await.unwrap();
        after += 1;
    }
    println!("{before} migrations before, {after} after; a version must know number {must_know}");
    if must_know <= before {
        old[0].again().await;
        finishes_a_job(&mut old[0], &mut new, &fleet).await;
    } else {
        old[0].spawn();
        assert!(!old[0].ended().await.success(), "it must refuse to start:\n{}", old[0].log());
    }
    load.end().await;
    fleet.settled(&[&old[0], &new]).await;
    fleet.world.called_back((0..JOBS).map(id).filter(|id| has_callback(id)), || logs(&[&old[0], &new])).await;
    fleet.expect_completed_once(JOBS + 1, |id| id.starts_with("job-") && has_callback(id)).await;
    fetch_results(&[&new], &(0..JOBS).map(id).collect::<Vec<_>>()).await;
    assert_eq!(audit::takeovers(&fleet).await.deaths, 0, "who stops in order leaves no job behind");
}

/// With the new one standing still, the old one does a job.
async fn finishes_a_job(old: &mut Server, new: &mut Server, fleet: &Fleet) {
    new.signal("STOP");
    let request = fleet.request("by-the-old", &fleet.world.image_url(), false);
    let answer = post(old, &request).await.unwrap();
    assert_eq!(answer.status(), 202, "{}", old.log());
    let began = Instant::now();
    while status(old, "by-the-old").await["status"] == "processing" {
        assert!(began.elapsed() < SETTLE, "{}", old.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    new.signal("CONT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_works_beside_tables_of_a_later_version_unless_they_say_that_it_may_not() {
    let Some(fleet) = Fleet::new().await else { return };
    let mut node = fleet.node("all").await;
    audit::begin(&fleet).await;
    fleet.connect().await.execute(LATER).await.unwrap();
    for round in ["running", "started again"] {
        let request = fleet.request(&round.replace(' ', "-"), &fleet.world.image_url(), false);
        assert_eq!(post(&node, &request).await.unwrap().status(), 202, "{}", node.log());
        fleet.settled(&[&node]).await;
        node.stop().await;
        node.again().await;
    }
    fleet.expect_completed_once(2, |_| false).await;
    fleet.connect().await.execute("UPDATE compatibility SET must_know = 9999").await.unwrap();
    node.stop().await;
    node.spawn();
    assert!(!node.ended().await.success(), "it must refuse to start:\n{}", node.log());
    assert!(node.log().contains("9999"), "{}", node.log());
}
