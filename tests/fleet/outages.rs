//! The database goes away, or the network before it, or there are too few connections: callers are told to come again, and
//! nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::Value;
use tokio::task::JoinSet;

use super::audit;
use super::caller::{SETTLE, client};
use super::cluster::Cluster;
use super::load::{Load, fetch_results, has_callback, id};
use super::nodes::{Fleet, GENERATE, logs, post};
use super::proxy::Proxy;
use super::server::Server;

/// How long the database is away: less than a lease.
const OUTAGE: Duration = Duration::from_secs(4);

/// How long the network swallows everything: two heartbeats.
const BLACK_HOLE: Duration = Duration::from_secs(20);

/// How long an answer may take while the database does not: connecting 4 s, or one call 12 s, and a busy machine.
const ANSWERED: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_database_is_survived() {
    let Some(cluster) = Cluster::start() else { return };
    let fleet = Fleet::at(&cluster.url()).await;
    let nodes = [fleet.node("all").await, fleet.node("api").await, fleet.node("worker").await];
    audit::begin(&fleet).await;
    let (jobs, [all, api, worker]) = (200, &nodes);
    let load = Load::begin(&fleet, &[all, api], jobs);
    load.comes_to(1, 3).await;
    cluster.stop();
    let stopped = Instant::now();
    let mut asking = JoinSet::new();
    for node in [all, api] {
        for number in 0..32 {
            asking.spawn(turned_away(node.url(GENERATE), Some(fleet.request(&id(number), "http://127.0.0.1/", false))));
        }
        asking.spawn(turned_away(node.url("/api/v1/mesh/job-0/status"), None));
        asking.spawn(turned_away(node.url("/ready"), None));
        assert_eq!(node.get("/health").await.unwrap()["status"], "healthy");
    }
    let slowest = asking.join_all().await.into_iter().max().unwrap();
    println!("while the database was away, callers were answered 503 within {slowest:?}");
    for node in &nodes {
        assert_eq!(node.get("/health").await.unwrap()["status"], "healthy");
    }
    tokio::time::sleep(OUTAGE.saturating_sub(stopped.elapsed())).await;
    cluster.again();
    let away = stopped.elapsed();
    let began = Instant::now();
    for node in &nodes {
        while node.get("/ready").await.is_err() {
            assert!(began.elapsed() < SETTLE, "{}", node.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    println!("away for {away:?}; all nodes were ready {:?} after it was back", began.elapsed());
    load.end().await;
    all_is_well(&fleet, &[all, api, worker], jobs).await;
}

/// Asks once; how long it took to be turned away.
async fn turned_away(url: String, body: Option<Value>) -> Duration {
    let began = Instant::now();
    let answer = match &body {
        Some(body) => client().post(&url).header(CONTENT_TYPE, "application/json").body(body.to_string()).send().await,
        None => client().get(&url).send().await,
    };
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 503, "{url}");
    assert!(answer.headers().contains_key(RETRY_AFTER), "{url}");
    assert!(began.elapsed() < ANSWERED, "{url} took {:?}", began.elapsed());
    began.elapsed()
}

/// That each job ended once, and its result is there.
async fn all_is_well(fleet: &Fleet, nodes: &[&Server], jobs: usize) {
    fleet.settled(nodes).await;
    fleet.world.called_back((0..jobs).map(id).filter(|id| has_callback(id)), || logs(nodes)).await;
    fleet.expect_completed_once(jobs, has_callback).await;
    fetch_results(&nodes[..2], &(0..jobs).map(id).collect::<Vec<_>>()).await;
    println!("{}", audit::takeovers(fleet).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_before_or_after_a_commit_lose_and_double_nothing() {
    let Some(fleet) = Fleet::new().await else { return };
    let proxy = Proxy::start(fleet.server()).await;
    let url = proxy.url(fleet.url());
    let broken = [("DATABASE_URL", url.as_str())];
    let nodes = tokio::join!(fleet.node_with("all", &broken), fleet.node_with("api", &broken), fleet.node("worker"));
    audit::begin(&fleet).await;
    let jobs = 300;
    proxy.cut_one_in(12);
    let load = Load::begin(&fleet, &[&nodes.0, &nodes.1], jobs);
    load.comes_to(1, 1).await;
    load.end().await;
    fleet.settled(&[&nodes.0, &nodes.1, &nodes.2]).await;
    proxy.cut_one_in(0);
    let (before, after) = proxy.cuts();
    println!("{before} connections were cut before a message was carried to the server, {after} after");
    assert!(before > 20 && after > 20, "{before} and {after}");
    all_is_well(&fleet, &[&nodes.0, &nodes.1, &nodes.2], jobs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_for_a_while_is_survived() {
    let Some(fleet) = Fleet::new().await else { return };
    let proxy = Proxy::start(fleet.server()).await;
    let url = proxy.url(fleet.url());
    let cut_off = fleet.node_with("all", &[("DATABASE_URL", &url)]).await;
    audit::begin(&fleet).await;
    let jobs: Vec<String> = (0..6).map(id).collect();
    for job in &jobs {
        let request = fleet.request(job, &fleet.sources.gated(job), has_callback(job));
        post(&cut_off, &request).await.unwrap().error_for_status().unwrap();
        fleet.sources.asked_for(job, 1).await;
    }
    let other = fleet.node("all").await;
    proxy.forward(false);
    let began = Instant::now();
    let mut asking = JoinSet::new();
    asking.spawn(turned_away(cut_off.url(GENERATE), Some(fleet.request("job-6", &fleet.world.image_url(), false))));
    asking.spawn(turned_away(cut_off.url("/api/v1/mesh/job-0/status"), None));
    asking.spawn(turned_away(cut_off.url("/ready"), None));
    // Half of them are done while nothing comes through.
    jobs.iter().step_by(2).for_each(|job| fleet.sources.open(job));
    // To the other it makes no difference.
    let request = fleet.request("job-7", &fleet.world.image_url(), false);
    assert_eq!(post(&other, &request).await.unwrap().status(), 202);
    let slowest = asking.join_all().await.into_iter().max().unwrap();
    assert_eq!(cut_off.get("/health").await.unwrap()["status"], "healthy");
    tokio::time::sleep(BLACK_HOLE.saturating_sub(began.elapsed())).await;
    proxy.forward(true);
    println!("callers of the node that was cut off were answered 503 within {slowest:?}");
    jobs.iter().for_each(|job| fleet.sources.open(job));
    // A submission that was answered 503 may have been carried out: its caller asks again, by the same id.
    let again = fleet.request("job-6", &fleet.world.image_url(), false);
    let began = Instant::now();
    while !post(&cut_off, &again).await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(began.elapsed() < SETTLE, "{}", cut_off.log());
    }
    all_is_well(&fleet, &[&cut_off, &other], jobs.len() + 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_connections_all_of_many_callers_are_answered_and_leases_kept() {
    let Some(fleet) = Fleet::new().await else { return };
    let node = fleet.node_with("all", &[("DATABASE_POOL", "2")]).await;
    audit::begin(&fleet).await;
    let held: Vec<String> = (0..5).map(id).collect();
    for job in &held {
        let request = fleet.request(job, &fleet.sources.gated(job), has_callback(job));
        post(&node, &request).await.unwrap().error_for_status().unwrap();
        fleet.sources.asked_for(job, 1).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let (done, base) = (Arc::clone(&done), node.url("/api/v1/mesh/"));
        let image_url = fleet.world.image_url();
        callers.spawn(async move { call_until(&done, caller, &base, &image_url).await });
    }
    // Longer than a lease: it is kept by heartbeats or not at all.
    tokio::time::sleep(Duration::from_secs(35)).await;
    held.iter().for_each(|job| fleet.sources.open(job));
    done.store(true, Ordering::Relaxed);
    let (mut accepted, mut answered, mut refused, mut slowest) = (0, 0, 0, Duration::ZERO);
    while let Some(caller) = callers.join_next().await {
        let (jobs, answers, refusals, slow) = caller.unwrap();
        (accepted, answered, refused) = (accepted + jobs, answered + answers, refused + refusals);
        slowest = slowest.max(slow);
    }
    println!("{answered} answers, {refused} of them 503, the slowest after {slowest:?}; {accepted} jobs accepted");
    fleet.settled(&[&node]).await;
    fleet.expect_completed_once(held.len() + accepted, |id| id.starts_with("job-") && has_callback(id)).await;
    assert_eq!(audit::takeovers(&fleet).await.deaths, 0, "a lease was lost");
}

/// Submits and reads in turn; jobs accepted, answers, refusals among them, and the slowest.
async fn call_until(done: &AtomicBool, caller: usize, base: &str, image_url: &str) -> (usize, usize, usize, Duration) {
    let (client, mut accepted, mut answered, mut refused) = (client(), 0, 0, 0);
    let mut slowest = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let request = match answered % 10 {
            0 => {
                let body =
                    serde_json::json!({ "job_id": format!("caller-{caller}-{answered}"), "image_url": image_url });
                client.post(format!("{base}generate")).header(CONTENT_TYPE, "application/json").body(body.to_string())
            }
            1..5 => client.get(format!("{base}jobs")),
            _ => client.get(format!("{base}job-0/status")),
        };
        let answer = request.send().await.unwrap();
        slowest = slowest.max(began.elapsed());
        match answer.status().as_u16() {
            200 => {}
            202 => accepted += 1,
            503 => {
                assert!(answer.headers().contains_key(RETRY_AFTER));
                refused += 1;
            }
            status => panic!("answered {status}"),
        }
        answered += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (accepted, answered, refused, slowest)
}
